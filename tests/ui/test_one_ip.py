"""The one place of an IP, and the ways to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State
from tests.ui.seeing import button, said
from ui.pieces import journey, places

Open = Callable[..., AppTest]


def test_one_ip_has_a_place_of_its_own(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = page(ip=ADDRESS)
    assert ADDRESS in [one.value for one in app.header]
    assert "your registrar" in said(app)


def test_the_place_of_an_ip_leads_to_what_was_done_with_it(page: Open, state: State) -> None:
    state.add_ip("active")
    links = {one.proto.label: one.proto for one in page(ip=ADDRESS).get("page_link")}
    assert f"ip={ADDRESS}" in links["Audit: what was done with it"].query_string
    page(places.AUDIT, ip=ADDRESS)
    assert [asked for path, asked in state.read if path == "/v1/audit"][-1]["target"] == ADDRESS


def test_an_unknown_ip_is_a_sentence(page: Open) -> None:
    app = page(ip="203.0.113.250")
    assert "There is no such thing." in said(app)
    assert not app.exception


def test_the_place_of_an_ip_tells_its_whole_story(page: Open, state: State) -> None:
    state.add_ip("at_risk")
    state.add_warmup()
    state.listings = [{"zone": "zen.example", "state": "confirmed", "first_seen": "2026-03-02T00:00:00Z"}]
    state.incidents = [
        {"id": "inc_1",
            "title": "Listed on zen.example", "severity": "critical", "opened_at": "2026-03-02T00:00:00Z",
         "detail": "Seen twice."}
    ]  # fmt: skip
    app = page(ip=ADDRESS)
    text = said(app)
    for part in (
        "Cap against sent",
        "It filled its cap.",
        ":red[**! Listed**] on zen.example",
        "Seen twice.",
        "Incidents",
    ):
        assert part in text
    app = button(app, "Close")
    app.text_input(key="close_incident_reason").input("delisted")
    button(app, "Close now")
    assert state.asked[0][1:3] == ("/v1/incidents/inc_1/close", {"reason": "delisted"})
    assert "A mail1.example.test" in list(app.table[0].value["Record"])


def test_retiring_asks_and_wants_a_reason(page: Open, state: State) -> None:
    state.add_ip("active")
    app = button(page(ip=ADDRESS), "Retire")
    assert "does not come back" in said(app)
    app = button(app, "Retire now")
    assert state.asked == []
    app.text_input(key="retire_reason").input("sold")
    app = button(app, "Retire now")
    method, path, body, key = state.asked[0]
    assert (method, path, body) == ("POST", f"/v1/ips/{ADDRESS}/retire", {"reason": "sold", "keep": False})
    assert key
    assert "is retired" in said(app)


def test_a_trouble_strikes_where_the_ip_stood() -> None:
    def states(*stages: str) -> dict[str, str]:
        history = [{"stage": stage, "at": "2026-03-01T00:00:00Z"} for stage in stages]
        return {step["name"]: step["state"] for step in journey.steps("at_risk", history)}

    assert states("active", "warming", "at_risk")["Warmup"] == "trouble"
    assert states("active", "warming", "at_risk")["Full Capacity"] == "ahead"
    assert states("warming", "full_capacity", "at_risk")["Monitoring"] == "trouble"
    assert states()["Monitoring"] == "trouble"


@pytest.mark.parametrize(
    ("stage", "badge"), [("active", "Active"), ("warming", "Active"), ("awaiting_dns", "Awaiting DNS")]
)
def test_the_status_stands_in_its_exact_word(page: Open, state: State, stage: str, badge: str) -> None:
    state.add_ip(stage)
    shown = [str(one.value) for one in page(ip=ADDRESS).markdown if "-badge[" in str(one.value)]
    assert any(f"-badge[{badge}]" in one for one in shown), shown


@pytest.mark.parametrize("file", [None, places.DNS, places.REPUTATION])
def test_a_link_may_spell_an_address_in_another_way(page: Open, state: State, file: str | None) -> None:
    state.add_ip("active", "198.51.100.1")
    state.add_ip("active", "2001:db8::7")
    app = page(file, ip="2001:0DB8:0:0::0007")
    assert not app.error
    if file is None:
        assert "2001:db8::7" in [one.value for one in app.header]
    else:
        assert app.query_params["ip"] in ("2001:db8::7", ["2001:db8::7"])


def test_any_ip_of_a_large_fleet_is_found_by_a_part_of_its_name(page: Open, state: State) -> None:
    for number in range(300):
        state.add_ip("active", f"198.51.{number // 100}.{number % 100}")["hostname"] = f"mta{number}.example.test"
    app = page(places.DNS)
    assert len(next(one for one in app.selectbox if one.label == "IP").options) == 20
    app = typed(app, "mta299.")
    assert app.query_params["ip"] in ("198.51.2.99", ["198.51.2.99"])
    assert "match “mta1”" in said(typed(app, "mta1"))
    assert "No IP has “nothing-like-it”" in said(typed(app, "nothing-like-it"))


def typed(app: AppTest, text: str) -> AppTest:
    """Types into the IP picker; the test engine only knows of options that are in its list."""
    picker = next(one for one in app.selectbox if one.label == "IP")
    picker.options.append(text)
    return picker.set_value(text).run()


def test_an_ip_at_risk_is_nowhere_called_healthy(page: Open, state: State) -> None:
    state.add_ip("at_risk")
    badges = [str(one.value) for one in page(ip=ADDRESS).markdown if "-badge[" in str(one.value)]
    assert any("At risk" in one for one in badges)
    assert not any("Healthy" in one for one in badges)
    assert list(page().dataframe[0].value["Reputation"]) == ["! At risk"]
    assert list(page(places.REPUTATION).dataframe[0].value["Reputation"]) == ["! At risk"]


def test_the_reputation_dashboard_says_what_stopped_an_ip(page: Open, state: State) -> None:
    state.add_ip("at_risk").update(waiting_for="an operator to look: listed", waiting_on="operator")
    shown = "".join(str(one.value) for one in page(places.REPUTATION, ip=ADDRESS).error)
    assert "an operator to look: listed" in shown
    assert "Who must act: **you**" in shown


def test_a_command_leads_to_its_journey(page: Open, state: State) -> None:
    state.add_ip("active")
    app = button(page(ip=ADDRESS), "Retire")
    app.text_input(key="retire_reason").input("sold")
    app = button(app, "Retire now")
    (done,) = [str(one.value) for one in app.success]
    assert done.endswith("no mail leaves from it. [Open this journey in Temporal](http://127.0.0.1:8233/x)")


def test_what_ips_of_the_fleet_wait_for_can_be_read_in_full(page: Open, state: State) -> None:
    long = "a record to be entered by hand: PTR 9.113.0.203.in-addr.arpa: have it lead to mail1.example.test"
    state.add_ip("awaiting_dns")["waiting_for"] = long
    state.add_ip("full_capacity", "203.0.113.10")
    app = page()
    (waits,) = [one for one in app.expander if one.label == "1 of these waits: for what, in full"]
    assert list(waits.table[0].value["IP"]) == [ADDRESS]
    assert long in str(waits.table[0].value["Now"][0])
