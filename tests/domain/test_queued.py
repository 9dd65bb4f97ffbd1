"""Which queued mail a change of routes concerns."""

from __future__ import annotations

import pytest

from domain.queued import Queued, must_leave, transports
from domain.routing import Exit, Routes

CHANGED = 1000.5
FIRST, SECOND = "198.51.100.7", "198.51.100.8"
BOUND, OTHER = "wp-198-51-100-7", "wp-198-51-100-8"


def routes(**pauses: str) -> Routes:
    return Routes(
        exits={one: Exit(one, pool="main") for one in (FIRST, SECOND)},
        senders={"acme": "main"},
        matches={"acme.example": "acme", "app": "acme"},
        pauses={(scope, name): "bad luck" for scope, name in pauses.items()},
    )


@pytest.mark.parametrize(
    ("message", "pauses", "leaves"),
    [
        (Queued("1", "a@acme.example", transport=BOUND), {}, False),
        (Queued("1", "a@acme.example", transport=BOUND), {"ip": FIRST}, True),
        (Queued("1", "a@acme.example", transport=OTHER), {"ip": FIRST}, False),
        (Queued("1", "a@acme.example", transport=OTHER), {"pool": "main"}, True),
        (Queued("1", "a@acme.example", transport=OTHER), {"sender": "acme"}, True),
        (Queued("1", "", login="app", transport=OTHER), {"sender": "acme"}, True),
        (Queued("1", "a@acme.example", transport="wp-203-0-113-9"), {}, True),
        (Queued("1", "a@acme.example", transport="amavis"), {"sender": "acme"}, False),
        (Queued("1", "a@stranger.example", transport=BOUND), {"ip": FIRST}, False),
        (Queued("1", "a@acme.example"), {"ip": FIRST}, False),
        (Queued("1", "a@acme.example", waits=False, since=999), {"ip": FIRST}, True),
        (Queued("1", "a@acme.example", waits=False, since=999), {"sender": "acme"}, True),
        (Queued("1", "a@acme.example", waits=False, since=999), {}, False),
        (Queued("1", "a@acme.example", waits=False, since=1000), {"ip": FIRST}, False),
    ],
    ids=[
        "its IP sends", "its IP is paused", "another IP is paused", "its pool is paused", "its sender is paused",
        "its login's sender is paused", "its IP is gone", "a transport of the operator", "nobody knows the sender",
        "it asks at its next try anyway", "resolved before the pause", "resolved before the sender's pause",
        "resolved, and nothing is paused", "resolved after the pause",
    ],
)  # fmt: skip
def test_what_must_be_resolved_anew(message: Queued, pauses: dict[str, str], leaves: bool) -> None:
    now = routes(**pauses)
    assert must_leave(now, transports(now), CHANGED, message) is leaves


def test_the_same_reading_has_the_same_fingerprint() -> None:
    assert routes(ip=FIRST).fingerprint() == routes(ip=FIRST).fingerprint()
    assert routes(ip=FIRST).fingerprint() != routes(ip=SECOND).fingerprint()
