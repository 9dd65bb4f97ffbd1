"""Amazon SES events by SNS: signature versions 1 and 2, certificate host check, subscription."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from api.webhooks.reading import (
    NO_COMPLAINT,
    Rejected,
    address,
    document,
    epoch_ms,
    fresh,
    label,
    mapping,
    not_known,
    text,
    unreadable,
)
from api.webhooks.source import Delivery, Fetch, Reading
from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure
from domain.words import MailboxProvider
from settings import Settings

#: SNS repeats a delivery with its first timestamp for hours; each event counts once anyway.
TOLERANCE = 6 * 3600.0

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]


async def verify(body: bytes, settings: Settings, fetch: Fetch, now: float) -> dict[str, Any]:
    """The SNS message of a body, once topic, certificate and signature are right.

    Raises:
        Rejected: says which was wrong.
    """
    message = mapping(document(body), "body")
    signed = _SIGNED.get(text(message.get("Type")))
    if signed is None:
        raise unreadable(
            "Type must be Notification, SubscriptionConfirmation or UnsubscribeConfirmation.",
            "Type",
        )
    if text(message.get("TopicArn")) not in settings.webhook_ses_topic_arns:
        raise Rejected(
            "TopicArn is not accepted here; add the topic to WARMPATH_WEBHOOK_SES_TOPIC_ARNS.",
            field="TopicArn",
        )
    for name in ("SigningCertURL", "SubscribeURL"):
        if name == "SigningCertURL" or name in message:
            _check_host(text(message.get(name)), name, settings.webhook_ses_certificate_hosts)
    algorithm = {"1": hashes.SHA1, "2": hashes.SHA256}.get(text(message.get("SignatureVersion")))
    if algorithm is None:
        raise Rejected("SignatureVersion must be 1 or 2.", field="SignatureVersion")
    content = "".join(f"{key}\n{text(message[key])}\n" for key in signed if key in message)
    try:
        key = await _signing_key(text(message["SigningCertURL"]), fetch, now)
        signature = base64.b64decode(text(message.get("Signature")), validate=True)
        key.verify(
            signature,
            content.encode("utf-8", "replace"),
            padding.PKCS1v15(),
            algorithm(),
        )
    except OSError as error:
        raise Rejected(
            f"The signing certificate cannot be fetched: {error}.",
            status=503,
            code="unverified",
        ) from None
    except (InvalidSignature, ValueError):
        raise Rejected("The signature does not fit the message.", field="Signature") from None
    at = epoch_ms(message.get("Timestamp"), "Timestamp")
    fresh(str(at / 1000), now, TOLERANCE)
    return message


#: Seconds that a certificate is believed before it is fetched again, and how many are.
CERTIFICATE_SECONDS, CERTIFICATES = 3600.0, 32
_keys: WeakKeyDictionary[Fetch, dict[str, tuple[float, rsa.RSAPublicKey]]] = WeakKeyDictionary()


async def _signing_key(url: str, fetch: Fetch, now: float) -> rsa.RSAPublicKey:
    """The key of a certificate whose host was checked; fetched once an hour, not once a message.

    Raises:
        OSError: it cannot be fetched.
        ValueError: it is no certificate, not of this time, or of another kind.
    """
    known = _keys.setdefault(fetch, {})
    until, key = known.get(url, (0.0, None))
    if key is not None and now < until:
        return key
    certificate = x509.load_pem_x509_certificate(await fetch(url))
    if not certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp():
        raise ValueError("not valid now")
    found = certificate.public_key()
    if not isinstance(found, rsa.RSAPublicKey):
        raise ValueError("another kind of key")  # noqa: TRY004 - refused like any wrong key
    if len(known) >= CERTIFICATES:
        known.clear()
    known[url] = (now + CERTIFICATE_SECONDS, found)
    return found


def _check_host(url: str, field: str, hosts: str) -> None:
    try:
        parts = urlsplit(url)
        # What a client of HTTP would refuse, or read in another way than this does, goes nowhere.
        plain = (
            url.isascii()
            and url.isprintable()
            and parts.scheme == "https"
            and parts.port in (None, 443)
            and "@" not in parts.netloc
        )
    except ValueError:
        plain = False
    if not plain or not re.fullmatch(hosts, parts.hostname or ""):
        raise Rejected(f"{field} does not point to Amazon SNS over https.", field=field)


async def confirm(message: dict[str, Any], fetch: Fetch) -> None:
    """Answer a subscription request of a topic that is accepted.

    Raises:
        Rejected: Amazon could not be reached; SNS asks again.
    """
    try:
        await fetch(text(message.get("SubscribeURL")))
    except OSError as error:
        raise Rejected(
            f"The subscription cannot be confirmed: {error}.",
            status=503,
            code="unverified",
        ) from None


class Envelope(NamedTuple):
    """What SNS says of a message: its id, and when it was published, epoch milliseconds."""

    message_id: str
    at_ms: int


#: What tells nothing of mail that was sent: the tests of a new topic, and mail that Amazon receives for somebody.
_SUBSCRIBED = "AmazonSnsSubscriptionSucceeded"
_OTHER = frozenset({_SUBSCRIBED.lower(), "received"})
_TEST = "Successfully validated SNS topic"

_KINDS = {
    "send": (Kind.SENT, "send"),
    "delivery": (Kind.DELIVERED, "delivery"),
    "bounce": (Kind.BOUNCED, "bounce"),
    "complaint": (Kind.COMPLAINED, "complaint"),
    "deliverydelay": (Kind.DEFERRED, "deliveryDelay"),
    "reject": (Kind.DROPPED, "reject"),
    "rendering failure": (Kind.DROPPED, "failure"),
    "open": (Kind.OPENED, "open"),
    "click": (Kind.CLICKED, "click"),
    "subscription": (Kind.UNSUBSCRIBED, "subscription"),
}


def events(notification: dict[str, Any], envelope: Envelope) -> list[MailEvent]:
    """Events of one SES notification or published event, one a recipient.

    Raises:
        Rejected: names what cannot be read.
    """
    name = text(notification.get("eventType") or notification.get("notificationType"))
    known = _KINDS.get(name.lower())
    if name.lower() in _OTHER:
        return []
    if known is None:
        return [not_known("ses", notification, name, "eventType", envelope.at_ms / 1000, envelope.message_id)]
    kind, part_name = known
    part = mapping(notification.get(part_name) or {}, part_name)
    mail = mapping(notification.get("mail"), "mail")
    message_id = text(mail.get("messageId"))
    if not message_id:
        raise unreadable("mail.messageId is missing.", "mail.messageId")
    given = mail.get("timestamp")
    sent = None if given is None else epoch_ms(given, "mail.timestamp")
    given = part.get("timestamp")
    at = (envelope.at_ms if sent is None else sent) if given is None else epoch_ms(given, f"{part_name}.timestamp")
    sender, tags = _outgoing_ip(mail), _tags(mail)
    found = []
    recipients = _recipients(kind, part, mail)
    for place, (recipient, action, reply) in enumerate(recipients):
        provider = mailbox.by_recipient(recipient)
        judged = _judged(kind, part, action, reply, provider)
        if place and kind is Kind.COMPLAINED:
            # One of those who are listed complained, and Amazon does not know who: one report is one complaint.
            judged = Judged(Kind.FEEDBACK)
        # What happened, to whom, when, is one event: SES tells it again with another id of SNS.
        told = "|".join((message_id, name.lower(), recipient, text(part.get("feedbackId")), str(at)))
        once = hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()
        found.append(
            MailEvent(
                source="ses",
                event_id=_id(envelope.message_id, place) or once,
                once=once,
                kind=judged.kind,
                address=sender,
                provider=provider,
                sender=tags.get("warmpath_sender") or tags.get("sender", ""),
                campaign=tags.get("warmpath_campaign") or tags.get("campaign", ""),
                at_ms=at,
                sent_ms=sent,
                recipient=recipient,
                message_id=message_id,
                detail=reply,
                reply_class=judged.reply_class,
                local=judged.local,
                # Another complaint with the same candidates has an id of its own, and is another one's.
                candidates=len(recipients) if kind is Kind.COMPLAINED and len(recipients) > 1 else 0,
            )
        )
    return found


def _id(message_id: str, place: int) -> str:
    return f"{message_id}:{place}" if message_id and place else message_id


def _judged(kind: Kind, part: dict[str, Any], action: str, reply: str, provider: MailboxProvider) -> Judged:
    """Kind and reply class, read from the reply and not from SES's own label."""
    if kind is Kind.COMPLAINED:
        # Amazon did not send to an address on its list, and reports of another kind are no complaint.
        spam = text(part.get("complaintFeedbackType")).lower() not in NO_COMPLAINT and not part.get("complaintSubType")
        return Judged(Kind.COMPLAINED if spam else Kind.FEEDBACK)
    if kind is Kind.DEFERRED or action == "delayed":
        return deferral(reply, provider)
    if kind is Kind.UNSUBSCRIBED and _stays(part):
        return Judged(Kind.SUBSCRIBED)
    if kind is not Kind.BOUNCED:
        return Judged(kind)
    if text(part.get("bounceSubType")) in _NOT_SENT:
        return Judged(Kind.DROPPED)
    judged = failure(reply, provider)
    if judged.kind is Kind.BOUNCED and text(part.get("bounceType")) == "Transient":
        return Judged(Kind.FAILED, judged.reply_class)
    return judged


