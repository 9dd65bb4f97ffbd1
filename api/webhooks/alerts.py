"""Alerts in the form that Alertmanager made and Grafana shares: a group of alerts, each with its own state."""

from __future__ import annotations

import ipaddress
from typing import Any

from api.webhooks.reading import address, derived, document, epoch_ms, inner, mapping, text, unreadable
from domain.events import Kind, MailEvent
from domain.words import Severity

#: Labels that may hold the IP that an alert is about, the surest first.
IP_LABELS = ("ip", "address", "ip_address", "instance")
_SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "disaster": Severity.CRITICAL,
    "high": Severity.CRITICAL,
    "warning": Severity.WARNING,
    "error": Severity.WARNING,
}


def events(source: str, body: bytes, now: float) -> list[MailEvent]:
    """An event an alert. A group that fires may hold alerts that are over: each has its own `status`.

    The same alert told again, as both programs do every few hours, is the same event.

    Raises:
        Rejected: names what cannot be read.
    """
    given = mapping(document(body), "body")
    alerts = given.get("alerts")
    if not isinstance(alerts, list):
        raise unreadable("alerts must be a list.", "alerts")
    return [_event(source, mapping(one, f"alerts[{n}]"), f"alerts[{n}]", now) for n, one in enumerate(alerts)]


def _event(source: str, alert: dict[str, Any], place: str, now: float) -> MailEvent:
    status = text(alert.get("status"))
    if status not in ("firing", "resolved"):
        raise unreadable(f"{place}.status must be firing or resolved.", f"{place}.status")
    labels, annotations = inner(alert.get("labels")), inner(alert.get("annotations"))
    over = status == "resolved"
    begun, ended = alert.get("startsAt"), alert.get("endsAt")
    when = _moment(ended if over and _moment(ended) else begun)
    told = text(annotations.get("summary")) or text(annotations.get("description"))
    named = text(labels.get("alertname"))
    return MailEvent(
        source=source,
        event_id=f"{text(alert.get('fingerprint')) or derived(labels)}:{text(begun)}:{status}",
        kind=Kind.RESOLVED if over else Kind.ALERT,
        address=_address(labels),
        at_ms=int(now * 1000) if when is None else epoch_ms(when, f"{place}.startsAt"),
        detail=f"{named}: {told}" if named and told else named or told,
        severity=_SEVERITIES.get(text(labels.get("severity")).lower(), Severity.INFO),
    )


def _moment(value: Any) -> Any:
    """A time of an alert; the year 1 is how the language of both programs writes none."""
    return None if text(value).startswith("0001-") else value or None


def _address(labels: dict[str, Any]) -> str:
    for name in IP_LABELS:
        value = text(labels.get(name)).strip()
        found = address(value) or address(value.rpartition(":")[0].strip("[]"))
        # An instance is often a machine of the monitoring itself.
        if found and not ipaddress.ip_address(found).is_loopback:
            return found
    return ""
