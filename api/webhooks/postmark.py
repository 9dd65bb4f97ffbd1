"""Postmark's webhooks. They are not signed: a shared secret comes with them, see ``shared_secret``."""

from __future__ import annotations

from typing import Any

from api.webhooks import shared_secret
from api.webhooks.reading import derived, document, epoch_ms, label, mapping, not_known, own, text
from api.webhooks.source import Delivery, Reading
from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure

SETTING = "webhook_postmark_secret"

#: Records that are what they say, and the field that says when.
_KINDS = {
    "Delivery": (Kind.DELIVERED, "DeliveredAt"),
    "SpamComplaint": (Kind.COMPLAINED, "BouncedAt"),
    "Open": (Kind.OPENED, "ReceivedAt"),
    "Click": (Kind.CLICKED, "ReceivedAt"),
    "SubscriptionChange": (Kind.UNSUBSCRIBED, "ChangedAt"),
    "Bounce": (Kind.BOUNCED, "BouncedAt"),
}
#: Records about mail that came in, or that was never taken.
_OTHER = frozenset({"Inbound", "SMTPApiError"})
#: Types of bounces that are no failures of a delivery; the others are read from the reply.
_NO_BOUNCE = {
    "Unsubscribe": Kind.UNSUBSCRIBED,
    "Subscribe": Kind.SUBSCRIBED,
    "AutoResponder": Kind.AUTOREPLY,
    "AddressChange": Kind.AUTOREPLY,
    "OpenRelayTest": Kind.AUTOREPLY,
    "ChallengeVerification": Kind.AUTOREPLY,
    "SpamComplaint": Kind.COMPLAINED,
    "ManuallyDeactivated": Kind.DROPPED,
    "Unconfirmed": Kind.DROPPED,
    "BadEmailAddress": Kind.DROPPED,
    "SMTPApiError": Kind.DROPPED,
    "TemplateRenderingFailed": Kind.DROPPED,
    "InboundError": Kind.DROPPED,
}


async def read(delivery: Delivery) -> Reading:
    """The event of a request that came with the secret."""
    shared_secret.verify(delivery.headers, delivery.settings.webhook_postmark_secret)
    return Reading(normalise(delivery.body, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """The event of a body; a list of them is read too."""
    given = document(body)
    records = [mapping(one, "body") for one in (given if isinstance(given, list) else [given])]
    return [_event(one, now) for one in records if text(one.get("RecordType")) not in _OTHER]


def _event(raw: dict[str, Any], now: float) -> MailEvent:
    record = text(raw.get("RecordType"))
    if record not in _KINDS:
        return not_known("postmark", raw, record, "RecordType", now)
    kind, when = _KINDS[record]
    recipient = text(raw.get("Recipient")) or text(raw.get("Email"))
    provider = mailbox.by_recipient(recipient)
    # `Description` explains the type of bounce with examples ("ex: unknown user"); no receiver said that.
    reply = text(raw.get("Details"))
    judged = Judged(kind)
    if record == "Bounce":
        judged = _bounce(text(raw.get("Type")), reply, provider)
    elif record == "SubscriptionChange":
        judged = Judged(_change(raw))
    at, message_id, mine = raw.get(when), text(raw.get("MessageID")), own(raw.get("Metadata"))
    identity = text(raw.get("ID"))
    return MailEvent(
        source="postmark",
        event_id=identity or derived(record, message_id, recipient, text(at), raw.get("OriginalLink")),
        kind=judged.kind,
        address=mine.address,
        provider=provider,
        sender=mine.sender,
        campaign=mine.campaign or label(raw.get("Tag")),
        at_ms=int(now * 1000) if at is None else epoch_ms(at, when),
        recipient=recipient,
        message_id=message_id,
        detail=reply,
        reply_class=judged.reply_class,
        local=judged.local,
    )


def _change(raw: dict[str, Any]) -> Kind:
    if not raw.get("SuppressSending"):
        return Kind.SUBSCRIBED
    # A bounce and a complaint have records of their own; here they are reasons for an entry in a list.
    by_itself = text(raw.get("SuppressionReason")) in ("HardBounce", "SpamComplaint")
    return Kind.FEEDBACK if by_itself else Kind.UNSUBSCRIBED


def _bounce(kind: str, reply: str, provider: str) -> Judged:
    if kind in _NO_BOUNCE:
        return Judged(_NO_BOUNCE[kind])
    if kind in ("Transient", "DnsError"):
        return deferral(reply, provider, local=kind == "DnsError")
    return failure(reply, provider)
