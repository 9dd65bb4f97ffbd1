"""Taking a reply apart: code, enhanced code, and its words without what differs from mail to mail."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

#: Longer replies are cut: what a server says stands at the front, and no input may cost more than this.
LONGEST = 2_000


class Parts(NamedTuple):
    """A reply taken apart.

    ``code`` is empty without one; ``status`` is class, subject and detail (RFC 3463); ``words`` are in lower
    case on one line, with every IP address as ``<ip>`` and every mail address as ``<addr>``, and without round
    brackets. ``before`` is
    what a relay wrote before it quoted the other side: it names the host that speaks. ``domain`` is that of
    the first mail address in the text. When the command is known that was answered, the words end in
    ``<at mail from>``, ``<at rcpt to>`` or the like.
    """

    code: str
    status: tuple[int, int, int] | None
    words: str
    before: str = ""
    domain: str = ""

    @property
    def permanent(self) -> bool | None:
        """True for 5, False for 4, None when nothing says so."""
        digit = self.code[:1] or (str(self.status[0]) if self.status else "")
        return None if digit not in ("4", "5") else digit == "5"


_SPACE = re.compile(r"\s+")
_TYPE = re.compile(r"^[\s\"'<(]*(?:diagnostic-code:\s*)?(?:x-)?[a-z][a-z0-9-]{1,15}\s?;\s*", re.IGNORECASE)
_LEADING_STATUS = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})(?=[\s;:(-])")
_AT_START = re.compile(r"^[^A-Za-z0-9]{0,20}(2(?:00|11|14|2[01]|35|5[0-2])|3[35]4|[45]\d\d)(?=[\s-]|$)")
#: What relays write before they quote the other side.
_QUOTED = re.compile(
    r"(?:\]|said|says|replied|responded|response|reply|reason|answered|error|reports|returned|was|"
    r"[a-z]+ command|remote server|<[^<>]{0,200}>(?: size=\d+)?|smtp|"
    r"to me|connection|data|\d)\s?[:;(]\s{0,3}[\"'<]?([45]\d\d)(?=[\s-])|<<<\s{0,3}([45]\d\d)(?=[\s-])",
    re.IGNORECASE,
)
_WITH_STATUS = re.compile(r"(?<![\d.])([45]\d\d)[ -]#?[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
_ANYWHERE = re.compile(r"(?:^|[\s:;,(<\"'#])([45][0-5]\d|57[0-4])(?=[\s-][^\d])")
_STATUS = re.compile(r"(?<![\d.])([245])\.([0-7])\.(\d{1,3})(?!\.?\d)")
#: The code that starts each line of a longer reply, seen again after lines were joined.
_CONTINUED = re.compile(r"(?<=\s)([245]\d\d)[ -](?:[245]\.\d{1,3}\.\d{1,3}\s)?")
#: The hyphen of a first line of several belongs to the code, not to the address behind it.
_CODE_AND_IP = re.compile(r"^([245]\d\d)-(?=\d{1,3}(?:\.\d{1,3}){3})")
#: What Postfix adds to a reply, and where Exim and qmail say the same before they quote it.
_COMMAND = re.compile(r" ?\(in reply to (?:end of )?([a-z ]{1,40}?)(?: command)?\)", re.IGNORECASE)
_AFTER = re.compile(
    r"(?:after|reply to|in response to|>>>) (mail from|rcpt to|end of data|data|ehlo|helo|initial)"
    r"|refused to talk to me",
    re.IGNORECASE,
)
#: What qmail adds: the address is that of the receiver.
_GIVING_UP = re.compile(r"\s?giving up on \S{1,60}$", re.IGNORECASE)
#: What Postfix's log puts behind the reply it gave: envelope and greeting of the client, which are no words of a reply.
_ENVELOPE = re.compile(r";\s?from=<[^>]*>(?:\s(?:to|proto|helo)=\S+)*$")
#: Ends of lines and letters as JSON and logs escape them.
_ESCAPED_END = re.compile(r"\\r\\n|\\n(?=[245]\d\d[ -]|\s|$)")
_ESCAPED = re.compile(r"\\u(?!00[01]|[dD][89a-fA-F])([0-9a-fA-F]{4})")
#: A question in a link that asks about an IP keeps that: ``?ip``.
_QUERY = re.compile(r"(https?://[^\s<>\"?]{1,200})\?(?!p=)[^\s<>\"]*", re.IGNORECASE)
_ASKS_IP = re.compile(
    r"[?&](?:ip|ip_?addr(?:ess)?|client_?ip|addr)=|[?&=/](?:\d{1,3}\.){3}\d{1,3}(?![\d.])", re.IGNORECASE
)
#: Brackets stand for groups in phrases and carry no meaning in replies.
_PLAIN = str.maketrans({"\u2019": "'", "`": "'", "(": " ", ")": " "})
_URL = re.compile(r"https?://([^\s<>\"')\]]+)")
#: Begins where a word begins, so that it is linear in the text; a local part may be quoted, a domain be an IP.
_ADDRESS = re.compile(
    r"<?(?:\"[^\"<>@]{1,64}\"|(?<![^\s<>@,;:\"'()\[\]])[^\s<>@,;:\"'()\[\]]++)"
    r"@(?:[\w.-]{1,255}(?<![.-])|\[[^\]\s]{1,60}\])>?|\[email[ \xa0]protected\]",
    re.IGNORECASE,
)
#: An address inside a link.
_QUOTED_ADDRESS = re.compile(r"[^\s<>\"'?&=/%]{1,64}%40[^\s<>\"'?&/%]{0,255}")
_DOMAIN = re.compile(r"@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4})", re.IGNORECASE)
#: Four numbers behind `id:` or `version` are no address.
_IP = re.compile(
    r"(?:\[|<\s?)?(?<![\w.-])(?<!\bid[:=])(?<!\bversion )"
    r"(?:(?:\d{1,3}|x{1,3}|\*{1,3}|#{1,3}|[abcd])(?:\.(?:\d{1,3}|x{1,3}|\*{1,3}|#{1,3}|[abcd])){3})"
    r"(?![\w.-]*\w)(?:[ ]{1,3}\d{1,3}(?=\]))?(?:\]|\s?>)?"
)
_IP6 = re.compile(
    r"\[?(?:ipv6:)?(?<![\w:.])(?:[0-9a-f]{1,4}:{1,2}){3,7}[0-9a-f]{0,4}(?![\w:])(?:[ ]{1,3}\d{1,3}(?=\]))?\]?"
)


# The same reply is taken apart when it is judged, when it is counted, and when its rate is looked at.
@functools.lru_cache(maxsize=1_024)
def take_apart(text: str) -> Parts:
    """Code, enhanced code and words of a reply in any of the shapes that logs and reports give it.

    Every pattern is linear in the text or bounded, and the text is cut at ``LONGEST``.
    """
    text = text[:LONGEST].replace("\0", "")
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), _ESCAPED_END.sub(" ", text))
    text = " ".join(text.split())
    status = None
    told = _LEADING_STATUS.match(text)
    if told:  # a status put in front by a source that reports both: "5.0.0 smtp; 550 5.1.1 no such user"
        status = _numbers(told)
        text = text[told.end() :].lstrip(" ;:-")
    stripped = _TYPE.sub("", text, count=1)
    code, start = _code(stripped)
    before, said = stripped[:start], stripped[start:]
    # Each look for what most replies do not have is asked for a character of it first.
    command = (_COMMAND.search(said) if "(" in said else None) or (_AFTER.search(before) if before else None)
    if "(" in said:
        said = _COMMAND.sub("", said)
    if "?" in said:
        said = _QUERY.sub(_asked, said)
    if said[-80:].lower().find("giving up") >= 0:
        said = _GIVING_UP.sub("", said)
    if "; from=<" in said:
        said = _ENVELOPE.sub("", said)
    if command:
        said = f"{said} <at {command[1] or 'initial'}>"
    found = _STATUS.search(said) or _STATUS.search(before)
    if found:
        status = _numbers(found)
    named = _DOMAIN.search(stripped) if "@" in stripped else None
    return Parts(code, status, words(said, code), words(before), named[1].lower() if named else "")


def _asked(link: re.Match[str]) -> str:
    return link[1] + ("?ip" if _ASKS_IP.search(link[0]) else "")


def _numbers(match: re.Match[str]) -> tuple[int, int, int]:
    return int(match[1]), int(match[2]), int(match[3])


def _code(text: str) -> tuple[str, int]:
    """The reply code, and where the words of the other side start."""
    for pattern in (_AT_START, _QUOTED, _WITH_STATUS):
        found = pattern.search(text)
        if found:
            return found[found.lastindex or 1], found.start(found.lastindex or 1)
    found = _ANYWHERE.search(text)
    return (found[1], 0) if found else ("", 0)


def words(text: str, code: str = "") -> str:
    """The text in lower case with addresses replaced and the codes of continued lines taken out."""
    text = text.lower()
    if code and text.count(code) > 1:
        text = _CONTINUED.sub(lambda found: "" if found[1] == code else found[0], text)
    if "@" in text or "[email" in text:
        text = _ADDRESS.sub("<addr>", text)
    if "." in text:
        if text[3:4] == "-":
            text = _CODE_AND_IP.sub(r"\1 ", text)
        text = _IP.sub("<ip>", text)
    if "::" in text or text.count(":") > 2:
        text = _IP6.sub("<ip>", text)
    return " ".join(text.translate(_PLAIN).split())


@functools.lru_cache(maxsize=1_024)
def without_links(words: str) -> str:
    """The words of a reply without its links: a path like ``/spam/help`` says nothing of what is meant."""
    return _URL.sub(lambda found: "?ip" if found[0].endswith("?ip") else "", words)


#: Local parts that are plain words of replies as well: without them a reply could not be read, and nobody is named.
_ROLES = frozenset(
    {
        *("abuse", "account", "address", "admin", "billing", "blocked", "bounce", "bounces", "contact", "customer"),
        *("daemon", "email", "error", "hello", "help", "host", "info", "list", "mail", "mailbox", "mailer", "message"),
        *("marketing", "news", "newsletter", "no-reply", "noreply", "office", "policy", "postmaster", "recipient"),
        *("reply", "root", "sales", "security", "sender", "server", "service", "spam", "support", "team", "test"),
        *("unknown", "user", "users", "webmaster"),
    }
)  # fmt: skip
#: Shorter local parts than this could be a part of any sentence.
_SHORTEST = 3


def masked(text: str, recipient: str, provider_of: Callable[[str], str]) -> str:
    """A reply on one line without whom it was about: it reads as the reply itself does.

    Mail addresses become ``<addr>``, as does the local part of the recipient where it stands alone. The domain of a
    mailbox provider stays, ``<addr@comcast.net>``: it names nobody, and may be all that tells who speaks.

    Args:
        provider_of: the provider of a host name, empty when nobody knows it.
    """

    def hidden(found: re.Match[str]) -> str:
        domain = found[0].rpartition("@")[2].rstrip(">").lower()
        return f"<addr@{domain}>" if provider_of(domain) else "<addr>"

    text = text[:LONGEST].replace("\0", "")
    if "@" in text or "[email" in text:
        text = _ADDRESS.sub(hidden, text)
    if "%40" in text:
        text = _QUOTED_ADDRESS.sub("<addr>", text)
    return _SPACE.sub(" ", _without_local_part(text, recipient)).strip()


def _without_local_part(text: str, recipient: str) -> str:
    local, at, _ = recipient.rpartition("@")
    if not at or len(local) < _SHORTEST or local.lower() in _ROLES or local.lower() not in text.lower():
        return text
    return re.sub(rf"<?(?<![\w.+-]){re.escape(local)}(?![\w+-])>?", "<addr>", text, flags=re.IGNORECASE)


def _without_domain(text: str, recipient: str) -> str:
    """Names of hosts and the domain of the recipient, which differ from mail to mail, as ``<domain>``."""
    domain = recipient.rpartition("@")[2].strip(".").lower()
    if "." not in domain or domain not in text:
        return text
    return re.sub(rf"(?<![\w.-])(?:[\w-]{{1,63}}\.){{0,8}}{re.escape(domain)}(?![\w-])", "<domain>", text)


#: Codes of one provider's own, such as Yahoo's TS03: replies that differ in them differ in meaning.
_NUMBER = re.compile(r"(?<![\w.-])([a-z]{1,4}\d{1,4})(?![\w-])|(?<![.\d])\d+(?![.\d]*\d)")
_TOKEN = re.compile(r"(?<![a-z0-9])(?=[a-z0-9._-]*\d)[a-z0-9][a-z0-9._-]{11,}")
_HEAD = re.compile(r"^[^a-z0-9]*\d{3}\b[ -]*(?:#?\d\.\d{1,3}\.\d{1,3}[ :-]*)?")


def template(text: str, recipient: str = "") -> str:
    """The words of a reply with ids and numbers taken out, so that replies of one kind group together.

    Args:
        recipient: whom the mail was for; the address and its parts are taken out as well.
    """
    parts = take_apart(text)
    said = _without_domain(_without_local_part(parts.words, recipient), recipient)
    said = _TOKEN.sub("#", _URL.sub(lambda found: found[1].split("?")[0], said))
    head = " ".join(filter(None, (parts.code, ".".join(map(str, parts.status)) if parts.status else "")))
    body = _NUMBER.sub(lambda found: found[1] or "#", _HEAD.sub("", said, count=1))
    return f"{head} {_SPACE.sub(' ', body).strip()}".strip()[:300]
