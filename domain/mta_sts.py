"""MTA-STS (RFC 8461): the record that announces a policy, the policy itself, and what is wrong with either."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, Field

from domain.refusals import Refused

#: Longest time a policy may be kept, seconds (RFC 8461, 3.2).
LONGEST = 31_557_600
#: A week: "weeks or greater" is the aim once it works (RFC 8461, 3.2), shorter is easier to take back.
MAX_AGE = 604_800

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_EXTENSION = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)


class Mode(StrEnum):
    """What a sender does when TLS fails: nothing, report, or not deliver."""

    NONE = "none"
    TESTING = "testing"
    ENFORCE = "enforce"


class Policy(BaseModel):
    """A policy as it is hosted."""

    mode: Mode
    max_age: int = Field(MAX_AGE, ge=0, le=LONGEST, description="Seconds that senders keep it.")
    mx: list[str] = Field([], description="Patterns of mail exchangers, such as *.example.com.")

    def text(self) -> str:
        """The file to host at :func:`url`, with the line ends of RFC 8461."""
        lines = ["version: STSv1", f"mode: {self.mode}", *(f"mx: {one}" for one in self.mx)]
        return "\r\n".join([*lines, f"max_age: {self.max_age}", ""])

    def id(self) -> str:
        """An id that differs whenever the policy differs, and is the same for the same policy."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:24]


def host(domain: str) -> str:
    """The name that serves the policy of a domain."""
    return f"mta-sts.{domain}"


def url(domain: str) -> str:
    """Where senders fetch the policy of a domain."""
    return f"https://{host(domain)}/.well-known/mta-sts.txt"


def record(policy: Policy) -> str:
    """The TXT value that announces a policy."""
    return f"v=STSv1; id={policy.id()}"


def parse_record(text: str) -> str:
    """The id that a TXT value announces.

    Raises:
        Refused: says what is wrong with it.
    """
    fields = [part.strip(" \t") for part in text.split(";")]
    if fields[0] != "v=STSv1":
        raise _bad("it does not begin with v=STSv1")
    # One semicolon may end the record; an empty field anywhere else is none.
    if len(fields) > 1 and fields[-1] == "":
        fields.pop()
    found: str | None = None
    for field in fields[1:]:
        name, equals, value = field.partition("=")
        if not equals or not _NAME.fullmatch(name) or not _EXTENSION.fullmatch(value):
            raise _bad(f"{field!r} is no field; a field is name=value")
        if name == "id" and found is None:
            if not _ID.fullmatch(value):
                raise _bad("id takes 1 to 32 letters and digits")
            found = value
    if found is None:
        raise _bad("it has no id")
    return found


def parse_policy(text: str) -> Policy:
    """Read a policy file.

    Raises:
        Refused: says which line is wrong, or which is missing.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    values: dict[str, str] = {}
    patterns: list[str] = []
    for number, line in enumerate(lines, start=1):
        name, colon, raw = line.partition(":")
        value = raw.strip(" \t")
        if not colon or not _NAME.fullmatch(name) or not value or not value.isprintable():
            raise _bad(f"line {number} {line!r} is no `name: value`")
        if name == "mx":
            patterns.append(_pattern(value))
        else:
            values.setdefault(name, value)
    if values.get("version") != "STSv1":
        raise _bad("the line `version: STSv1` is missing")
    mode, age = values.get("mode", ""), values.get("max_age", "")
    if mode not in list(Mode):
        raise _bad(f"mode {mode!r} is none of none, testing, enforce" if mode else "the line `mode:` is missing")
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > LONGEST:
        raise _bad(f"max_age {age!r} is no number of seconds up to {LONGEST}" if age else "`max_age:` is missing")
    if not patterns and mode != Mode.NONE:
        raise _bad(f"mode {mode} needs at least one line `mx:`")
    return Policy(mode=Mode(mode), max_age=int(age), mx=patterns)


def matches(pattern: str, mx_host: str) -> bool:
    """Whether a pattern names a mail exchanger; ``*.`` stands for exactly one label (RFC 8461, 4.1)."""
    wanted, name = pattern.lower().rstrip("."), mx_host.lower().rstrip(".")
    if wanted.startswith("*."):
        return name.partition(".")[2] == wanted[2:]
    return wanted == name


def uncovered(policy: Policy, mx_hosts: Sequence[str]) -> list[str]:
    """Mail exchangers that the policy does not name: under ``enforce`` no mail reaches them."""
    return [name for name in mx_hosts if not any(matches(pattern, name) for pattern in policy.mx)]


def _pattern(value: str) -> str:
    labels = value.removeprefix("*.").rstrip(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise _bad(f"mx {value!r} is no host name, nor one after `*.`")
    return value


def _bad(why: str) -> Refused:
    return Refused(f"This is no valid MTA-STS: {why}.", field="mta_sts", code="mta_sts")
