"""The Warmup Dashboard: a plan is made, started and watched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State
from tests.ui.seeing import button, said
from ui.pieces import places

Open = Callable[..., AppTest]


def test_a_stopped_warm_up_is_not_called_paused(page: Open, state: State) -> None:
    state.add_ip("at_risk")
    state.add_warmup()
    state.warmups[ADDRESS] |= {"state": "stopped", "paused": True, "reason": "alert from Grafana: listed"}
    app = page(places.WARMUP, ip=ADDRESS)
    assert "! Stopped. Alert from Grafana: listed. No mail leaves by this IP" in "".join(one.value for one in app.error)
    assert "Paused" not in "".join(one.value for one in app.warning)


def test_a_warm_up_starts_with_the_plan_of_the_sliders(page: Open, state: State) -> None:
    state.add_ip("active")
    app = page(places.WARMUP, ip=ADDRESS)
    assert "Full capacity: most likely" in said(app)
    button(app, "Start Warmup")
    path, body = next((path, body) for _, path, body, _ in state.asked if path != "/v1/warmup/forecast")
    assert path == f"/v1/ips/{ADDRESS}/warmup"
    assert body["initial"] == 50
    assert body["growth"] == pytest.approx(0.25)


def test_a_warm_up_cannot_start_before_dns_and_says_why(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = page(places.WARMUP, ip=ADDRESS)
    start = next(one for one in app.button if one.label == "Start Warmup")
    assert start.disabled
    assert "DNS is not verified yet" in said(app)


def test_pausing_asks_and_wants_a_reason(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    app = button(page(places.WARMUP, ip=ADDRESS), "Pause")
    assert "stops at the gate" in said(app)
    app = button(app, "Pause now")
    assert "✕ Give a reason" in said(app)
    assert state.asked == []
    app = button(button(app, "Not now"), "Pause")
    assert "stops at the gate" in said(app)
    assert "✕" not in said(app)


def test_short_days_are_counted_and_real_ones_dated(page: Open, state: State) -> None:
    state.add_ip("active")
    assert "Full capacity: most likely on 2026-03-20, at best on 2026-03-18" in said(page(places.WARMUP, ip=ADDRESS))
    state.day_seconds = 5
    assert "Full capacity: most likely on day 20, at best on day 18, with setbacks on day 27" in said(
        page(places.WARMUP, ip=ADDRESS)
    )