def _stays(part: dict[str, Any]) -> bool:
    """Whether new preferences leave out nothing: a link to them is not only followed to end them."""
    new = part.get("newTopicPreferences")
    if not isinstance(new, dict) or new.get("unsubscribeAll"):
        return False
    topics = new.get("topicSubscriptionStatus")
    states = (
        [one.get("subscriptionStatus") for one in topics if isinstance(one, dict)] if isinstance(topics, list) else []
    )
    return bool(states) and "OptOut" not in states


#: A report of several recipients also names those that it did not fail for (RFC 3464): nothing new is told of them.
_NOT_FAILED = frozenset({"delivered", "relayed", "expanded"})
#: Bounces of mail that Amazon never sent, since the address is on a list of its own or of the account.
_NOT_SENT = frozenset({"Suppressed", "OnAccountSuppressionList"})


def _tags(mail: dict[str, Any]) -> dict[str, str]:
    tags = mail.get("tags")
    if not isinstance(tags, dict):
        return {}
    return {str(name): label(values[0]) for name, values in tags.items() if isinstance(values, list) and values}


def _outgoing_ip(mail: dict[str, Any]) -> str:
    """The dedicated IP that sent; `ses:source-ip` and `sourceIp` are the caller's own address."""
    tags = mail.get("tags")
    values = tags.get("ses:outgoing-ip") if isinstance(tags, dict) else None
    return address(values[0]) if isinstance(values, list) and values else ""


