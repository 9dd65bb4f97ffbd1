"""Mailgun's webhooks: HMAC-SHA256 over timestamp and token, each token once; JSON, and the older forms."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from api.webhooks.reading import (
    Rejected,
    address,
    derived,
    document,
    epoch_ms,
    fresh,
    inner,
    label,
    mapping,
    not_known,
    own,
    text,
    unreadable,
)
from api.webhooks.source import Delivery, Reading
from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure
from domain.words import MailboxProvider

SETTING = "webhook_mailgun_signing_key"
#: Seconds between signing and arrival; Mailgun signs each try anew.
TOLERANCE = 600.0

_KINDS = {
    "accepted": Kind.SENT,
    "delivered": Kind.DELIVERED,
    "rejected": Kind.DROPPED,
    "dropped": Kind.DROPPED,
    "complained": Kind.COMPLAINED,
    "opened": Kind.OPENED,
    "clicked": Kind.CLICKED,
    "unsubscribed": Kind.UNSUBSCRIBED,
}

#: Events that are about the account and mail that came in.
_OTHER = frozenset({"stored", "list_member_uploaded", "list_member_upload_error", "list_uploaded", "email_validation"})


def verify(signature: Mapping[str, Any], key: str, now: float) -> str:
    """Check the signature of a request; answers its token.

    Raises:
        Rejected: missing, forged or stale.
    """
    timestamp, token, given = (text(signature.get(name)) for name in ("timestamp", "token", "signature"))
    if not timestamp or not token or not given:
        raise Rejected("signature must hold timestamp, token and signature.", field="signature")
    told = (timestamp + token).encode("utf-8", "replace")
    expected = hmac.new(key.encode(), told, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise Rejected("The signature does not fit its timestamp and token.", field="signature")
    fresh(timestamp, now, TOLERANCE)
    return token


async def read(delivery: Delivery) -> Reading:
    """Events of a signed request; its token is of use once."""
    given = _body(delivery.body, delivery.headers.get("content-type", ""))
    key = delivery.settings.webhook_mailgun_signing_key
    assert key is not None
    signature = given.get("signature")
    token = verify(signature if isinstance(signature, dict) else given, key.get_secret_value(), delivery.now)
    return Reading(_events(given, delivery.now), once=("mailgun token", token))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """The event of a body without a look at its signature."""
    return _events(_body(body, ""), now)


def _body(body: bytes, content_type: str) -> dict[str, Any]:
    if content_type.startswith("multipart/"):
        raise unreadable("Forms with files are not read; use Mailgun's JSON webhooks.", "content-type")
    if not content_type.startswith("application/x-www-form-urlencoded"):
        return mapping(document(body), "body")
    try:
        # Variables of the sender come merged into the form: Mailgun's own fields stand first, its signature last.
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise unreadable(f"The form cannot be read: {error}.") from None
    form: dict[str, Any] = {}
    for name, value in pairs:
        if name in ("timestamp", "token", "signature"):
            form[name] = value
        else:
            form.setdefault(name, value)
    return form


def _events(given: dict[str, Any], now: float) -> list[MailEvent]:
    name = text((inner(given.get("event-data")) or given).get("event"))
    return [] if name in _OTHER else [_event(given, now)]


def _event(given: dict[str, Any], now: float) -> MailEvent:
    data = given.get("event-data")
    if data is None and not _alone(given):
        return _older(given, now)
    event = given if data is None else mapping(data, "event-data")
    name = text(event.get("event"))
    headers = inner(inner(event.get("message")).get("headers"))
    status, envelope = inner(event.get("delivery-status")), inner(event.get("envelope"))
    recipient = text(event.get("recipient")) or _mailbox(text(headers.get("to")))
    provider = mailbox.by_recipient(recipient)
    if text(status.get("mx-host")) and provider is MailboxProvider.OTHER:
        provider = mailbox.by_mx([text(status.get("mx-host"))])
    reply = _reply(status) or text(inner(event.get("reject")).get("reason"))
    if name == "failed":
        judged = _failed(event, status, reply, provider)
    elif name in _KINDS:
        judged = Judged(_KINDS[name])
    else:
        return not_known("mailgun", event, name, "event-data.event", now, text(event.get("id")))
    token = text(inner(given.get("signature")).get("token"))
    identity, stamp = text(event.get("id")), event.get("timestamp")
    mine = own(event.get("user-variables"))
    return MailEvent(
        source="mailgun",
        event_id=token or identity or derived(event),
        # The id is unique within a day only, and a token differs from try to try.
        once=f"{identity}:{text(stamp)}" if identity else "",
        kind=judged.kind,
        address=mine.address or address(envelope.get("sending-ip")),
        provider=provider,
        sender=mine.sender,
        campaign=mine.campaign or _campaign(event),
        at_ms=int(now * 1000) if stamp is None else epoch_ms(stamp, "event-data.timestamp"),
        recipient=recipient,
        message_id=text(headers.get("message-id")).strip("<>"),
        detail=reply,
        reply_class=judged.reply_class,
        local=judged.local,
    )


def _alone(given: dict[str, Any]) -> bool:
    """Whether this is what a request holds as `event-data`, by itself, as Mailgun's log of events lists it."""
    return any(isinstance(given.get(part), dict) for part in ("message", "delivery-status", "envelope"))


