"""Bodies of every source of events, as they are and as chance changes them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from api.webhooks.registry import SOURCES

IP = "198.51.100.7"
SECRET = "a secret of this test"
ALERTS = {
    "status": "firing",
    "alerts": [
        {
            "status": status,
            "labels": {"alertname": "Listed", "ip": IP, "severity": "critical"},
            "annotations": {"summary": "on a list"},
            "startsAt": "2026-01-02T03:04:05.678Z",
            "endsAt": "2026-01-02T04:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": print_,
        }
        for status, print_ in (("firing", "aa"), ("resolved", "bb"))
    ],
}
#: A body that each source takes.
BODIES: dict[str, Any] = {
    "postmark": {"RecordType": "Delivery", "MessageID": "m", "Recipient": "a@gmail.com"},
    "sparkpost": [{"msys": {"message_event": {"type": "delivery", "event_id": "1", "rcpt_to": "a@gmail.com"}}}],
    "kumomta": {"type": "Delivery", "id": "x", "recipient": "a@gmail.com", "timestamp": 1_700_000_000},
    "alertmanager": ALERTS,
    "grafana": ALERTS,
}
DEAD = "550 5.1.1 user unknown"


def to(action: str, reply: str) -> dict[str, str]:
    return {"emailAddress": "a@gmail.com", "action": action, "diagnosticCode": reply}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)
#: Shapes near to real ones: a real body with values changed, taken away or put elsewhere.
SEEDS = {
    **BODIES,
    "generic": [{"kind": "bounced", "ip": IP, "detail": DEAD, "at": 1, "recipient": "a@b.de"}],
    "sendgrid": [{"event": "bounce", "sg_event_id": "e", "email": "a@b.de", "timestamp": 1, "reason": DEAD}],
    "ses": {
        "eventType": "Bounce",
        "mail": {"messageId": "m", "timestamp": "2026-01-01T10:00:00Z", "destination": ["a@b.de"], "tags": {}},
        "bounce": {"bouncedRecipients": [to("failed", DEAD)], "timestamp": "2026-01-01T10:00:00Z"},
    },
    "mailgun": {"event-data": {"event": "failed", "delivery-status": {"code": 550, "message": DEAD}, "timestamp": 1}},
}


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if draw(st.integers(0, 5)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {name: _changed(draw, one) for name, one in value.items() if draw(st.integers(0, 9))}
    return [_changed(draw, one) for one in value] if isinstance(value, list) else value


@st.composite
def posted(draw: st.DrawFn) -> tuple[str, bytes]:
    source = draw(st.sampled_from(sorted(SOURCES)))
    if draw(st.booleans()):
        return source, json.dumps(_changed(draw, SEEDS[source])).encode()
    return source, draw(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
