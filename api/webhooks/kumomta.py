"""KumoMTA's log hook: its log records as JSON, one, a list, or one a line; a shared secret comes with them."""

from __future__ import annotations

import json
from typing import Any

from api.webhooks import shared_secret
from api.webhooks.reading import (
    NO_COMPLAINT,
    Rejected,
    address,
    derived,
    document,
    epoch_ms,
    inner,
    label,
    mapping,
    not_known,
    own,
    text,
)
from api.webhooks.source import Delivery, Reading
from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure
from domain.words import MailboxProvider

SETTING = "webhook_kumomta_secret"

_KINDS = {
    "Reception": Kind.SENT,
    "Delivery": Kind.DELIVERED,
    "AdminBounce": Kind.DROPPED,
    "Rejection": Kind.DROPPED,
}
#: Records that are what their reply or report says.
_JUDGED = frozenset({"Bounce", "OOB", "Expiration", "TransientFailure", "Delayed", "Feedback"})
#: Records that are about a mail by a report that came in: of themselves they tell the report's id and creation.
_REPORTED = frozenset({"Feedback", "OOB"})
_CAME_IN = frozenset({"Reception", "Rejection"})
#: Records of moves inside of the mail system.
_MOVES = frozenset({"AdminRebind", "DeferredInjectionRebind", "XferOut", "XferIn"})


async def read(delivery: Delivery) -> Reading:
    """Events of a request that came with the secret."""
    shared_secret.verify(delivery.headers, delivery.settings.webhook_kumomta_secret)
    return Reading(normalise(delivery.body, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Events of a body."""
    found = []
    for place, raw in enumerate(_records(body)):
        record = mapping(raw, f"[{place}]")
        name = text(record.get("type"))
        if name not in _MOVES:
            found += [_event(record, name, one, f"[{place}]", now) for one in _recipients(record.get("recipient"))]
    return found


def _records(body: bytes) -> list[Any]:
    try:
        given = document(body)
    except Rejected:
        lines = [line for line in body.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [document(line) for line in lines]
    return given if isinstance(given, list) else [given]


def _recipients(given: Any) -> list[str]:
    """A record is of one recipient, of several when they were sent to in one transaction, or of none."""
    return [text(one) for one in given] if isinstance(given, list) and given else [text(given)]


def _event(record: dict[str, Any], name: str, recipient: str, place: str, now: float) -> MailEvent:
    if name not in _KINDS and name not in _JUDGED:
        return not_known("kumomta", record, name, f"{place}.type", now)
    feedback, meta = inner(record.get("feedback_report")), inner(record.get("meta"))
    if name == "Feedback":
        recipient = _complainer(feedback)
    # The peer of what came in is whoever handed it over.
    came = name in _CAME_IN
    host = "" if came else text(inner(record.get("peer_address")).get("name"))
    host = host or text(record.get("site")).rpartition(")")[2]
    provider = mailbox.by_mx([host.lstrip("?.")])
    if name not in _KINDS and provider is MailboxProvider.OTHER:
        provider = mailbox.by_mx([text(record.get("site"))])
    if provider is MailboxProvider.OTHER:
        provider = mailbox.by_recipient(recipient)
    reply = _reply(record)
    judged = _judged(name, feedback, reply, provider)
    queue = _queue(text(record.get("queue")))
    # Newer releases tell the same instant to the nanosecond, too.
    at, mine = record.get("event_time") or record.get("timestamp"), own(meta)
    # A record of a report was made when it came; its mail was sent when the report says, if it does.
    sent = _instant(feedback.get("arrival_date") if name in _REPORTED else record.get("created"))
    identity = text(record.get("id"))
    told = (name, identity, recipient, text(record.get("timestamp") or at), text(record.get("num_attempts")))
    return MailEvent(
        source="kumomta",
        event_id=":".join(told) if identity else derived(record),
        kind=judged.kind,
        address=mine.address or address(feedback.get("source_ip")),
        bound_address=_bound(text(inner(record.get("source_address")).get("address"))),
        provider=provider,
        sender=mine.sender or label(meta.get("tenant")) or queue[1],
        campaign=mine.campaign or label(meta.get("campaign")) or queue[0],
        at_ms=int(now * 1000) if at is None else epoch_ms(at, f"{place}.timestamp"),
        sent_ms=sent,
        recipient=recipient,
        # The id of a report is of no mail that was sent: nothing is to be looked for under it.
        message_id="" if name in _REPORTED else _message_id(record) or identity,
        detail=reply or json.dumps(feedback)[:500] if feedback else reply,
        reply_class=judged.reply_class,
        local=judged.local,
    )


def _complainer(feedback: dict[str, Any]) -> str:
    """Who complained; the record's own recipient is the mailbox that takes the reports."""
    extensions = inner(feedback.get("extensions"))
    for told in (
        # The first is how KumoMTA spells it.
        feedback.get("original_rcpto_to"),
        feedback.get("original_rcpt_to"),
        inner(feedback.get("supplemental_trace")).get("recipient"),
        extensions.get("removal-recipient"),
    ):
        found = text(told[0] if isinstance(told, list) and told else told).strip("<> ")
        if found:
            return found
    return ""


def _message_id(record: dict[str, Any]) -> str:
    """The Message-ID, which reports by mail quote; empty unless the hook was told to log it."""
    headers = inner(record.get("headers"))
    return next((text(told).strip("<> ") for name, told in headers.items() if name.lower() == "message-id"), "")


def _instant(value: Any) -> int | None:
    """An instant that may be missing or, in a report of somebody else, no date at all."""
    try:
        return None if value is None else epoch_ms(value, "arrival_date")
    except Rejected:
        return None


def _judged(name: str, feedback: dict[str, Any], reply: str, provider: str) -> Judged:
    if name in ("Bounce", "OOB"):
        return failure(reply, provider, local="KumoMTA internal:" in reply)
    if name == "Expiration":
        return failure(reply, provider, local=True)
    if name in ("TransientFailure", "Delayed"):
        return deferral(reply, provider, local=name == "Delayed" or "KumoMTA internal:" in reply)
    if name == "Feedback":
        told = text(feedback.get("feedback_type")).lower().replace("_", "-")
        return Judged(Kind.FEEDBACK if told in NO_COMPLAINT else Kind.COMPLAINED)
    return Judged(_KINDS[name])


def _reply(record: dict[str, Any]) -> str:
    response = inner(record.get("response"))
    enhanced = inner(response.get("enhanced_code"))
    status = ".".join(text(enhanced.get(part)) for part in ("class", "subject", "detail")) if enhanced else ""
    return " ".join(filter(None, (text(response.get("code")), status, text(response.get("content")))))


def _queue(name: str) -> tuple[str, str]:
    """Campaign and tenant of a queue's name, which is ``campaign:tenant@domain`` with either left out."""
    before, at, _ = name.rpartition("@")
    if not at:
        return "", ""
    campaign, colon, tenant = before.partition(":")
    return (label(campaign), label(tenant)) if colon else ("", label(campaign))


def _bound(told: str) -> str:
    """The address of ``address:port``; IPv6 stands in brackets."""
    return address(told.rpartition(":")[0].strip("[]")) or address(told)
