"""Names of domains and hosts as people type them, and the one form that everything else works with."""

from __future__ import annotations

import re

from domain.refusals import Refused

#: RFC 1123 host name with at least two labels; the last one is no number, or it would be read as an address.
_HOST = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_LONGEST_LABEL = 63
#: Of what was typed, as much as a message repeats.
_SHOWN = 80


def parse(text: str, *, field: str) -> str:
    """A name in lower case, without spaces around it and without the final dot.

    Names outside of ASCII are refused with the way out: the two standards that turn them into ASCII differ for some
    letters, and a guess could set up, and pay for, somebody else's domain.

    Raises:
        Refused: names the field and the fix.
    """
    name = text.strip().removesuffix(".").lower()
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
    if not name.isascii():
        raise Refused(
            f"{shown!r} is not in ASCII; give the name in the form that starts with xn--, as the registrar shows it.",
            field=field,
            code="name",
        )
    if not _HOST.fullmatch(name):
        raise Refused(f"{shown!r} is no domain name; give one such as mail.example.com.", field=field, code="name")
    return name


def check_host(hostname: str, domain: str, count: int = 1, *, field: str = "hostname") -> None:
    """Whether a host name fits the domain that it is ordered for, with all the names that follow from it.

    Args:
        count: IPs that need a name; the second is called like the first with ``-2`` behind its first label.

    Raises:
        Refused: it lies in another domain, or leaves no room for the names of the other IPs.
    """
    if hostname != domain and not hostname.endswith(f".{domain}"):
        raise Refused(
            f"{hostname} is no name in {domain}; give one such as mail.{domain}, or order for the domain it lies in.",
            field=field,
            code="other_domain",
        )
    if count == 1:
        return
    if hostname == domain:
        raise Refused(
            f"{count} IPs need names of their own, and {domain} is one only; give one such as mail.{domain}.",
            field=field,
            code="name",
        )
    last = nth(hostname, count - 1)
    if len(last.partition(".")[0]) > _LONGEST_LABEL or not _HOST.fullmatch(last):
        raise Refused(
            f"{hostname} leaves no room to number {count} names after it; give a shorter one.", field=field, code="name"
        )


def nth(hostname: str, index: int) -> str:
    """The name of the nth IP of an order: each needs its own, since PTR and HELO are one to one."""
    if index == 0:
        return hostname
    first, _, rest = hostname.partition(".")
    return f"{first}-{index + 1}.{rest}"
