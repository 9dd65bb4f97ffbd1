"""Feedback reports: which of them are complaints, and about what (RFC 5965, RFC 6591)."""

from __future__ import annotations

import ipaddress
import re

from domain.reports import mime, returned
from domain.reports.model import Feedback
from domain.reports.returned import ADDRESS

#: A recipient's spam button, fraud, a virus, or a reason the format has no word for. All other types are
#: none: not-spam takes one back, auth-failure and dmarc are about authentication, opt-out is a wish.
COMPLAINTS = frozenset({"abuse", "fraud", "phishing", "virus", "other", "complaint", "spam", "miscategorized"})


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
            sender=next(iter(ADDRESS.findall(one("original-mail-from")[:500])), ""),
            message_id=one("original-message-id", "message-id").strip("<> ")[:500],
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
                return opinion, tuple(one[0].lower() for one in ADDRESS.finditer(told[0][:400]))
    return None


def _recipients(told: mime.Headers, parts: list[mime.Entity]) -> tuple[str, ...]:
    """Original-Rcpt-To; reporters that hide it leave Removal-Recipient, a header of the mail, or a VERP sender.

    An address that was made unreadable tells the provider at least: it is the answer when there is no other.
    """
    hidden: tuple[str, ...] = ()
    for place in (told, returned.headers(parts) or {}):
        for name in _WHOM:
            found = [match[0].lower() for value in place.get(name, []) for match in ADDRESS.finditer(value[:2_000])]
            open_ = tuple(dict.fromkeys(one for one in found if not _HIDDEN.search(one)))[:100]
            if open_ and (len(open_) == 1 or name not in _OF_ALL):
                return open_
            hidden = hidden or tuple(dict.fromkeys(found))[:1]
        for taken in returned.taken_for(place):
            if not _HIDDEN.search(taken):
                return (taken,)
    return hidden


#: Fields and headers that name whom a mail was for, the surest first.
_WHOM = ("original-rcpt-to", "removal-recipient", "x-rcpt-to", "x-envelope-to", "envelope-to", "to")
#: They may name others beside him.
_OF_ALL = frozenset({"to"})
#: What reporters put in the place of a recipient.
_HIDDEN = re.compile(r"redacted|^(?:x{3,}|\*+|hidden|removed|undisclosed|anonymous|anonymi[sz]ed)[^@]*@", re.IGNORECASE)


_TAGGED = re.compile(r"^ipv[46]:", re.IGNORECASE)


def _ip(value: str) -> str:
    """The address of a field, which may be in brackets, have a tag before it and a comment after it."""
    first = value.strip("[] ").partition(" ")[0].rstrip("]")
    try:
        return str(ipaddress.ip_address(_TAGGED.sub("", first)))
    except ValueError:
        return ""
