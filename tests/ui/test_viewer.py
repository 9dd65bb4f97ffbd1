"""Who may only look can press nothing that changes anything, and is told why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State, quoted
from ui.pieces import places

Open = Callable[..., AppTest]

#: What moves about in lists, and asks without changing anything.
HARMLESS = {"← All IPs", "Previous", "Next", "Read them"}


def pressable(app: AppTest) -> set[str]:
    """Buttons that can be pressed; those that cannot say which role they need, or what else is missing."""
    assert not any("could not be shown" in one.value for one in app.error)
    for one in app.button:
        assert not one.disabled or one.label in HARMLESS or one.help, f"{one.label} does not say why"
    return {one.label for one in app.button if not one.disabled}


@pytest.mark.parametrize("file", places.NAMES)
def test_no_command_is_open_in_an_empty_installation(page: Open, state: State, file: str) -> None:
    state.role = "viewer"
    assert pressable(page(file)) <= HARMLESS


@pytest.mark.parametrize("stage", ["awaiting_dns", "warming"])
@pytest.mark.parametrize("file", places.NAMES)
def test_no_command_is_open_with_a_fleet(page: Open, state: State, file: str, stage: str) -> None:
    state.role = "viewer"
    state.add_ip(stage)
    if stage == "warming":
        state.add_warmup()
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    state.campaigns = [{"name": "spring", "sender": "acme", "status": "active", "created_at": "2026-03-01T00:00:00Z"}]
    state.pauses = [{"scope": {"pool": "bulk"}, "reason": "x", "since": "2026-03-01T00:00:00Z", "who": "ada"}]
    state.incidents = [{"id": "inc_1", "title": "Listed", "opened_at": "2026-03-02T00:00:00Z"}]
    assert pressable(page(file, ip=ADDRESS, order="order-1")) <= HARMLESS


@pytest.mark.parametrize("file", [None, places.PAYMENT, places.DNS, places.WARMUP])
def test_buying_is_barred_where_it_begins(page: Open, state: State, file: str | None) -> None:
    state.role = "viewer"
    first = next(one for one in page(file).button if one.label == "Acquire New IP")
    assert first.disabled
    assert "this needs the role operator" in first.help
