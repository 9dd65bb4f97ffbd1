"""A lean reader of MIME for reports: what others send us may be broken, huge or nested on purpose.

Bounds instead of trust: at most ``LARGEST`` bytes are looked at, ``DEEPEST`` levels and ``MOST_PARTS`` parts
of one level. Nothing here raises on bad input; what cannot be read is left out.
"""

from __future__ import annotations

import binascii
import email.errors
import email.header
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LARGEST = 1_000_000
DEEPEST = 6
MOST_PARTS = 40
_HEADER_BYTES = 60_000

_FOLD = re.compile(r"\n[ \t]+")
_FIELD = re.compile(r"^([!-9;-~]{1,100})[ \t]{0,5}:(.*(?:\n[ \t].*)*)", re.MULTILINE)
_PARAMETER = re.compile(r";\s{0,80}([a-z0-9*-]{1,40})\s?=\s?(?:\"([^\"]{0,300})\"|([^\s;\"]{1,300}))", re.IGNORECASE)

#: A semicolon before the parameters is forgotten at times.
_TYPE = re.compile(r"[^\s;]+")
_LOOSE_BOUNDARY = re.compile(r"^boundary=\"?([^\"\n]{1,300}?)\"?\s*$", re.IGNORECASE | re.MULTILINE)

#: Charsets that mails are written in; Python knows more names, some of them slow or no charsets at all.
_CHARSET = re.compile(
    r"(?:us-)?ascii|utf-?8|utf-?16(?:[lb]e)?|iso-?8859-?\d{1,2}|latin-?\d|iso-2022-[a-z0-9-]{2,8}|windows-\d{3,4}|"
    r"cp\d{3,4}|shift[-_]jis|euc-[a-z]{2}|gb2312|gbk|gb18030|big5(?:-hkscs)?|koi8-[rtu]|tis-620",
    re.IGNORECASE,
)

Headers = dict[str, list[str]]


@dataclass(slots=True)
class Entity:
    """One message or part: headers by lower-case name, the body as it came, the parts of a multipart."""

    headers: Headers
    body: bytes
    type: str = "text/plain"
    parameters: dict[str, str] = field(default_factory=dict)
    parts: list[Entity] = field(default_factory=list)

    def header(self, name: str) -> str:
        """First value of a header, empty without it."""
        values = self.headers.get(name)
        return values[0] if values else ""

    def text(self) -> str:
        """The body as text, after its transfer encoding and charset; unknown ones are read as well as can be."""
        return decoded(self.content(), self.parameters.get("charset", ""))

    def content(self) -> bytes:
        """The body after its transfer encoding."""
        encoding = self.header("content-transfer-encoding").strip().lower()
        if encoding == "base64":
            return _base64(self.body)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        return self.body

    def walk(self) -> Iterator[Entity]:
        """This entity and all below it, in their order."""
        yield self
        for part in self.parts:
            yield from part.walk()


def _base64(body: bytes) -> bytes:
    packed = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    try:
        return binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))
    except binascii.Error:  # one character too many: the rest is whole
        return binascii.a2b_base64(packed[: len(packed) // 4 * 4])


def decoded(content: bytes, charset: str = "") -> str:
    """Bytes as text: in the charset they claim if that works, else UTF-8, else Latin-1; never an error."""
    for name in (charset, "utf-8"):
        if not _CHARSET.fullmatch(name):
            continue
        try:
            return content.decode(name)
        except (LookupError, ValueError):
            continue
    return content.decode("latin-1")


def plain(value: str) -> str:
    """A header's value with encoded words (RFC 2047) read."""
    if "=?" not in value:
        return value
    try:
        text = str(email.header.make_header(email.header.decode_header(value[:2_000])))
        return text.encode("utf-8", "replace").decode()  # no halves of surrogate pairs
    except (LookupError, ValueError, email.errors.MessageError):  # a charset or encoding that is none
        return value


def read(raw: bytes) -> Entity:
    """The message in some bytes."""
    raw = raw[:LARGEST].replace(b"\r\n", b"\n")
    if b"\n" not in raw[:2_000]:
        raw = raw.replace(b"\r", b"\n")
    if raw.startswith((b"From ", b">From ")):
        raw = raw.partition(b"\n")[2]
    return _entity(raw.lstrip(b"\n"), 0)


def _entity(raw: bytes, depth: int) -> Entity:
    if raw.startswith(b"\n"):
        head, body = b"", raw[1:]
    else:
        head, _, body = raw.partition(b"\n\n")
    headers = fields(decoded(head[:_HEADER_BYTES]))
    entity = Entity(headers, body)
    told = entity.header("content-type")
    if told:
        entity.type = (_TYPE.match(told.lower()) or [""])[0]
        entity.parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(told[:2_000])}
    if depth < DEEPEST and entity.type.startswith("multipart/"):
        # Some write it on a line of its own that is not indented, so that it belongs to no header.
        loose = _LOOSE_BOUNDARY.search(decoded(head[:_HEADER_BYTES]))
        boundary = entity.parameters.get("boundary", "") or (loose[1] if loose else "")
        if boundary:
            entity.parts = [_entity(part, depth + 1) for part in _split(body, boundary.encode("utf-8", "replace"))]
    return entity


def _split(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts between lines of a boundary; one that only starts another line's text is none."""
    pieces = (b"\n" + body).split(b"\n--" + boundary)
    parts: list[bytes] = []
    open_part = False
    for piece in pieces[1:]:
        rest, _, part = piece.partition(b"\n")
        end = rest.strip()
        if end == b"":
            if len(parts) == MOST_PARTS:
                break
            parts.append(part)
            open_part = True
        elif end == b"--":
            open_part = False
        elif open_part:
            parts[-1] += b"\n--" + boundary + piece
    return parts


def fields(text: str) -> Headers:
    """Headers, or fields of a report's group: folded lines joined, lines without a name left out."""
    found: Headers = {}
    for name, value in _FIELD.findall(text):
        joined = _FOLD.sub(" ", value) if "\n" in value else value
        found.setdefault(name.lower(), []).append(joined.strip())
    return found
