"""DNS Configuration and DNS Management Portal: records, servers, looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State
from tests.ui.seeing import button, said
from tests.ui.test_purchase import filled
from ui.pieces import places

Open = Callable[..., AppTest]


def test_the_grid_of_dns_names_every_server_and_says_each_state_in_words(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    grid = page(places.DNS, ip=ADDRESS).dataframe[0].value
    assert list(grid.columns) == ["Record", "ns1", "ns2", "1.1.1.1"]
    assert list(grid.iloc[0]) == ["A  mail1.example.test", "✓ Published", "– Missing", "– Missing"]
    assert list(grid["Record"])[1] == "TXT (SPF)"


def test_dns_is_asked_again_on_demand(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = button(page(places.DNS, ip=ADDRESS), "Re-verify DNS")
    assert state.asked[0][1] == f"/v1/ips/{ADDRESS}/dns/verify"
    assert "Asked again" in said(app)


def test_optional_dns_records_go_with_the_order_and_are_changed_later(page: Open, state: State) -> None:
    app = filled(page(places.ACQUIRE))
    app.selectbox(key="purchase_mta_sts").select("testing")
    app.text_input(key="purchase_tls_rpt").input("tls@example.test, https://r.example.test/in")
    button(app, "Save IP Configuration")
    assert state.asked[0][2]["dns"] == {
        "mta_sts": {"mode": "testing"},
        "tls_rpt": ["tls@example.test", "https://r.example.test/in"],
    }
    state.asked.clear()
    state.add_ip("active")
    state.refuse["PATCH", f"/v1/ips/{ADDRESS}/dns"] = (
        422,
        {"title": "Refused", "detail": "No logo.", "errors": [{"field": "options.bimi.logo", "message": "not an svg"}]},
    )
    app = page(places.RECORDS, ip=ADDRESS)
    app.text_input(key=f"wishes:{ADDRESS}_bimi").input("https://example.test/logo.png")
    app = button(app, "Save optional records")
    assert state.asked[0][2]["options"]["bimi"] == {"logo": "https://example.test/logo.png"}
    assert "✕ not an svg" in said(app)
    assert app.text_input(key=f"wishes:{ADDRESS}_bimi").value == "https://example.test/logo.png"


@pytest.mark.parametrize(
    ("stage", "says"), [("awaiting_dns", "when caches may have run out"), ("active", "by the sweep")]
)
@pytest.mark.parametrize("file", [None, places.DNS, places.RECORDS])
def test_each_page_of_dns_says_when_it_is_looked_at_next(
    page: Open, state: State, file: str | None, stage: str, says: str
) -> None:
    state.add_ip(stage)
    state.next_look_at = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    text = said(page(file, ip=ADDRESS))
    assert "Next look in 10 minutes, at " in text
    assert f" UTC, {says}" in text


def test_a_look_that_is_due_is_not_said_to_be_over(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    assert "Next look" not in said(page(places.DNS, ip=ADDRESS))
    state.next_look_at = (datetime.now(UTC) - timedelta(seconds=3)).isoformat()
    assert "Next look now, at " in said(page(places.DNS, ip=ADDRESS))


def test_a_look_that_does_not_come_is_told(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    state.next_look_at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    assert "A look was due 5 minutes ago, at " in said(page(places.DNS, ip=ADDRESS))
