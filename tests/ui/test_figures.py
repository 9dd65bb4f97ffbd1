"""Tables of figures and scores, and their exports."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, TOKEN, State
from tests.ui.seeing import button, said
from ui.client import Api
from ui.pieces import charts, paging, places

Open = Callable[..., AppTest]


def test_columns_of_numbers_hold_numbers(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    figures = page(places.PERFORMANCE).dataframe[0].value
    assert {str(figures[name].dtype) for name in ("Volume", "Delivery %", "Bounce %", "Complaint %")} == {"Float64"}
    assert figures["Bounce %"][0] == pytest.approx(1.01, abs=0.01)
    decisions = page(places.WARMUP, ip=ADDRESS).dataframe[0].value
    assert {str(decisions[name].dtype) for name in ("Cap", "Sent", "Bounce %", "Deferral %")} == {"Float64"}
    assert str(page(places.REPUTATION, ip=ADDRESS).dataframe[0].value["Score"].dtype) == "Float64"


def test_figures_are_taken_apart_as_asked(page: Open, state: State) -> None:
    assert "No mail was reported" in "".join(one.value for one in page(places.PERFORMANCE).info)
    state.add_ip("warming")
    state.add_warmup()
    app = page(places.PERFORMANCE)
    shown = {one.label: one.value for one in app.metric}
    assert shown["Volume"] == "1,234"
    assert shown["Bounce"] == "1.01 %"
    assert shown["Complaint"] == "–"
    assert list(app.dataframe[0].value["IP"]) == [ADDRESS]
    assert "Cap against sent" in said(app)
    app = next(one for one in app.button_group if one.label == "Taken apart by").set_value("campaign").run()
    assert list(app.dataframe[0].value["Campaign"]) == ["not named"]


def test_figures_lead_to_the_replies_behind_them(page: Open, state: State) -> None:
    state.add_ip("warming")
    state.add_warmup()
    links = [one.proto.label for one in page(places.PERFORMANCE).get("page_link")]
    assert "Reply Explorer: what the mail servers said" in links


@pytest.mark.parametrize("said", ['=HYPERLINK("http://evil.example","x")', "+1+cmd|' /C calc'!A0", "@SUM(1)", "-2+3"])
def test_what_a_foreign_server_said_is_no_formula_in_a_spreadsheet(said: str) -> None:
    (row,) = csv.DictReader(
        io.StringIO(paging.as_csv([{"said": said, "count": -5, "rate": "-", "ip": "198.51.100.7"}]))
    )
    assert row == {"said": f"'{said}", "count": "-5", "rate": "-", "ip": "198.51.100.7"}


def test_an_export_holds_the_whole_list(state: State) -> None:
    for number in range(700):
        state.add_ip("active", f"198.51.{number // 250}.{number % 250}")
    api = Api(os.environ["WARMPATH_API_URL"], TOKEN)
    text = paging.everything(api, "/v1/ips", lambda ip: {"IP": ip["address"]})()
    assert len(text.splitlines()) == 701


def test_the_blocklists_are_looked_at_again_on_demand(page: Open, state: State) -> None:
    state.add_ip("active")
    app = button(page(places.REPUTATION, ip=ADDRESS), "Look again now")
    assert state.asked[0][1] == f"/v1/ips/{ADDRESS}/reputation/check"
    assert "is under way" in said(app)
    assert "[Open this journey in Temporal](http://127.0.0.1:8233/look)" in said(app)


def test_what_no_blocklist_was_asked_about_is_not_called_clean(page: Open, state: State) -> None:
    state.add_ip("active")
    text = said(page(places.REPUTATION, ip=ADDRESS))
    assert "No blocklist was asked yet" in text
    assert "On no blocklist" not in text


def test_a_column_of_times_sorts_as_times(page: Open, state: State) -> None:
    state.add_ip("active")
    scores, parts, *_ = page(places.REPUTATION, ip=ADDRESS).dataframe
    assert str(scores.value["Measured"].dtype).startswith("datetime64")
    assert str(parts.value["Age"].dtype).startswith("datetime64")


def test_a_listing_that_was_seen_once_is_not_told_like_a_confirmed_one(page: Open, state: State) -> None:
    state.add_ip("active")
    scores = page(places.REPUTATION).dataframe[0].value
    assert list(scores["Listed on"]) == ["zen.example, spam.example (seen once)"]


def test_the_words_of_the_thresholds_stand_where_no_score_is_drawn() -> None:
    at = "2026-03-01T00:00:00Z"
    trend = [{"at": at, "score": 95}, {"at": "2026-03-02T00:00:00Z", "score": 30}]
    drawn = charts.score_over_time(trend, [{"zone": "zen.example", "first_seen": at}], []).to_dict()["layer"]
    axes = [layer["encoding"]["y"]["axis"] for layer in drawn]
    assert all("act below 60" in axis["labelExpr"] and axis["labelOverlap"] is False for axis in axes)
    assert not [layer for layer in drawn if layer["mark"]["type"] == "text"]
