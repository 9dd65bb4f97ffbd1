"""The life of a campaign on its page."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from tests.ui.double import State
from tests.ui.seeing import button, said
from ui.pieces import places

Open = Callable[..., AppTest]


def test_a_campaign_is_made_paused_and_resumed(page: Open, state: State) -> None:
    app = page(places.CAMPAIGNS)
    assert "There is none yet" in said(app)
    app = button(app, "Make campaign")
    assert "Enter a name." in said(app)
    assert state.asked == []
    app.text_input(key="campaign_name").input("spring")
    app = button(app, "Make campaign")
    assert state.asked[0][1:3] == ("/v1/campaigns", {"name": "spring", "sender": "acme"})
    app = button(app, "Pause")
    assert "stops at the gate" in said(app)
    app.text_input(key="campaign_pause_reason").input("wrong list")
    app = button(app, "Pause now")
    assert state.asked[-1][2] == {"scope": {"campaign": "spring"}, "reason": "wrong list"}
    assert "! Paused] by first operator: wrong list" in said(app)
    app = button(app, "Resume")
    app.text_input(key="resume_mail_reason").input("list mended")
    app = button(app, "Resume campaign spring now")
    assert state.asked[-1][1:3] == (
        "/v1/campaigns/resume",
        {"scope": {"campaign": "spring"}, "reason": "list mended"},
    )
    assert "✓ Active" in said(app)
    app = button(app, "Finish")
    app.text_input(key="campaign_finish_reason").input("sold out")
    app = button(app, "Finish now")
    assert state.asked[-1][1:3] == ("/v1/campaigns/spring/finish", {"reason": "sold out"})
    assert "■ Finished" in said(app)
    assert "Finish" not in [one.label for one in app.button]
    assert "Resume" in [one.label for one in app.button]
