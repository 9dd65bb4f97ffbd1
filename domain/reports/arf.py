"""Feedback reports: which of them are complaints, and about what (RFC 5965, RFC 6591)."""

from __future__ import annotations

import ipaddress
import re

from domain.reports import mime
from domain.reports.model import Feedback

#: A recipient's spam button, fraud, a virus, or a reason the format has no word for. All other types are
#: none: not-spam takes one back, auth-failure and dmarc are about authentication, opt-out is a wish.
COMPLAINTS = frozenset({"abuse", "fraud", "phishing", "virus", "other", "complaint", "spam", "miscategorized"})

_ADDRESS = re.compile(r"[^\s<>@,;:\"()]{1,64}@[^\s<>@,;:\"()]{1,255}")


def feedback(report: mime.Entity, parts: list[mime.Entity]) -> tuple[Feedback, tuple[str, ...]]:
    """The opinion and whose it is."""
    told = mime.fields(report.text())

    def one(*names: str) -> str:
        return next((told[name][0] for name in names if told.get(name)), "")

    kind = one("feedback-type").partition(";")[0].strip().lower()
    return (
        Feedback(
            type=kind[:50],
            complaint=kind in COMPLAINTS,
            source_ip=_ip(one("source-ip", "source")),
            arrival=one("arrival-date", "received-date")[:100],
            reported_domain=one("reported-domain").lower()[:255],
        ),
        _recipients(told, parts),
    )


_JUNK_SUBJECT = re.compile(r"complaint about message from \[?([0-9a-f.:]{3,45})", re.IGNORECASE)


def junk_mail_report(mail: mime.Entity, parts: list[mime.Entity]) -> tuple[Feedback, tuple[str, ...]] | None:
    """Outlook.com's complaint of the older shape: the mail itself, with the recipient in a header; else None."""
    for part in parts:
        if part.type == "message/rfc822":
            headers = mime.fields(mime.decoded(part.content()[:60_000].partition(b"\n\n")[0]))
            told = headers.get("x-hmxmroriginalrecipient")
            if told:
                sender = _JUNK_SUBJECT.search(mail.header("subject")[:200])
                opinion = Feedback(type="abuse", complaint=True, source_ip=_ip(sender[1]) if sender else "")
                return opinion, tuple(one[0].lower() for one in _ADDRESS.finditer(told[0][:400]))
    return None


def _recipients(told: mime.Headers, parts: list[mime.Entity]) -> tuple[str, ...]:
    """Original-Rcpt-To; reporters that hide it leave Removal-Recipient or the header of the mail."""
    for name in ("original-rcpt-to", "removal-recipient"):
        found = [match[0].lower() for value in told.get(name, []) for match in _ADDRESS.finditer(value[:2_000])]
        if found:
            return tuple(dict.fromkeys(found))[:100]
    for part in parts:
        if part.type in ("message/rfc822", "text/rfc822-headers"):
            headers = mime.fields(mime.decoded(part.content()[:60_000].partition(b"\n\n")[0]))
            match = _ADDRESS.search((headers.get("to") or [""])[0][:2_000])
            if match:
                return (match[0].lower(),)
    return ()


_TAGGED = re.compile(r"^ipv[46]:", re.IGNORECASE)


def _ip(value: str) -> str:
    """The address of a field, which may be in brackets, have a tag before it and a comment after it."""
    first = value.strip("[] ").partition(" ")[0].rstrip("]")
    try:
        return str(ipaddress.ip_address(_TAGGED.sub("", first)))
    except ValueError:
        return ""
