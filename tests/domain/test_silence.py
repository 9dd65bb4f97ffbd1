"""What must be silent at a mail system that does not ask for each mail, and how far an IP is warmed, as tables."""

from __future__ import annotations

import pytest

from domain.routing import Exit, Routes, Scope
from domain.silence import open_exits, why_silent
from domain.sources import Source

A, B, C = "198.51.100.1", "198.51.100.2", "198.51.100.3"
ROUTES = {
    "exits": {A: Exit(A, "main"), B: Exit(B, "main"), C: Exit(C, "own", sender="solo")},
    "senders": {"acme": "main", "solo": "own"},
    "campaigns": {"spring": "acme"},
}
ALL, POOL, SENDER, CAMPAIGN = (Scope.ALL, ""), (Scope.POOL, "main"), (Scope.SENDER, "acme"), (Scope.CAMPAIGN, "spring")


@pytest.mark.parametrize(
    ("paused", "silent"),
    [
        ({}, set()),
        ({ALL}, {ALL, POOL, SENDER, CAMPAIGN}),
        ({SENDER}, {SENDER, CAMPAIGN}),
        ({CAMPAIGN}, {CAMPAIGN}),
        ({POOL}, {POOL, SENDER, CAMPAIGN}),
        ({(Scope.IP, A)}, set()),
        ({(Scope.IP, A), (Scope.IP, B)}, {POOL, SENDER, CAMPAIGN}),
        ({(Scope.SENDER, "solo"), (Scope.POOL, "own")}, set()),
    ],
)
def test_a_pause_silences_what_it_covers(paused: set[tuple[Scope, str]], silent: set[tuple[Scope, str]]) -> None:
    routes = Routes(**ROUTES, pauses=dict.fromkeys(paused, "bad luck"))
    said = {one: why_silent(routes, *one, {A, B, C}) for one in (ALL, POOL, SENDER, CAMPAIGN)}
    assert {one for one, why in said.items() if why} == silent


def test_ips_of_another_mail_system_are_no_help() -> None:
    routes = Routes(**ROUTES, pauses={(Scope.IP, A): "bad luck"})
    assert not why_silent(routes, *SENDER, {A, B})
    assert "198.51.100.1 is paused: bad luck" in why_silent(routes, *SENDER, {A})
    assert "no IP here" in why_silent(routes, *SENDER, set())
    assert not why_silent(routes, Scope.SENDER, "solo", {C})
    assert open_exits(routes) == {B, C}


@pytest.mark.parametrize("scope", [Scope.SENDER, Scope.CAMPAIGN, Scope.POOL])
def test_a_name_that_nobody_knows_sends_nothing(scope: Scope) -> None:
    assert why_silent(Routes(**ROUTES), scope, "typo", {A, B, C})


@pytest.mark.parametrize(
    ("cap", "safe", "warm", "percent"),
    [
        (None, 2000, False, 0), (0, 2000, False, 0), (1, 2000, False, 1), (50, 2000, False, 2), (59, 2000, False, 2),
        (1999, 2000, False, 99), (2000, 2000, False, 99), (9000, 2000, False, 99), (50, 0, False, 0),
        (None, 2000, True, 100), (500, 2000, True, 100),
    ],
)  # fmt: skip
def test_how_far_an_ip_is_warmed(cap: int | None, safe: int, warm: bool, percent: int) -> None:
    assert Source(A, A, "m.example", "main", warm=warm, cap=cap, safe_limit=safe).warmed_percent == percent
