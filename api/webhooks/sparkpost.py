"""SparkPost's webhooks. They are not signed: a shared secret comes with them, see ``shared_secret``."""

from __future__ import annotations

from typing import Any

from api.webhooks import shared_secret
from api.webhooks.reading import (
    NO_COMPLAINT,
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

SETTING = "webhook_sparkpost_secret"

_KINDS = {
    "injection": Kind.SENT,
    "delivery": Kind.DELIVERED,
    "policy_rejection": Kind.DROPPED,
    "generation_failure": Kind.DROPPED,
    "generation_rejection": Kind.DROPPED,
    "open": Kind.OPENED,
    "initial_open": Kind.OPENED,
    "amp_open": Kind.OPENED,
    "amp_initial_open": Kind.OPENED,
    "click": Kind.CLICKED,
    "amp_click": Kind.CLICKED,
    "list_unsubscribe": Kind.UNSUBSCRIBED,
    "link_unsubscribe": Kind.UNSUBSCRIBED,
}
#: Types that are what their reply or report says.
_JUDGED = frozenset({"bounce", "out_of_band", "delay", "spam_complaint"})
#: Classes of bounces that are no failure of a delivery: what SparkPost itself did not send, and answers of machines.
_NO_BOUNCE = {
    "25": Kind.DROPPED,
    "26": Kind.DROPPED,
    "60": Kind.AUTOREPLY,
    "80": Kind.SUBSCRIBED,
    "90": Kind.UNSUBSCRIBED,
    "100": Kind.AUTOREPLY,
}
#: Classes and types of events that are about something else than mail that was sent.
_OTHER = frozenset({"relay_event", "ab_test_event", "ingest_event", "sms_status"})


async def read(delivery: Delivery) -> Reading:
    """Events of a request that came with the secret."""
    shared_secret.verify(delivery.headers, delivery.settings.webhook_sparkpost_secret)
    return Reading(normalise(delivery.body, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Events of a body; SparkPost's test of an address holds none."""
    given = document(body)
    found = []
    for place, one in enumerate(given if isinstance(given, list) else [given]):
        wrapped = mapping(mapping(one, f"[{place}]").get("msys"), f"[{place}].msys")
        found += [
            _event(mapping(raw, f"[{place}].msys.{name}"), f"[{place}]", now)
            for name, raw in wrapped.items()
            if name not in _OTHER and text(inner(raw).get("type")) not in _OTHER
        ]
    return found


def _event(raw: dict[str, Any], place: str, now: float) -> MailEvent:
    name = text(raw.get("type"))
    if name not in _KINDS and name not in _JUDGED:
        return not_known("sparkpost", raw, name, f"{place}.type", now, text(raw.get("event_id")))
    recipient = text(raw.get("raw_rcpt_to")) or text(raw.get("rcpt_to"))
    provider = mailbox.by_recipient(recipient)
    reply = text(raw.get("raw_reason")) or text(raw.get("reason"))
    judged = _judged(raw, name, reply, provider)
    at, sent, mine = raw.get("timestamp"), raw.get("injection_time"), own(raw.get("rcpt_meta"))
    return MailEvent(
        source="sparkpost",
        event_id=text(raw.get("event_id")) or derived(raw),
        kind=judged.kind,
        # `ip_address` is the other side's.
        address=mine.address or address(raw.get("sending_ip")),
        provider=provider,
        sender=mine.sender or label(raw.get("subaccount_id")),
        campaign=mine.campaign or label(raw.get("campaign_id")),
        at_ms=int(now * 1000) if at is None else epoch_ms(at, f"{place}.timestamp"),
        sent_ms=None if sent is None else epoch_ms(sent, f"{place}.injection_time"),
        recipient=recipient,
        message_id=text(raw.get("message_id")) or text(raw.get("transmission_id")),
        detail=reply,
        reply_class=judged.reply_class,
        local=judged.local,
    )


def _judged(raw: dict[str, Any], name: str, reply: str, provider: str) -> Judged:
    internal = "[internal]" in reply
    if name in ("bounce", "out_of_band"):
        bounce_class = text(raw.get("bounce_class"))
        if bounce_class in _NO_BOUNCE:
            return Judged(_NO_BOUNCE[bounce_class])
        return failure(reply, provider, local=internal)
    if name == "delay":
        return deferral(reply, provider, local=internal)
    if name == "spam_complaint":
        return Judged(Kind.FEEDBACK if text(raw.get("fbtype")).lower() in NO_COMPLAINT else Kind.COMPLAINED)
    return Judged(_KINDS[name])