def _failed(event: dict[str, Any], status: dict[str, Any], reply: str, provider: str) -> Judged:
    code = text(status.get("code"))
    if text(event.get("reason")) == "old" or code == "602":
        # Tried until it was too old: attempts that found nobody, not mail that was never sent.
        return failure(reply, provider, local=True)
    if text(event.get("reason")).startswith("suppress-") or code.startswith("6"):
        return Judged(Kind.DROPPED)
    # 498 and 499 are no SMTP: Mailgun found no server, or none that answered.
    local = code in ("498", "499")
    if text(event.get("severity")) == "temporary":
        return deferral(reply, provider, local=local)
    return failure(reply, provider, local=local)


def _reply(status: dict[str, Any]) -> str:
    said = text(status.get("message")) or text(status.get("description"))
    code, enhanced = text(status.get("code")), text(status.get("enhanced-code"))
    if not said or said.startswith(code):
        return said
    return f"{code} {said}" if not enhanced or enhanced in said else f"{code} {enhanced} {said}"


def _campaign(event: dict[str, Any]) -> str:
    campaigns, tags = event.get("campaigns"), event.get("tags")
    first = campaigns[0] if isinstance(campaigns, list) and campaigns else None
    named = label(inner(first).get("name")) or label(inner(first).get("id"))
    return named or (label(tags[0]) if isinstance(tags, list) and tags else "")


def _mailbox(header: str) -> str:
    """The address of a header field with one mailbox."""
    return header.rpartition("<")[2].rstrip("> ") if "<" in header else header.strip()


def _older(form: dict[str, Any], now: float) -> MailEvent:
    """An event of the webhooks that Mailgun had before 2018: one flat form."""
    name, recipient = text(form.get("event")), text(form.get("recipient"))
    provider = mailbox.by_recipient(recipient)
    reply = text(form.get("error")) or text(form.get("notification")) or text(form.get("description"))
    if name == "bounced":
        judged = failure(reply, provider)
    elif name in _KINDS:
        judged = Judged(_KINDS[name])
    else:
        return not_known("mailgun", form, name, "event", now, text(form.get("token")))
    stamp, mine = form.get("timestamp"), own(form)
    return MailEvent(
        source="mailgun",
        event_id=text(form.get("token")) or derived(form),
        kind=judged.kind,
        address=mine.address,
        provider=provider,
        sender=mine.sender,
        campaign=mine.campaign or label(form.get("campaign-name")) or label(form.get("X-Mailgun-Tag")),
        at_ms=int(now * 1000) if stamp is None else epoch_ms(stamp, "timestamp"),
        recipient=recipient,
        message_id=(text(form.get("Message-Id")) or text(form.get("message-id"))).strip("<>"),
        detail=reply,
        reply_class=judged.reply_class,
        local=judged.local,
    )
