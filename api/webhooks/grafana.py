"""Grafana's webhook contact point: its own HMAC signature, or a shared secret where it is not switched on."""

from __future__ import annotations

import hashlib
import hmac

from api.webhooks import alerts, shared_secret
from api.webhooks.reading import Rejected, fresh
from api.webhooks.source import Delivery, Reading
from domain.events import MailEvent

SETTING = "webhook_grafana_secret"
SIGNATURE, TIMESTAMP = "x-grafana-alerting-signature", "x-grafana-alerting-timestamp"
#: Seconds between signing and arrival.
TOLERANCE = 300.0


async def read(delivery: Delivery) -> Reading:
    """Alerts of a request that is signed or came with the secret."""
    secret = delivery.settings.webhook_grafana_secret
    given = delivery.headers.get(SIGNATURE)
    if given is None or secret is None:
        shared_secret.verify(delivery.headers, secret)
    else:
        stamp = delivery.headers.get(TIMESTAMP)
        signed = delivery.body if stamp is None else f"{stamp}:".encode("utf-8", "replace") + delivery.body
        expected = hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), given.strip().encode("utf-8", "replace")):
            raise Rejected("The signature does not fit the body.")
        if stamp is not None:
            fresh(stamp, delivery.now, TOLERANCE)
    return Reading(normalise(delivery.body, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Alerts of a body."""
    return alerts.events("grafana", body, now)
