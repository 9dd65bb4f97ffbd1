"""Reports that come by mail: delivery status (RFC 3464, 6533), abuse (RFC 5965), notifications of
Amazon SES, and what old servers write.

``read`` takes the bytes of a mail and never raises on its content. An auto-reply is no bounce, a receipt is
none, and within a report only a recipient whose action is ``failed`` has failed (RFC 3464).
"""

from __future__ import annotations

import re
from typing import Any

from domain.reports import arf, dsn, mime, plain, returned, sns
from domain.reports.model import Action, Feedback, Format, Original, Outcome, Report

__all__ = ["Action", "Feedback", "Format", "Original", "Outcome", "Report", "read"]

#: Reports of one mail; others sum up what was seen in a day (RFC 8460).
_ABOUT_MAIL = re.compile(r"^$|delivery-status|feedback", re.IGNORECASE)
#: Parts in which a notification may be.
_WITH_JSON = ("text/plain", "application/json")
_ANGLE = re.compile(r"<([^<>\s]{1,320})>")
_USUAL = frozenset(
    {"from", "to", "date", "subject", "message-id", "received", "return-path", "content-type", "mime-version"}
)
_AUTO_SUBJECT = re.compile(
    r"^(?:re: ?)?\[?(?:auto(?:mat(?:i(?:c|sche|que|ca|co|sk)|yczn)\w*)?[ -:]{0,3}"
    r"(?:re(?:ply|sponse|spuesta)|antwort|svar|odpowied)|"
    r"autoreply|auto: |(?:.{0,60}is )?out of (?:the )?office|"
    r"abwesen|vacation|absence|ooo\b|i am (?:away|on)|on holiday|"
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
    original = _original(parts)
    common: dict[str, Any] = {
        "message_id": mail.header("message-id").strip("<> "),
        "to": first_address(mail.header("x-original-to") or mail.header("delivered-to") or mail.header("to")),
        "date": mail.header("date"),
        "original": original,
    }
    statuses = [part for part in parts if part.type in dsn.TYPES]
    for status in statuses:
        outcomes = _for_somebody(dsn.outcomes(status, parts), original.recipient)
        if outcomes:
            return Report(format=Format.DSN, outcomes=outcomes, queue_id=dsn.queue_id(status), **common)
    feedback = next((part for part in parts if part.type == "message/feedback-report"), None)
    if feedback is not None:
        opinion, recipients = arf.feedback(feedback, parts)
        told = {
            "message_id": original.message_id or opinion.message_id,
            "sender": original.sender or opinion.sender,
        }
        common["original"] = original.model_copy(update=told)
        return Report(format=Format.ARF, feedback=opinion, recipients=recipients, **common)
    complained = arf.junk_mail_report(mail, parts)
    if complained is not None:
        return Report(format=Format.ARF, feedback=complained[0], recipients=complained[1], **common)
    notified = next(filter(None, (sns.read(part.text()) for part in parts if part.type in _WITH_JSON)), None)
    if notified is not None:
        common["original"], outcomes, complaint, whom = notified
        if complaint is not None:
            return Report(format=Format.ARF, feedback=complaint, recipients=whom, **common)
        return Report(format=Format.DSN, outcomes=outcomes, **common)
    if any("disposition-notification" in kind for kind in kinds):
        return Report(format=Format.RECEIPT, **common)
    bounce = bool(statuses) or plain.is_bounce(mail, _automatic(mail))
    if mail.type == "multipart/report" or bounce:
        outcomes = next(filter(None, (dsn.inline(text) for text in _texts(mail, parts))), ())
        if outcomes:
            return Report(format=Format.DSN, outcomes=_for_somebody(outcomes, original.recipient), **common)
    if bounce:
        outcomes = plain.outcomes(mail, parts, original.recipient)
        if outcomes:
            return Report(format=Format.BOUNCE, outcomes=outcomes, **common)
    if _automatic(mail):
        return Report(format=Format.AUTO_REPLY, **common)
    if mail.type == "multipart/report" and _ABOUT_MAIL.search(mail.parameters.get("report-type", "")):
        return Report(format=Format.UNREADABLE, reason="is a report whose part with the facts is missing", **common)
    return Report(format=Format.OTHER, **common)


def _for_somebody(outcomes: tuple[Outcome, ...], recipient: str) -> tuple[Outcome, ...]:
    """A report about one mail that names nobody is about whom the mail was for."""
    if len(outcomes) == 1 and not outcomes[0].recipient and recipient:
        return (outcomes[0].model_copy(update={"recipient": recipient}),)
    return outcomes


def _texts(mail: mime.Entity, parts: list[mime.Entity]) -> list[str]:
    """The texts that may hold fields of a report: also a report that a list or a filter wrapped without its header."""
    wrapped = "delivery-status" in mail.parameters.get("report-type", "").lower()
    kinds = ("text/plain", "message/rfc822") if wrapped else ("text/plain",)
    return [part.text()[:100_000] for part in parts if part.type in kinds] or [mail.text()[:100_000]]


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
    bare = returned.ADDRESS.search(value[:2_000])
    return bare[0] if bare else ""


def _original(parts: list[mime.Entity]) -> Original:
    """Headers of the mail that came back: as a message, as its headers, or quoted at the end of the text."""
    headers = returned.headers(parts)
    if headers is None:
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
        recipient=returned.recipient(headers),
    )
