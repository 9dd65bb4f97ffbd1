"""The generic webhook: Standard Webhooks signatures (HMAC-SHA256), our own words for events."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from api.webhooks.reading import (
    MILLISECONDS,
    Rejected,
    address,
    document,
    epoch_ms,
    fresh,
    unreadable,
)
from api.webhooks.source import Delivery, Reading
from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure
from domain.words import MailboxProvider, Severity

#: Seconds between signing and arrival, as the specification's own libraries have it.
TOLERANCE = 300.0


_Name = Annotated[str, msgspec.Meta(max_length=100)]


class GenericEvent(msgspec.Struct, kw_only=True, gc=False):
    """One event as a sender or a monitor posts it; fields that are not known are ignored.

    Read by msgspec and not by pydantic, which takes five times as long: this is the hot way in.

    Attributes:
        id: own id; the same twice counts once.
        kind: a reply given with ``bounced`` is classified here.
        detail: SMTP reply, or the text of an alert.
    """

    kind: Kind
    id: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    ip: str = ""
    recipient: Annotated[str, msgspec.Meta(max_length=320)] = ""
    provider: MailboxProvider | None = None
    sender: _Name = ""
    campaign: _Name = ""
    mx: str = ""
    at: str | float | None = None
    sent_at: str | float | None = None
    message_id: Annotated[str, msgspec.Meta(max_length=500)] = ""
    detail: str = ""
    severity: Severity = Severity.INFO


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature header of a body.

    Raises:
        ValueError: the secret is no base64.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def verify(body: bytes, headers: Mapping[str, str], secret: str, now: float) -> str:
    """Check the signature over the bytes as they came; answers the message id.

    Raises:
        Rejected: missing, forged or replayed.
    """
    message_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
    given = headers.get("webhook-signature")
    if not message_id or not timestamp or not given:
        raise Rejected("webhook-id, webhook-timestamp and webhook-signature must be sent.")
    try:
        expected = sign(secret, message_id, timestamp, body)
    except (binascii.Error, ValueError):
        raise Rejected(
            "WARMPATH_WEBHOOK_GENERIC_SECRET is not of the form whsec_BASE64.",
            status=503,
            code="not_configured",
        ) from None
    offered = [one.encode("utf-8", "replace") for one in given.split()]
    if not any(hmac.compare_digest(expected.encode(), one) for one in offered):
        raise Rejected("The signature does not fit the body.")
    fresh(timestamp, now, TOLERANCE)
    return message_id


_LIST = msgspec.json.Decoder(list[GenericEvent])
#: The field that msgspec says is at fault.
_FIELD = re.compile(r"(?:required field `| - at `\$\.)(\w+)`")
#: The words that a field may hold.
_WORDS = {
    "kind": tuple(kind for kind in Kind if kind is not Kind.UNKNOWN),
    "provider": tuple(MailboxProvider),
    "severity": tuple(Severity),
}


def events(body: bytes, message_id: str, now: float) -> list[MailEvent]:
    """Events of a verified body: one object, a list, or ``{"events": [...]}``.

    Raises:
        Rejected: names the entry and the field.
    """
    return [_event(one, place, message_id, now) for place, one in enumerate(_entries(body))]


def _entries(body: bytes) -> list[GenericEvent]:
    if body.lstrip()[:1] == b"[":
        try:
            return _LIST.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # Read again below, slowly, to say what is wrong.
    given: Any = document(body)
    if isinstance(given, dict):
        given = given.get("events", [given])
    if not isinstance(given, list):
        raise unreadable("events must be a list.", "events")
    return [_entry(raw, place) for place, raw in enumerate(given)]


def _entry(raw: Any, place: int) -> GenericEvent:
    try:
        return msgspec.convert(raw, GenericEvent)
    except msgspec.ValidationError as error:
        told = str(error)
        named = _FIELD.search(told)
        field = f"events[{place}].{named[1]}" if named else f"events[{place}]"
        words = _WORDS.get(named[1] if named else "", ()) if "enum" in told else ()
        choices = f"; choose from {', '.join(words)}" if words else ""
        raise unreadable(f"{field}: {told.partition(' - at ')[0]}{choices}.", field) from None


_NOT_JUDGED = Judged(Kind.FAILED)
#: Members that are asked for of each event: looking one up in its enumeration takes ten times as long.
_UNKNOWN = Kind.UNKNOWN
_FAILURES = frozenset({Kind.BOUNCED, Kind.BLOCKED, Kind.FAILED})


def _event(one: GenericEvent, place: int, message_id: str, now: float) -> MailEvent:
    kind = one.kind
    if kind is _UNKNOWN:
        # Words of our own contract: another one is a mistake of whoever posts, who is told at once.
        told = f"choose from {', '.join(_WORDS['kind'])}"
        raise unreadable(f"events[{place}].kind: 'unknown' is no kind; {told}.", f"events[{place}].kind")
    sender = address(one.ip) if one.ip else ""
    if one.ip and not sender:
        raise unreadable(f"events[{place}].ip: {one.ip[:60]!r} is no IP address.", f"events[{place}].ip")
    at, sent, judged = one.at, one.sent_at, _NOT_JUDGED
    provider = one.provider or (mailbox.by_mx([one.mx]) if one.mx else mailbox.by_recipient(one.recipient))
    if one.detail and kind in _FAILURES:
        judged = failure(one.detail, provider)
        kind = judged.kind if kind is Kind.BOUNCED else kind
    elif one.detail and kind is Kind.DEFERRED:
        judged = deferral(one.detail, provider)
        kind = judged.kind
    at_ms = int(now * 1000) if at is None else _moment(at, place, "at")
    sent_ms = None if sent is None else _moment(sent, place, "sent_at")
    # By place and not by name: the hot way in.
    return MailEvent(
        "generic", one.id or f"{message_id}:{place}", kind, at_ms, sender, provider, one.sender, one.campaign, sent_ms,
        one.recipient, one.message_id, one.detail, judged.reply_class, judged.local, "", one.severity,
    )  # fmt: skip


def _moment(value: str | float, place: int, name: str) -> int:
    if value.__class__ is float and 0 <= value < MILLISECONDS:
        return int(value * 1000)
    return epoch_ms(value, f"events[{place}].{name}")


SETTING = "webhook_generic_secret"


async def read(delivery: Delivery) -> Reading:
    """Events of a signed request."""
    secret = delivery.settings.webhook_generic_secret
    assert secret is not None
    message_id = verify(delivery.body, delivery.headers, secret.get_secret_value(), delivery.now)
    return Reading(events(delivery.body, message_id, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Events of a body without a signature; those without an id are numbered."""
    return events(body, "unsigned", now)
