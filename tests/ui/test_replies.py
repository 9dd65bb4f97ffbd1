"""The Reply Explorer as an operator meets it, against the real API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from domain.replies import Class, Object, Retry
from tests.ui import serving
from tests.ui.conftest import APP
from tests.ui.seeing import button, said
from tests.ui.serving import BLOCKED, FULL, IP, OTHER_IP, Running
from ui.client import Api
from ui.pieces import paging, places, reading, words

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An API of these tests' own."""
    with serving.running(tmp_path_factory.mktemp("explorer")) as one:
        yield one


@pytest.fixture
def explorer(running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Open:
    """Opens the page on the real API, as whoever holds a token."""
    st.cache_resource.clear()
    monkeypatch.setenv("WARMPATH_API_URL", running.url)
    monkeypatch.setenv("WARMPATH_VAR_DIR", str(tmp_path))

    def opened(token: str = running.token, **query: str) -> AppTest:
        monkeypatch.setenv("WARMPATH_TOKEN", token)
        # Pages are known once the console has been drawn.
        app = AppTest.from_file(str(APP), default_timeout=20).run().switch_page(places.file_of(places.REPLIES))
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return opened


@pytest.fixture(scope="module")
def told(running: Running) -> Running:
    """The same once replies came."""
    running.tell_replies()
    return running


def table(app: AppTest) -> list[tuple[int, str]]:
    """Mails and meaning of each row."""
    frame = app.dataframe[0].value
    return list(zip(frame["Mails"], frame["What we make of it"], strict=True))


def test_before_any_reply_the_page_says_what_it_is_for(explorer: Open) -> None:
    app = explorer()
    assert not app.exception
    assert not app.error
    assert "No mail server refused or deferred a mail" in said(app)
    assert not app.dataframe


def test_replies_are_listed_with_what_is_made_of_them(explorer: Open, told: Running) -> None:
    app = explorer()
    assert not app.exception
    assert "refreshed every 30 s" in said(app)
    assert table(app)[:2] == [(3, "✕ IP blocked"), (2, "… Mailbox full")]
    assert sorted(table(app)[2:]) == [(1, "– Unknown user"), (1, "… Greylisted")]
    first = app.dataframe[0].value.iloc[0]
    assert (first["Code"], first["Provider"], first["IPs"]) == ("550 5.7.1", "Gmail", "2 IPs")
    assert first["Reply"].startswith("[<ip>] our system has detected") or first["Reply"].startswith("<ip> our")
    assert "lovelace" not in app.dataframe[0].value.to_csv().lower()


def test_what_nobody_could_act_on_stands_beside_them(explorer: Open, told: Running) -> None:
    told.tell_unknown()
    app = explorer()
    assert not app.exception
    letters = next(one.value for one in app.dataframe if "Why" in one.value)
    seen = {
        what: (why, count) for what, why, count in zip(*(letters[n] for n in ("What", "Why", "Events")), strict=True)
    }
    assert seen == {"type Vogon": ("Type not known", 1), IP: ("IP not here", 2), OTHER_IP: ("IP not here", 1)}
    assert "they are counted nowhere" in said(app)
    assert "Import the IP, or correct the source" in said(app)
    links = [one.proto for one in app.get("page_link") if one.proto.label == "Reply Explorer: Dead letters"]
    assert [one.query_string for one in links] == ["part=Dead+letters"] * 2
    assert "(type Vogon), 1 in all; they are counted nowhere" in said(app)


def test_times_sort_as_times_and_are_exact_in_the_export(explorer: Open, told: Running) -> None:
    app = explorer()
    for frame in (one.value for one in app.dataframe):
        for name in ("First seen", "Last seen"):
            assert str(frame[name].dtype).startswith("datetime64"), name
    last = words.second(datetime.now(UTC).isoformat())
    assert last is not None
    assert abs(app.dataframe[0].value["Last seen"][0] - last) < timedelta(minutes=2)
    assert f"{last:%Y-%m-%d %H:%M:%S}+00:00" in paging.as_csv([{"Last seen": last}])


FILTERS = (
    ("selectbox", "replies_provider", "yahoo", [1]),
    ("selectbox", "replies_class", "mailbox_full", [2]),
    ("selectbox", "replies_event", "true", [3]),
    ("selectbox", "replies_event", "false", [2, 1, 1]),
    ("text_input", "replies_ip", OTHER_IP, [1]),
    ("text_input", "replies_sender", "acme", [1]),
    ("text_input", "replies_campaign", "spring", [1]),
    ("text_input", "replies_q", "QUOTA", [2]),
)


def test_filters_are_those_of_the_api(explorer: Open, told: Running) -> None:
    app = explorer()
    for kind, key, value, counts in FILTERS:
        app = getattr(app, kind)(key=key).set_value(value).run()
        assert [count for count, _ in table(app)] == counts, key
        getattr(app, kind)(key=key).set_value(None if kind == "selectbox" else "")


def test_today_leaves_out_what_came_earlier(explorer: Open, told: Running) -> None:
    app = explorer()
    assert "… Greylisted" in [meaning for _, meaning in table(app)]
    app = app.selectbox(key="replies_days").set_value("Today").run()
    assert [count for count, _ in table(app)] == [3, 2, 1]
    assert "… Greylisted" not in [meaning for _, meaning in table(app)]


def test_the_newest_come_first_when_asked_so(explorer: Open, told: Running) -> None:
    app = next(one for one in explorer().button_group if one.label == "Order").set_value("newest").run()
    assert table(app)[-1] == (1, "… Greylisted")
    assert [meaning for _, meaning in table(app)][:3] != ["✕ IP blocked", "… Mailbox full", "– Unknown user"]


def test_a_filter_that_nothing_passes_says_so(explorer: Open, told: Running) -> None:
    app = explorer().text_input(key="replies_sender").set_value("nobody").run()
    assert "No reply matches" in said(app)


def test_a_link_opens_the_page_about_one_ip(explorer: Open, told: Running) -> None:
    assert table(explorer(ip=OTHER_IP)) == [(1, "✕ IP blocked")]


def test_one_reply_is_taken_apart_and_closed(explorer: Open, told: Running) -> None:
    name = Api(told.url, told.token).get("/v1/replies")["items"][0]["id"]
    app = explorer(reply=name)
    assert not app.exception
    text = said(app)
    assert "## ✕ IP blocked" in text
    assert "Mail of the IP stops at once. It is about the IP" in text
    assert "only after time" in text.lower()
    assert "Counts against the IP:] Yes" in text
    assert BLOCKED.format(IP) in [one.value for one in app.code]
    assert list(app.dataframe[1].value["IP"]) == [IP, OTHER_IP]
    assert list(app.dataframe[1].value["Mails"]) == [2, 1]
    assert app.get("vega_lite_chart")
    app = button(app, "Close")
    assert not app.code
    assert "reply" not in app.query_params


def test_a_reply_that_is_filtered_away_says_so(explorer: Open, told: Running) -> None:
    name = Api(told.url, told.token).get("/v1/replies")["items"][0]["id"]
    app = explorer(reply=name).selectbox(key="replies_provider").set_value("yahoo").run()
    assert "did not come in these days" in said(app)


def test_the_export_holds_class_rule_and_shares_of_every_reply(told: Running) -> None:
    text = paging.everything(Api(told.url, told.token), "/v1/replies", reading.exported)()
    lines = text.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("Mails,Class,IP event,Retry,About,Code,Enhanced code,Speaks,Rule,First seen")
    assert f"{IP} (2); {OTHER_IP} (1)" in lines[1]


def test_pasted_replies_get_a_row_each(explorer: Open) -> None:
    app = explorer()
    app.text_area(key="replies_asked").input(f"{BLOCKED.format(IP)}\n\n  {FULL}\r\n250 2.0.0 OK\nblah")
    app = button(app, "Read them")
    assert not app.exception
    frame = app.dataframe[-1].value
    assert list(frame["What we make of it"]) == ["✕ IP blocked", "… Mailbox full", "✓ Accepted", "? Not known"]
    assert list(frame["IP event"]) == ["Yes", "No", "No", "No"]
    assert list(frame["Try again"])[:2] == ["Later", "Later"]
    assert frame["Rule"][3] == "–"
    assert str(app.text_area(key="replies_asked").value).startswith("550 5.7.1")


def test_who_speaks_can_be_told(explorer: Open) -> None:
    app = explorer()
    app.text_area(key="replies_asked").input("421 go away")
    app.selectbox(key="replies_whose").select("yahoo")
    assert list(button(app, "Read them").dataframe[-1].value["Provider"]) == ["Yahoo"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (" \n ", "Paste at least one reply"),
        ("550 no\n" * 201, "201 lines are too many"),
        ("550 " + "x" * 10_001, "at most 10000 characters"),
    ],
)
def test_what_cannot_be_read_says_why_and_stays(explorer: Open, text: str, says: str) -> None:
    app = explorer()
    app.text_area(key="replies_asked").input(text)
    app = button(app, "Read them")
    assert not app.exception
    assert says in said(app)
    assert app.text_area(key="replies_asked").value == text


def test_a_viewer_may_read_and_ask(explorer: Open, told: Running) -> None:
    token = Api(told.url, told.token).post("/v1/tokens", {"name": "on call", "role": "viewer"})["token"]
    app = explorer(token)
    assert len(table(app)) == 4
    app.text_area(key="replies_asked").input(FULL)
    assert list(button(app, "Read them").dataframe[-1].value["What we make of it"]) == ["… Mailbox full"]


def test_an_api_that_is_down_is_a_sentence(explorer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMPATH_API_URL", "http://127.0.0.1:9")
    app = explorer()
    assert not app.exception
    assert any("does not answer" in str(one.value) for one in app.error)
    app.text_area(key="replies_asked").input(FULL)
    app = button(app, "Read them")
    assert app.text_area(key="replies_asked").value == FULL


def test_every_word_of_the_rules_has_words_for_a_person() -> None:
    assert set(reading.CLASSES) == {one.value for one in Class}
    assert set(reading.RETRIES) == {one.value for one in Retry}
    for one in Object:
        assert "_" not in reading.about({"object": one.value})
    assert reading.label({"class": "new_one"}) == "? New one"
