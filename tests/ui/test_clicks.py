"""Every filter and command of the pages, pressed: what the API is asked for, and what is said afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State
from tests.ui.seeing import button, labelled, said
from ui.pieces import places

Open = Callable[..., AppTest]


def group(app: AppTest, label: str, value: str) -> AppTest:
    """Presses one of a row of choices."""
    return next(one for one in app.button_group if one.label == label).set_value(value).run()


def asked(state: State, path: str) -> dict[str, str]:
    """The newest question to a path."""
    return next(query for seen, query in reversed(state.read) if seen == path)


def test_the_fleet_is_filtered_searched_and_sorted_on_the_server(page: Open, state: State) -> None:
    state.add_ip("warming")
    app = group(page(), "Stage", "warming")
    assert asked(state, "/v1/ips")["stage"] == "warming"
    app.text_input(key="fleet_q").input("mail1")
    app.selectbox(key="fleet_order").select("load")
    app.selectbox(key="fleet_pool").select("bulk")
    app.selectbox(key="fleet_band").select("red").run()
    question = asked(state, "/v1/ips")
    assert {"q": "mail1", "order": "load", "pool": "bulk", "band": "red"}.items() <= question.items()


def test_an_ip_is_opened_from_the_list_and_left_again(page: Open, state: State) -> None:
    state.add_ip("warming")
    app = page()
    app.selectbox(key="fleet_open").select(ADDRESS).run()
    assert ADDRESS in [one.value for one in app.header]
    assert ADDRESS not in [one.value for one in button(app, "← All IPs").header]


def test_scores_are_filtered_by_reputation_and_searched(page: Open, state: State) -> None:
    state.add_ip("warming")
    app = group(page(places.REPUTATION), "Reputation", "green")
    app.text_input(key="reputation_q").input("mail1").run()
    assert {"band": "green", "q": "mail1", "order": "reputation"}.items() <= asked(state, "/v1/reputation").items()


def test_the_audit_is_asked_about_one_thing(page: Open, state: State) -> None:
    app = page(places.AUDIT)
    next(one for one in app.text_input if one.label == "Search").input(" 203.0.113.9 ").run()
    assert asked(state, "/v1/audit")["target"] == "203.0.113.9"


def test_the_audit_says_states_and_lists_in_words(page: Open, state: State) -> None:
    state.audit = [
        {"id": 1, "at": "2026-03-01T00:00:00Z", "who": "ada", "role": "operator", "what": "sender.change",
         "target": "acme", "why": "x", "before": {"paused": False}, "after": {"paused": True, "matches": ["a", "b"]}}
    ]  # fmt: skip
    row = page(places.AUDIT).table[0].value.iloc[0]
    assert (row["What"], row["Before"], row["After"]) == ("Change sender", "not paused", "paused, matches a b")


@pytest.mark.parametrize(
    ("outcome", "says"), [("refused", "Refused: It rests already."), ("asked", "Not known: no answer came back yet")]
)
def test_the_audit_says_what_was_not_done(page: Open, state: State, outcome: str, says: str) -> None:
    state.audit = [
        {"id": 1, "at": "2026-03-01T00:00:00Z", "who": "ada", "role": "operator", "what": "warmup.pause",
         "target": "acme", "after": {"state": "paused"}, "outcome": outcome, "answer": "It rests already."}
    ]  # fmt: skip
    assert page(places.AUDIT).table[0].value.iloc[0]["After"].startswith(says)


@pytest.mark.parametrize(("span", "hours"), [("1 hour", 1), ("7 days", 168)])
def test_figures_are_asked_for_a_span_and_an_ip(page: Open, state: State, span: str, hours: int) -> None:
    app = page(places.PERFORMANCE)
    app.selectbox(key="metrics_span").select(span)
    app.text_input(key="metrics_ip").input(ADDRESS).run()
    question = asked(state, "/v1/metrics")
    since = datetime.now(UTC) - datetime.fromisoformat(question["since"])
    assert abs(since - timedelta(hours=hours)) < timedelta(minutes=2)
    assert question["ip"] == ADDRESS


@pytest.mark.parametrize(
    ("press", "name", "body", "says"),
    [
        ("Pause", "pause", {"reason": "x"}, "is paused; no mail leaves from it."),
        ("Complete early", "complete", {"reason": "x"}, "is complete."),
        ("Restart from a stage", "restart", {"reason": "x", "step": 4}, "restarted from step 5."),
    ],
)
def test_a_warm_up_is_steered(page: Open, state: State, press: str, name: str, body: dict[str, Any], says: str) -> None:
    state.add_ip("warming")
    state.add_warmup()
    app = button(page(places.WARMUP, ip=ADDRESS), press)
    app.text_input(key=f"warmup_{name}_reason").input("x")
    app = button(app, f"{press.split()[0]} now")
    assert state.asked[-1][1:3] == (f"/v1/ips/{ADDRESS}/warmup/{name}", body)
    assert says in said(app)


def test_the_first_day_of_a_warm_up_is_its_first_step(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    state.warmups[ADDRESS] |= {"step": 0, "steps": 12}
    app = page(places.WARMUP, ip=ADDRESS)
    assert [one.value for one in app.metric if one.label == "Step"] == ["1 of 12"]
    box = next(one for one in button(app, "Restart from a stage").number_input if one.key == "restart_step")
    assert (box.value, box.min, box.max) == (1, 1, 12)


def test_a_paused_warm_up_is_resumed(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    assert labelled(page(places.WARMUP, ip=ADDRESS), "Resume").disabled
    state.warmups[ADDRESS]["state"] = "paused"
    app = button(button(page(places.WARMUP, ip=ADDRESS), "Resume"), "Resume now")
    assert state.asked[-1][1:3] == (f"/v1/ips/{ADDRESS}/warmup/resume", {"reason": "Cause removed"})
    assert "sends again" in said(app)


def test_a_plan_is_adjusted_with_its_forecast(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    app = button(page(places.WARMUP, ip=ADDRESS), "Adjust")
    assert "Full capacity: most likely" in said(app)
    app.text_input(key=f"adjust_why:{ADDRESS}_reason").input("less mail")
    app = button(app, "Save the plan")
    method, path, body, _ = state.asked[-1]
    assert (method, path) == ("PATCH", f"/v1/ips/{ADDRESS}/warmup")
    assert (body["initial"], body["target"], body["reason"]) == (50, 2000, "less mail")
    assert "is changed from today on" in said(app)


def test_support_gets_the_evidence_with_a_note(page: Open, state: State) -> None:
    state.add_ip("awaiting_dns")
    app = button(page(places.DNS, ip=ADDRESS), "Contact Support")
    app.text_area(key="support_note").input("entered yesterday")
    app = button(app, "Send to support")
    assert state.asked[-1][1:3] == (f"/v1/ips/{ADDRESS}/dns/support", {"message": "entered yesterday"})
    assert "Support has the evidence" in said(app)


def test_an_ip_moves_to_another_pool(page: Open, state: State) -> None:
    state.add_ip("warming")
    app = button(page(ip=ADDRESS), "Move to another pool")
    app.text_input(key="assign_reason").input("more room")
    app = button(app, "Move now")
    assert "Name the pool." in said(app)
    app.selectbox(key="assign_pool").select("bulk")
    app = button(app, "Move now")
    assert state.asked[-1][1:3] == (f"/v1/ips/{ADDRESS}/assign", {"pool": "bulk", "reason": "more room"})
    assert f"{ADDRESS} moves to pool bulk." in said(app)


def test_who_moves_an_ip_at_risk_is_told_what_it_means(page: Open, state: State) -> None:
    state.add_ip("at_risk")
    app = button(page(ip=ADDRESS), "Move to another pool")
    app.text_input(key="assign_reason").input("quarantine")
    app.selectbox(key="assign_pool").select("bulk")
    app = button(app, "Move now")
    assert "no new domains go on it" in said(app)
    app.checkbox(key="assign_anyway").check()
    app = button(app, "Move now")
    assert state.asked[-1][2] == {"pool": "bulk", "reason": "quarantine", "anyway": True}
    assert f"{ADDRESS} moves to pool bulk." in said(app)


def test_settings_are_found_by_a_part_of_their_name(page: Open, state: State) -> None:
    app = page(places.SETTINGS)
    next(one for one in app.text_input if one.label == "Search").input("smtp").run()
    assert list(app.dataframe[0].value["Setting"]) == ["WARMPATH_SMTP_TLS"]
    next(one for one in app.text_input if one.label == "Search").input("nothing").run()
    assert "No setting has this in its name." in said(app)


@pytest.mark.parametrize("file", [places.PAYMENT, places.RECORDS, places.DNS, places.WARMUP, places.REPUTATION])
def test_an_empty_page_leads_to_the_first_step(page: Open, state: State, file: str) -> None:
    app = button(page(file), "Acquire New IP")
    assert [one.value for one in app.title] == ["IP Acquisition"]


@pytest.mark.parametrize("file", [places.WARMUP, places.DNS, places.REPUTATION, places.TOKENS, places.SETTINGS,
                                  places.AUDIT, places.PERFORMANCE, None])  # fmt: skip
def test_what_is_a_table_can_be_exported(page: Open, state: State, file: str | None) -> None:
    state.add_ip("warming")
    state.add_warmup()
    query = {"ip": ADDRESS} if file in (places.WARMUP, places.DNS, places.REPUTATION) else {}
    app = page(file, **query)
    assert "Export CSV" in [getattr(one, "label", "") for one in app.get("download_button")]
