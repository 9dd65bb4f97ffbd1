"""Prometheus Alertmanager's webhook receiver; a shared secret comes with it (`http_config.authorization`)."""

from __future__ import annotations

from api.webhooks import alerts, shared_secret
from api.webhooks.source import Delivery, Reading
from domain.events import MailEvent

SETTING = "webhook_alertmanager_secret"


async def read(delivery: Delivery) -> Reading:
    """Alerts of a request that came with the secret."""
    shared_secret.verify(delivery.headers, delivery.settings.webhook_alertmanager_secret)
    return Reading(normalise(delivery.body, delivery.now))


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Alerts of a body."""
    return alerts.events("alertmanager", body, now)
