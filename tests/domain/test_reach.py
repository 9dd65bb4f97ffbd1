"""What a pause stops, as the gate would decide it."""

from __future__ import annotations

import pytest

from domain.reach import Reach, reach
from domain.routing import Exit, Routes, Scope

EXITS = {
    "192.0.2.1": Exit("192.0.2.1", "main"),
    "192.0.2.2": Exit("192.0.2.2", "main"),
    "192.0.2.3": Exit("192.0.2.3", "spare", warm=True),
    "192.0.2.9": Exit("192.0.2.9", "main", sender="bank"),
}
BASE = {
    "exits": EXITS,
    "overflow": {"main": "spare", "spare": None},
    "senders": {"acme": "main", "bank": "main", "cup": "spare", "dot": "bare"},
    "campaigns": {"spring": "acme", "autumn": "acme", "rates": "bank", "tea": "cup", "lost": "dot"},
}


@pytest.mark.parametrize(
    ("pauses", "scope", "name", "stops"),
    [
        # dot has no IP at all: its campaign does not send anyway.
        ({}, Scope.ALL, "", Reach(campaigns=4, senders=3, ips=4, kept=1)),
        ({("all", ""): "x"}, Scope.ALL, "", Reach(4, 3, 4, 1)),
        ({("campaign", "spring"): "x"}, Scope.ALL, "", Reach(3, 3, 4, 2)),
        ({("sender", "acme"): "x", ("ip", "192.0.2.1"): "x"}, Scope.ALL, "", Reach(2, 2, 3, 3)),
        ({}, Scope.SENDER, "acme", Reach(2, 1, 0, 0)),
        ({}, Scope.SENDER, "bank", Reach(1, 1, 1, 0)),
        ({}, Scope.CAMPAIGN, "tea", Reach(1, 0, 0, 0)),
        # A pool that overflows stops IPs, and nobody's mail.
        ({}, Scope.POOL, "main", Reach(0, 0, 3, 0)),
        ({("pool", "spare"): "x"}, Scope.POOL, "main", Reach(3, 2, 3, 0)),
        ({}, Scope.POOL, "spare", Reach(1, 1, 1, 0)),
        ({}, Scope.IP, "192.0.2.3", Reach(1, 1, 1, 0)),
        ({("all", ""): "x"}, Scope.IP, "192.0.2.3", Reach(0, 0, 0, 0)),
    ],
)
def test_a_pause_stops_what_would_go_without_it(
    pauses: dict[tuple[str, str], str], scope: Scope, name: str, stops: Reach
) -> None:
    assert reach(Routes(**BASE, pauses=pauses), scope, name) == stops


def test_an_ip_that_its_warm_up_holds_is_not_stopped_by_a_pause() -> None:
    assert reach(Routes(**BASE, held={"192.0.2.9": "resting"}), Scope.ALL, "").ips == 3
