"""SendGrid's signed event webhook: ECDSA (P-256, SHA-256) over timestamp and raw body."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from api.webhooks.reading import (
    Rejected,
    address,
    derived,
    document,
    epoch_ms,
    fresh,
    label,
    mapping,
    not_known,
    text,
    unreadable,
)
from api.webhooks.source import Delivery, Reading
from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"
#: Seconds between signing and arrival; SendGrid signs each try anew.
TOLERANCE = 600.0

_KINDS = {
    "processed": Kind.SENT,
    "delivered": Kind.DELIVERED,
    "dropped": Kind.DROPPED,
    "spamreport": Kind.COMPLAINED,
    "open": Kind.OPENED,
    "click": Kind.CLICKED,
    "unsubscribe": Kind.UNSUBSCRIBED,
    "group_unsubscribe": Kind.UNSUBSCRIBED,
    "group_resubscribe": Kind.SUBSCRIBED,
}
#: Events that are about the account and not about a mail.
_OTHER = frozenset({"account_status_change"})
#: What SendGrid says itself, in small letters, when it finds no server or reaches none: no receiver said it.
_OWN_WORDS = ("unable to get mx info", "error dialing remote address")
#: In opens and clicks `ip` is the reader's address, elsewhere the one that sent.
_IP_IS_READER = frozenset({"open", "click", "unsubscribe", "group_unsubscribe", "group_resubscribe"})


def verify(body: bytes, headers: Mapping[str, str], public_key: str, now: float) -> None:
    """Check the signature over the bytes as they came.

    Args:
        public_key: base64 of the DER key, as SendGrid shows it.
        now: epoch seconds.

    Raises:
        Rejected: missing, forged or replayed.
    """
    signature, timestamp = headers.get(SIGNATURE), headers.get(TIMESTAMP)
    if not signature or not timestamp:
        raise Rejected("The request is not signed: switch on the signed event webhook at SendGrid.")
    try:
        key = load_der_public_key(base64.b64decode(public_key, validate=True))
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("another kind of key")  # noqa: TRY004 - refused below like any wrong key
    except ValueError:
        raise Rejected(
            "WARMPATH_WEBHOOK_SENDGRID_PUBLIC_KEY is not SendGrid's verification key.",
            status=503,
            code="not_configured",
        ) from None
    try:
        key.verify(
            base64.b64decode(signature, validate=True),
            timestamp.encode() + body,
            ec.ECDSA(hashes.SHA256()),
        )
    except (InvalidSignature, binascii.Error, ValueError):
        raise Rejected("The signature does not fit the body.") from None
    fresh(timestamp, now, TOLERANCE)


def events(body: bytes, now: float = 0.0) -> list[MailEvent]:
    """Events of a verified body: SendGrid's list, or one of them by itself.

    Raises:
        Rejected: names the entry that cannot be read.
    """
    given = document(body)
    if not isinstance(given, list | dict):
        raise unreadable("The body must be a list of events.")
    raw = [mapping(one, f"[{place}]") for place, one in enumerate(given if isinstance(given, list) else [given])]
    return [_event(one, f"[{place}]", now) for place, one in enumerate(raw) if text(one.get("event")) not in _OTHER]


def _event(raw: dict[str, Any], place: str, now: float) -> MailEvent:
    event_id = text(raw.get("sg_event_id")) or derived(raw)
    name, recipient = text(raw.get("event")), text(raw.get("email"))
    stamp = raw.get("timestamp")
    at_ms = int(now * 1000) if stamp is None else epoch_ms(stamp, f"{place}.timestamp")
    provider = mailbox.by_recipient(recipient)
    reply = " ".join(filter(None, (text(raw.get(key)) for key in ("status", "reason", "response"))))
    local = any(words in reply.lower() for words in _OWN_WORDS)
    if name == "bounce":
        judged = failure(reply, provider, local=local)
    elif name == "deferred":
        judged = deferral(reply, provider, local=local)
    elif name in _KINDS:
        judged = Judged(_KINDS[name])
    else:
        return not_known("sendgrid", raw, name, f"{place}.event", at_ms / 1000, event_id)
    categories = raw.get("category")
    category = categories[0] if isinstance(categories, list) and categories else categories
    return MailEvent(
        source="sendgrid",
        event_id=event_id,
        kind=judged.kind,
        address="" if name in _IP_IS_READER else address(raw.get("ip")),
        provider=provider,
        sender=label(raw.get("warmpath_sender")),
        campaign=label(raw.get("warmpath_campaign")) or label(category),
        at_ms=at_ms,
        recipient=recipient,
        message_id=text(raw.get("sg_message_id")) or text(raw.get("smtp-id")),
        detail=reply,
        reply_class=judged.reply_class,
        local=judged.local,
    )


SETTING = "webhook_sendgrid_public_key"


async def read(delivery: Delivery) -> Reading:
    """Events of a signed request."""
    verify(delivery.body, delivery.headers, delivery.settings.webhook_sendgrid_public_key or "", delivery.now)
    return Reading(events(delivery.body, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Events of a body without a signature."""
    return events(body, now)
