"""What holds for every page: it stands at every stage, in trouble and for every role."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.conftest import APP
from tests.ui.double import ADDRESS, State, quoted
from tests.ui.seeing import button, labelled, said
from ui.pieces import places

Open = Callable[..., AppTest]


@pytest.mark.parametrize("file", [None, *places.NAMES])
@pytest.mark.parametrize("stage", [None, "awaiting_dns", "active", "warming", "full_capacity"])
def test_every_page_stands_at_every_stage(page: Open, state: State, file: str | None, stage: str | None) -> None:
    if stage:
        state.add_ip(stage)
    if stage in ("warming", "full_capacity"):
        state.add_warmup()
    app = page(file)
    assert not app.exception
    assert not app.error


def test_an_empty_fleet_leads_to_the_first_purchase(page: Open) -> None:
    app = page()
    assert "You have none yet" in said(app)
    assert "Nothing waits for you" in said(app)
    assert "Acquire New IP" in [one.label for one in app.button]


def test_every_journey_leads_to_temporal(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    state.orders["order-1"] = quoted({"hostname": "mail1.example.test", "count": 1}, 1)
    for file, about in (
        (None, {"ip": ADDRESS}),
        (places.WARMUP, {"ip": ADDRESS}),
        (places.DNS, {"ip": ADDRESS}),
        (places.PAYMENT, {"order": "order-1"}),
    ):
        links = [one.proto.label for one in page(file, **about).get("link_button")]
        assert "Open this journey in Temporal" in links, file


def test_the_filter_by_stage_stays_when_its_last_ip_goes_on(page: Open, state: State) -> None:
    state.add_ip("active")
    app = page()
    app = next(one for one in app.button_group if one.label == "Stage").set_value("active").run()
    assert [asked for path, asked in state.read if path == "/v1/ips"][-1]["stage"] == "active"
    state.ips[ADDRESS]["stage"] = "warming"
    app = app.run()
    assert not app.exception
    assert [asked for path, asked in state.read if path == "/v1/ips"][-1]["stage"] == "active"


def test_a_wrong_token_and_a_garbled_answer_are_sentences(
    page: Open, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.add_ip("active")
    state.garble.add("/v1/ips")
    app = page()
    assert "could not be shown" in said(app)
    assert not app.exception
    monkeypatch.setenv("WARMPATH_TOKEN", "wrong")
    text = said(page())
    assert "The token is not known." in text
    assert "must look at it" not in text


def test_an_api_that_is_down_is_a_sentence(page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMPATH_API_URL", "http://127.0.0.1:9")
    app = page()
    assert "does not answer" in said(app)
    assert not app.exception


def test_without_a_token_the_console_asks_for_one(page: Open, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARMPATH_TOKEN")
    app = page()
    assert [one.label for one in app.text_input] == ["Token"]
    app.text_input[0].input("test-token")
    button(app, "Sign in")
    assert "Acquire New IP" in [one.label for one in app.button]
    assert "Administrator: everything, also tokens and settings" in said(app)
    monkeypatch.setattr("tests.ui.double.TOKEN", "another")  # as if it were revoked
    text = said(app.run())
    assert [one.label for one in app.text_input] == ["Token"]
    assert "You were signed out: The token is not known." in text
    assert "must look at it" not in text


@pytest.mark.parametrize(
    ("file", "label"),
    [
        (places.ACQUIRE, "Save IP Configuration"),
        (places.DNS, "Re-verify DNS"),
        (places.DNS, "Contact Support"),
        (places.WARMUP, "Pause"),
        (places.REPUTATION, "Look again now"),
        (None, "Retire"),
        (None, "Verify and replace"),
    ],
)
def test_a_viewer_may_look_and_is_told_why_no_more(page: Open, state: State, file: str | None, label: str) -> None:
    state.role = "viewer"
    state.add_ip("warming")
    state.add_warmup()
    pressed = labelled(page(file, ip=ADDRESS), label)
    assert pressed.disabled
    assert "this needs the role operator" in pressed.help


def test_what_was_read_last_stands_in_and_says_how_old_it_is(page: Open, state: State) -> None:
    state.add_ip("active")
    assert "Stale" not in said(page(ip=ADDRESS))
    state.down = True
    text = said(page(ip=ADDRESS))
    assert "△ Stale: the API does not answer" in text
    assert "What you see is what the API said" in text
    assert "whoever runs this installation must look at it" in text
    assert ADDRESS in text


def test_the_first_page_that_a_fresh_console_opens_stands_whole(state: State) -> None:
    app = AppTest.from_file(str(APP), default_timeout=20).switch_page(places.file_of(places.AUDIT)).run()
    assert [one.value for one in app.title] == ["Audit"]
    assert "Pause All Campaigns" in [one.label for one in app.button]
