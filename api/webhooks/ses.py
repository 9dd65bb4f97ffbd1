"""Amazon SES events by SNS: signature versions 1 and 2, certificate host check, subscription."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from api.webhooks.reading import (
    Rejected,
    address,
    document,
    epoch_ms,
    fresh,
    mapping,
    text,
    unreadable,
)
from domain import mailbox
from domain.events import Kind, MailEvent, failure_kind
from settings import Settings

#: Fetches a certificate or confirms a subscription: URL in, body out, raises OSError when it cannot.
Fetch = Callable[[str], Awaitable[bytes]]
#: SNS repeats a delivery with its first timestamp for hours; each event counts once anyway.
TOLERANCE = 6 * 3600.0

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]


async def verify(
    body: bytes, settings: Settings, fetch: Fetch, now: float
) -> dict[str, Any]:
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
            _check_host(
                text(message.get(name)), name, settings.webhook_ses_certificate_hosts
            )
    algorithm = {"1": hashes.SHA1, "2": hashes.SHA256}.get(
        text(message.get("SignatureVersion"))
    )
    if algorithm is None:
        raise Rejected("SignatureVersion must be 1 or 2.", field="SignatureVersion")
    content = "".join(
        f"{key}\n{text(message[key])}\n" for key in signed if key in message
    )
    try:
        certificate = x509.load_pem_x509_certificate(
            await fetch(text(message["SigningCertURL"]))
        )
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("another kind of key")  # noqa: TRY004 - refused below like any wrong key
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
        raise Rejected(
            "The signature does not fit the message.", field="Signature"
        ) from None
    at = epoch_ms(message.get("Timestamp"), "Timestamp")
    fresh(str(at / 1000), now, TOLERANCE)
    return message


def _check_host(url: str, field: str, hosts: str) -> None:
    try:
        parts = urlsplit(url)
        plain = (
            parts.scheme == "https"
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


def events(notification: dict[str, Any]) -> list[MailEvent]:
    """Events of one SES notification or published event, one a recipient.

    Raises:
        Rejected: names what cannot be read.
    """
    name = text(notification.get("eventType") or notification.get("notificationType"))
    known = _KINDS.get(name.lower())
    if known is None:
        raise unreadable(f"eventType {name!r} is unknown.", "eventType")
    kind, part_name = known
    part = mapping(notification.get(part_name) or {}, part_name)
    mail = mapping(notification.get("mail"), "mail")
    at = epoch_ms(
        part.get("timestamp") or mail.get("timestamp"), f"{part_name}.timestamp"
    )
    sent = epoch_ms(mail.get("timestamp"), "mail.timestamp")
    sender = _outgoing_ip(mail)
    message_id = text(mail.get("messageId"))
    if not message_id:
        raise unreadable("mail.messageId is missing.", "mail.messageId")
    found = []
    for recipient, reply in _recipients(kind, part, mail):
        # SES gives no event id: what happened, to whom, when, is one.
        told = "|".join(
            (message_id, name.lower(), recipient, text(part.get("feedbackId")), str(at))
        )
        exact = kind
        if kind is Kind.BOUNCED:
            exact = failure_kind(reply)
            if exact is Kind.BOUNCED and text(part.get("bounceType")) == "Transient":
                exact = Kind.FAILED
        not_spam = kind is Kind.COMPLAINED and text(
            part.get("complaintFeedbackType")
        ) in ("not-spam", "auth-failure")
        found.append(
            MailEvent(
                source="ses",
                event_id=hashlib.sha256(told.encode("utf-8", "replace")).hexdigest(),
                kind=Kind.FAILED if not_spam else exact,
                address=sender,
                provider=mailbox.by_recipient(recipient),
                at_ms=at,
                sent_ms=sent,
                recipient=recipient,
                message_id=message_id,
                detail=reply,
            )
        )
    return found


def _outgoing_ip(mail: dict[str, Any]) -> str:
    """The dedicated IP that sent; `ses:source-ip` and `sourceIp` are the caller's own address."""
    tags = mail.get("tags")
    values = tags.get("ses:outgoing-ip") if isinstance(tags, dict) else None
    return address(values[0]) if isinstance(values, list) and values else ""


def _recipients(
    kind: Kind, part: dict[str, Any], mail: dict[str, Any]
) -> list[tuple[str, str]]:
    for name in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        listed = part.get(name)
        if isinstance(listed, list):
            rows = [mapping(one, name) for one in listed]
            return [
                (
                    text(row.get("emailAddress")),
                    " ".join(
                        filter(
                            None,
                            (text(row.get("status")), text(row.get("diagnosticCode"))),
                        )
                    ),
                )
                for row in rows
            ]
    listed = part.get("recipients") if kind is Kind.DELIVERED else None
    listed = listed if isinstance(listed, list) else mail.get("destination")
    return (
        [(text(one), text(part.get("smtpResponse"))) for one in listed]
        if isinstance(listed, list)
        else []
    )
