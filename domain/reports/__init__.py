"""Reports that come by mail: delivery status (RFC 3464, 6533), abuse (RFC 5965), and what old servers write.

``read`` takes the bytes of a mail and never raises on its content. An auto-reply is no bounce, a receipt is
none, and within a report only a recipient whose action is ``failed`` has failed (RFC 3464).
"""

from __future__ import annotations

import re

from domain.reports import arf, dsn, mime, plain
from domain.reports.model import Action, Feedback, Format, Original, Outcome, Report

__all__ = ["Action", "Feedback", "Format", "Original", "Outcome", "Report", "read"]

#: Types of the part that holds the mail that came back, or its headers; one of them is a usual mistake.
_RETURNED = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)
_ANGLE = re.compile(r"<([^<>\s]{1,320})>")
_ADDRESS = re.compile(r"[^\s<>@,;:\"()]{1,64}@[^\s<>@,;:\"()]{1,255}")
_USUAL = frozenset(
    {"from", "to", "date", "subject", "message-id", "received", "return-path", "content-type", "mime-version"}
)
_AUTO_SUBJECT = re.compile(
    r"^(?:re: ?)?(?:auto(?:mati(?:c|sche|que|ca|co|sk)\w*)?[ -:]{0,3}(?:re(?:ply|sponse|spuesta)|antwort|svar)|"
    r"autoreply|out of (?:the )?office|abwesen|vacation|absence|ooo\b|i am (?:away|on)|on holiday|"
    r"r(?:é|e)ponse automatique|"
    r"fuera de (?:la )?oficina|assente|自動)",
    re.IGNORECASE,
)


def read(raw: bytes) -> Report:
    """What a mail reports.

    Args:
        raw: the mail as it came, with its headers.
    """
    mail = mime.read(raw)
    report = _read(mail)
    if report.format is Format.OTHER:
        # Somebody sent a report on as it came.
        for part in mail.walk():
            if part.type == "message/rfc822" and (sent_on := mime.read(part.content())).type == "multipart/report":
                return _read(sent_on)
    return report


def _read(mail: mime.Entity) -> Report:
    if not mail.headers.keys() & _USUAL:
        return Report(format=Format.UNREADABLE, reason="is no mail: none of the usual headers is there")
    parts = list(mail.walk())
    kinds = {part.type for part in parts}
    common = {
        "message_id": mail.header("message-id").strip("<> "),
        "to": first_address(mail.header("x-original-to") or mail.header("delivered-to") or mail.header("to")),
        "date": mail.header("date"),
        "original": _original(parts),
    }
    status = next((part for part in parts if part.type in dsn.TYPES), None)
    if status is not None:
        outcomes = dsn.outcomes(status, parts)
        if outcomes:
            return Report(format=Format.DSN, outcomes=outcomes, queue_id=dsn.queue_id(status), **common)
    feedback = next((part for part in parts if part.type == "message/feedback-report"), None)
    if feedback is not None:
        opinion, recipients = arf.feedback(feedback, parts)
        return Report(format=Format.ARF, feedback=opinion, recipients=recipients, **common)
    complained = arf.junk_mail_report(mail, parts)
    if complained is not None:
        return Report(format=Format.ARF, feedback=complained[0], recipients=complained[1], **common)
    if any("disposition-notification" in kind for kind in kinds):
        return Report(format=Format.RECEIPT, **common)
    if mail.type == "multipart/report":
        outcomes = next(filter(None, (dsn.inline(text) for text in _texts(mail, parts))), ())
        if outcomes:
            return Report(format=Format.DSN, outcomes=outcomes, **common)
    if plain.is_bounce(mail, _automatic(mail)):
        outcomes = plain.outcomes(mail, parts)
        if outcomes:
            return Report(format=Format.BOUNCE, outcomes=outcomes, **common)
    if _automatic(mail):
        return Report(format=Format.AUTO_REPLY, **common)
    if mail.type == "multipart/report":
        return Report(format=Format.UNREADABLE, reason="is a report whose part with the facts is missing", **common)
    return Report(format=Format.OTHER, **common)


def _texts(mail: mime.Entity, parts: list[mime.Entity]) -> list[str]:
    return [part.text()[:100_000] for part in parts if part.type == "text/plain"] or [mail.text()[:100_000]]


def _automatic(mail: mime.Entity) -> bool:
    """Whether a program answered for a person (RFC 3834 and what is older)."""
    told = mail.header("auto-submitted").strip().lower()
    return (
        told.startswith("auto-replied")
        or any(name in mail.headers for name in ("x-autoreply", "x-autorespond", "x-auto-response-from"))
        or mail.header("precedence").strip().lower() in ("auto_reply", "auto-reply")
        or mail.header("x-precedence").strip().lower() == "auto_reply"
        or _AUTO_SUBJECT.search(mime.plain(mail.header("subject"))) is not None
    )


def first_address(value: str) -> str:
    """The first mail address in a header's value, empty without one."""
    found = _ANGLE.search(value[:2_000])
    if found and "@" in found[1]:
        return found[1]
    bare = _ADDRESS.search(value[:2_000])
    return bare[0] if bare else ""


def _original(parts: list[mime.Entity]) -> Original:
    """Headers of the mail that came back: as a message, as its headers, or quoted at the end of the text."""
    for part in parts[1:]:
        if part.type in _RETURNED:
            headers = mime.fields(mime.decoded(part.content()[:60_000].partition(b"\n\n")[0]))
            break
    else:
        quoted = plain.quoted_message(parts)
        headers = mime.fields(quoted) if quoted else {}

    def one(name: str) -> str:
        return (headers.get(name) or [""])[0]

    return Original(
        message_id=one("message-id").strip("<> ")[:500],
        sender=first_address(one("return-path")),
        date=one("date")[:100],
        source=one("x-warmpath-source")[:300],
        received=one("received")[:1_000],
    )
