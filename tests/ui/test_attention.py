"""The strip on top of every page."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from tests.ui.double import ADDRESS, State
from tests.ui.seeing import said

Open = Callable[..., AppTest]


def test_the_strip_shows_the_worst_first(page: Open, state: State) -> None:
    state.attention = [
        {"severity": "info", "text": "a quote waits", "page": "Payment Gateway"},
        {"severity": "critical", "text": "mail stands still", "page": "Warmup Dashboard", "ip": ADDRESS},
    ]
    text = said(page())
    assert text.index("Mail stands still") < text.index("A quote waits")


def test_what_others_wrote_is_shown_as_it_stands(page: Open, state: State) -> None:
    state.attention = [
        {
            "severity": "critical",
            "text": "alert: [log in](https://bad.test) <b>now</b>",
            "since": "2026-03-01T00:00:00Z",
        }
    ]
    text = said(page())
    assert r"\[log in\](https://bad.test) &lt;b&gt;now&lt;/b&gt;" in text
    assert '<span title="2026-03-01 00:00:00 UTC">' in text


def test_a_strip_of_many_says_how_many_more_and_how_bad_they_are(page: Open, state: State) -> None:
    state.attention = [
        {"severity": severity, "text": f"trouble {number}", "page": "Reputation Dashboard"}
        for number, severity in enumerate(["critical"] * 5 + ["warning"] * 15)
    ]
    assert [one.label for one in page().expander][0] == "18 more, 3 critical"
    state.attention_total = 1_000
    app = page()
    assert [one.label for one in app.expander][0] == "998 more, 3 of these 18 critical"
    assert "These are the 20 worst of 1,000" in said(app)


def test_what_nobody_can_do_in_the_console_has_no_link(page: Open, state: State) -> None:
    state.attention = [{"severity": "critical", "text": "no worker takes work", "page": ""}]
    app = page()
    assert "No worker takes work" in said(app)
    assert not app.get("page_link")