def _recipients(kind: Kind, part: dict[str, Any], mail: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Address, action of its report in small letters, and reply of each recipient."""
    for name in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        listed = part.get(name)
        if isinstance(listed, list):
            rows = [mapping(one, name) for one in listed]
            return [
                (
                    text(row.get("emailAddress")),
                    text(row.get("action")).lower(),
                    " ".join(filter(None, (text(row.get("status")), text(row.get("diagnosticCode"))))),
                )
                for row in rows
                if text(row.get("action")).lower() not in _NOT_FAILED
            ]
    listed = part.get("recipients") if kind is Kind.DELIVERED else None
    listed = listed if isinstance(listed, list) else mail.get("destination")
    said = text(part.get("smtpResponse")) or text(part.get("reason")) or text(part.get("errorMessage"))
    return [(text(one), "", said) for one in listed] if isinstance(listed, list) else []


SETTING = "webhook_ses_topic_arns"


async def read(delivery: Delivery) -> Reading:
    """Events of a signed notification; a request to subscribe is confirmed and holds none."""
    message = await verify(delivery.body, delivery.settings, delivery.fetch, delivery.now)
    if message["Type"] == "SubscriptionConfirmation":
        await confirm(message, delivery.fetch)
    if message["Type"] != "Notification":
        return Reading([])
    return Reading(events(*_opened(message, delivery.now)))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Events of a notification of SNS, or of the event of SES that it wraps."""
    given = mapping(document(body), "body")
    if text(given.get("Type")) in _SIGNED and given["Type"] != "Notification":
        return []  # It asks whether this way in wants to hear, as ``read`` answers.
    return events(*_opened(given, now)) if "Message" in given else events(given, Envelope("", int(now * 1000)))


def _opened(message: dict[str, Any], now: float) -> tuple[dict[str, Any], Envelope]:
    written = text(message.get("Message"))
    test = {"notificationType": _SUBSCRIBED}
    inner = test if written.startswith(_TEST) else mapping(document(written.encode("utf-8", "replace")), "Message")
    told = message.get("Timestamp")
    at = int(now * 1000) if told is None else epoch_ms(told, "Timestamp")
    return inner, Envelope(text(message.get("MessageId")), at)
