"""**Pause All Campaigns** on every page: the question, the banner, and the way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State
from tests.ui.seeing import button, labelled, said
from ui.pieces import places

Open = Callable[..., AppTest]

PAUSE = ("POST", "/v1/campaigns/pause")


def filled(app: AppTest, reason: str = "stolen login", typed: str = "PAUSE") -> AppTest:
    """The question with its reason and its typed word."""
    app.text_input(key="pause_reason").input(reason)
    app.text_input(key="pause_typed").input(typed)
    return app


@pytest.mark.parametrize("file", [None, *places.NAMES])
def test_all_mail_is_paused_and_resumed_from_every_page(page: Open, state: State, file: str | None) -> None:
    state.add_ip("warming")
    state.add_warmup()
    app = button(page(file), "Pause All Campaigns")
    assert "This stops **1** sender and **1** IP, and all other mail" in said(app)
    app = button(filled(app), "Pause all campaigns now")
    assert state.asked[-1][:3] == (*PAUSE, {"scope": {"all": True}, "reason": "stolen login"})
    assert "by first operator: stolen login · since" in said(app)
    pressed = labelled(app, "Pause All Campaigns")
    assert pressed.disabled
    assert "paused already" in pressed.help
    app = button(app, "Resume All Campaigns")
    app = button(app, "Resume All Campaigns now")
    assert "✕ Give a reason" in said(app)
    app.text_input(key="resume_mail_reason").input("login changed")
    app = button(app, "Resume All Campaigns now")
    assert state.asked[-1][1:3] == ("/v1/campaigns/resume", {"scope": {"all": True}, "reason": "login changed"})
    assert "‖ All campaigns are paused" not in said(app)
    assert not labelled(app, "Pause All Campaigns").disabled


@pytest.mark.parametrize(
    ("reason", "typed", "says"),
    [("", "PAUSE", "Give a reason"), ("stolen login", "pose", "Type PAUSE"), ("stolen login", "", "Type PAUSE")],
)
def test_a_slip_stops_nothing_and_what_was_typed_stays(
    page: Open, state: State, reason: str, typed: str, says: str
) -> None:
    app = button(page(), "Pause All Campaigns")
    app = button(filled(app, reason, typed), "Pause all campaigns now")
    assert f":red[✕ {says}" in said(app)
    assert state.asked == []
    assert app.text_input(key="pause_reason").value == reason
    app = button(app, "Not now")
    assert "pause_reason" not in [one.key for one in app.text_input]
    assert "✕" not in said(button(app, "Pause All Campaigns"))


def test_one_ip_a_pool_or_a_sender_is_paused_alone(page: Open, state: State) -> None:
    state.add_ip("warming")
    app = button(page(places.REPUTATION, ip=ADDRESS), "Pause All Campaigns")
    app = next(one for one in app.button_group if one.label == "What stops").set_value("ip").run()
    assert app.text_input(key="pause_ip").value == ADDRESS
    app = button(filled(app), f"Pause {ADDRESS} now")
    assert state.asked[-1][2]["scope"] == {"ip": ADDRESS}
    assert "‖ All campaigns are paused" not in said(app)
    assert "No mail leaves by this IP" in said(page(ip=ADDRESS))
    app = button(page(), "Pause All Campaigns")
    app = next(one for one in app.button_group if one.label == "What stops").set_value("pool").run()
    app = button(filled(app), "Pause the pool now")
    assert "Choose the pool to pause." in said(app)
    app.selectbox(key="pause_pool").select("bulk").run()
    button(app, "Pause bulk now")
    assert state.asked[-1][2]["scope"] == {"pool": "bulk"}


def test_a_refusal_is_shown_and_nothing_typed_is_lost(page: Open, state: State) -> None:
    state.refuse[PAUSE] = (503, {"title": "Unavailable", "status": 503, "detail": "The database does not answer."})
    app = button(filled(button(page(), "Pause All Campaigns")), "Pause all campaigns now")
    assert "The database does not answer." in said(app)
    assert app.text_input(key="pause_reason").value == "stolen login"


def test_a_viewer_sees_both_buttons_and_why_they_are_not_his(page: Open, state: State) -> None:
    state.role = "viewer"
    pressed = labelled(page(), "Pause All Campaigns")
    assert pressed.disabled
    assert "this needs the role operator" in pressed.help
    state.pauses = [{"scope": {"all": True}, "reason": "x", "since": "2026-03-01T00:00:00Z", "who": "ada"}]
    app = page(places.AUDIT)
    assert "by ada: x · since" in said(app)
    assert labelled(app, "Resume All Campaigns").disabled


def test_a_reason_is_shown_as_it_was_typed(page: Open, state: State) -> None:
    state.pauses = [
        {"scope": {"all": True}, "reason": "<b>see</b> [x](http://y) :red[now]", "since": "2026-03-01T00:00:00Z"}
    ]
    assert r"by an operator: &lt;b&gt;see&lt;/b&gt; \[x\](http://y) \:red\[now\] ·" in said(page())


def test_without_the_api_the_button_is_disabled_and_says_why(page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMPATH_API_URL", "http://127.0.0.1:9")
    pressed = labelled(page(), "Pause All Campaigns")
    assert pressed.disabled
    assert "does not answer" in pressed.help


@pytest.mark.parametrize("verb", ["Pause", "Resume"])
def test_mail_is_stopped_and_freed_when_what_it_concerns_cannot_be_counted(page: Open, state: State, verb: str) -> None:
    if verb == "Resume":
        state.pauses.append({"scope": {"all": True}, "reason": "drill", "who": "ada", "since": "2026-03-01T00:00:00Z"})
    state.refuse["GET", "/v1/campaigns/reach"] = (503, {"title": "Unavailable", "detail": "The store is busy."})
    app = button(page(), f"{verb} All Campaigns")
    assert "could not be counted" in said(app)
    if verb == "Pause":
        app = button(filled(app), "Pause all campaigns now")
    else:
        app.text_input(key="resume_mail_reason").input("over")
        app = button(app, "Resume All Campaigns now")
    assert state.asked[-1][1] == f"/v1/campaigns/{verb.lower()}"


def test_a_pause_without_an_answer_is_not_said_to_be_tried_again(page: Open, state: State) -> None:
    state.refuse[PAUSE] = (429, {"title": "Too many", "detail": "Too many requests."})
    app = button(filled(button(page(), "Pause All Campaigns")), "Pause all campaigns now")
    told = "".join(one.value for one in app.error)
    assert "Too many requests. Wait a minute, then try again." in told
    assert "by itself" not in told


def reached(app: AppTest, scope: str, name: str = "") -> str:
    """What the question says once it is about one thing."""
    app = next(one for one in app.button_group if one.label == "What stops").set_value(scope).run()
    if scope == "ip":
        app = app.text_input(key="pause_ip").input(name).run()
    elif scope != "all":
        app = app.selectbox(key=f"pause_{scope}").select(name).run()
    return said(app)


def test_the_question_counts_what_it_is_about(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_ip("warming", "203.0.113.10")["pool"] = "bulk"
    state.campaigns = [{"name": "spring", "sender": "acme", "status": "active", "created_at": "2026-03-01T00:00:00Z"}]
    app = button(page(), "Pause All Campaigns")
    assert "This stops **1** campaign, **1** sender and **2** IPs, and all other mail as well" in said(app)
    assert "This stops **1** IP: at the gate, within a second. Mail that another pool" in reached(app, "pool", "bulk")
    assert "This stops **1** campaign and **1** sender: at the gate, within a second. It lasts" in reached(
        app, "sender", "acme"
    )
    assert "This stops nothing that sends now: at the gate" in reached(app, "ip", "203.0.113.99")
    asked = [query for path, query in state.read if path == "/v1/campaigns/reach"]
    assert {"scope": "pool", "name": "bulk"} in asked
    assert {"scope": "sender", "name": "acme"} in asked
    assert {"scope": "ip", "name": "203.0.113.99"} in asked


def test_mail_can_be_stopped_before_anything_sends(page: Open, state: State) -> None:
    app = button(page(), "Pause All Campaigns")
    assert "Nothing sends now. This stops all mail: at the gate, within a second." in said(app)
    app = button(filled(app), "Pause all campaigns now")
    app = button(app, "Resume All Campaigns")
    assert "Nothing would send at once: other pauses hold it" in said(app)


def test_the_way_back_counts_what_goes_and_what_stays(page: Open, state: State) -> None:
    state.add_ip("full_capacity")
    made = {"sender": "acme", "created_at": "2026-03-01T00:00:00Z"}
    state.campaigns = [made | {"name": "spring"}, made | {"name": "summer", "paused": True}]
    state.pauses = [{"scope": {"all": True}, "reason": "drill", "who": "ada", "since": "2026-03-01T00:00:00Z"}]
    text = said(button(page(), "Resume All Campaigns"))
    assert "This lets **2** campaigns, **1** sender and **1** IP go on, up to today's caps of the IPs." in text
    assert "**1** campaign stays stopped for another reason." in text


def test_a_fresh_session_draws_its_page_once(page: Open, state: State) -> None:
    page()
    assert [path for path, _ in state.read].count("/v1/campaigns/pauses") == 2, "for the banner and for the button"
