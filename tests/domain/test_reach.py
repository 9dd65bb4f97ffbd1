"""What a pause stops, as the gate would decide it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reach import Reach, reach
from domain.routing import Exit, Party, Routes, Scope

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


_POOLS, _SENDERS = st.sampled_from("pqr"), st.sampled_from(["a", "b", "c"])
_ADDRESSES = st.sampled_from([f"192.0.2.{number}" for number in range(5)])
_PAUSES = st.one_of(
    st.just(("all", "")),
    st.tuples(st.just("ip"), _ADDRESSES),
    st.tuples(st.just("pool"), _POOLS),
    st.tuples(st.just("sender"), _SENDERS),
)
_EXITS = st.dictionaries(_ADDRESSES, st.tuples(_POOLS, st.none() | _SENDERS, st.booleans(), st.booleans()))


@given(
    _EXITS,
    st.dictionaries(_POOLS, st.none() | _POOLS),
    st.dictionaries(_SENDERS, _POOLS),
    st.dictionaries(_PAUSES, st.just("x")),
    st.dictionaries(_ADDRESSES, st.just("resting")),
    _PAUSES,
)
def test_it_counts_what_the_gate_would_try(
    exits: dict[str, tuple[str, str | None, bool, bool]],
    overflow: dict[str, str | None],
    senders: dict[str, str],
    pauses: dict[tuple[str, str], str],
    held: dict[str, str],
    pause: tuple[str, str],
) -> None:
    known = {
        address: Exit(address, pool, sender, warm=warm, at_risk=at_risk)
        for address, (pool, sender, warm, at_risk) in exits.items()
    }
    routes = Routes(exits=known, overflow=overflow, senders=senders, pauses=pauses, held=held)

    def goes(present: Routes, party: Party) -> bool:
        tried = (address for tier in present.tiers(party) for address in tier)
        return not present.stopped(party) and any(not present.closed(address) for address in tried)

    others = {key: why for key, why in pauses.items() if key != pause}
    before = dataclasses.replace(routes, pauses=others)
    after = dataclasses.replace(routes, pauses=others | {pause: ""})
    found = reach(routes, Scope(pause[0]), pause[1])
    for counted, parties in (
        (found.senders, [Party(sender=one) for one in senders]),
        (found.ips, [Party(ip=one) for one in known]),
    ):
        assert counted == sum(goes(before, one) and not goes(after, one) for one in parties)
