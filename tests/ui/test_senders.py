"""Senders, pools and campaigns, made and changed on the page Campaigns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.double import State
from tests.ui.seeing import button, labelled, said
from ui.pieces import places

Open = Callable[..., AppTest]


def shown(page: Open, view: str) -> AppTest:
    """The page Campaigns with one of its lists."""
    app = page(places.CAMPAIGNS)
    return next(one for one in app.button_group if one.label == "Show").set_value(view).run()


def test_a_sender_is_made_with_what_tells_its_mail(page: Open, state: State) -> None:
    app = button(shown(page, "Senders"), "Make sender")
    assert "✕ Enter a name." in said(app)
    assert state.asked == []
    app.text_input(key="sender_name").input("bank")
    app.selectbox(key="sender_pool").select("bulk")
    app.text_area(key="sender_matches").input("bank.example, smtp-17\n\n app@bank.example ")
    app = button(app, "Make sender")
    matches = ["bank.example", "smtp-17", "app@bank.example"]
    assert state.asked[0][1:3] == ("/v1/senders", {"name": "bank", "pool": "bulk", "matches": matches})
    assert "Sender bank is made; its mail leaves by pool bulk." in said(app)
    assert "`bank.example`, `smtp-17`, `app@bank.example`" in said(app)
    assert app.text_input(key="sender_name").value == ""


def test_a_sender_is_changed_and_wants_a_reason(page: Open, state: State) -> None:
    app = button(shown(page, "Senders"), "Edit")
    assert app.text_area(key="sender_change:acme_matches").value == "acme.example"
    app.selectbox(key="sender_change:acme_pool").select("bulk")
    app = button(app, "Save sender")
    assert "✕ Give a reason" in said(app)
    assert state.asked == []
    app.text_input(key="sender_change:acme_reason").input("more room")
    app = button(app, "Save sender")
    body = {"pool": "bulk", "matches": ["acme.example"], "reason": "more room"}
    assert state.asked[0][:3] == ("PATCH", "/v1/senders/acme", body)
    assert "Sender acme is saved" in said(app)


def test_a_refused_line_is_named_and_what_was_typed_stays(page: Open, state: State) -> None:
    state.refuse["POST", "/v1/senders"] = (
        422,
        {"title": "Not accepted", "detail": "x", "errors": [{"field": "matches.1", "message": "no spaces"}]},
    )
    app = shown(page, "Senders")
    app.text_input(key="sender_name").input("bank")
    app.text_area(key="sender_matches").input("bank.example\ntwo words")
    app = button(app, "Make sender")
    assert "✕ Line 2 “two words”: no spaces" in said(app)
    assert app.text_area(key="sender_matches").value == "bank.example\ntwo words"


@pytest.mark.parametrize(("view", "form", "taken"), [("Senders", "sender", "acme"), ("Pools", "pool", "bulk")])
def test_making_what_is_there_already_changes_nothing(
    page: Open, state: State, view: str, form: str, taken: str
) -> None:
    app = shown(page, view)
    app.text_input(key=f"{form}_name").input(taken)
    app = button(app, f"Make {form}")
    assert f"✕ {taken} is there already; press Edit." in said(app)
    assert state.asked == []


def test_a_pool_is_made_and_its_overflow_changed(page: Open, state: State) -> None:
    app = shown(page, "Pools")
    assert "△ No IP" in said(app)
    assert "1 sender" in said(app)
    app.text_input(key="pool_name").input("spare")
    app.selectbox(key="pool_overflow").select("bulk")
    app = button(app, "Make pool")
    assert state.asked[0][1:3] == ("/v1/pools", {"name": "spare", "overflow": "bulk"})
    assert "overflows to bulk" in said(app)
    app = button(app, "Edit")
    app.selectbox(key="pool_change:default_overflow").select("spare")
    app.text_input(key="pool_change:default_reason").input("peak")
    app = button(app, "Save pool")
    assert state.asked[1][:3] == ("PATCH", "/v1/pools/default", {"overflow": "spare", "reason": "peak"})
    assert "Pool default overflows to spare." in said(app)


def test_a_circle_of_pools_is_said_at_its_field(page: Open, state: State) -> None:
    said_ = "Pools would overflow in a circle: bulk -> default -> bulk."
    state.refuse["PATCH", "/v1/pools/default"] = (
        422,
        {"title": "Not accepted", "detail": said_, "errors": [{"field": "overflow", "message": said_}]},
    )
    app = button(shown(page, "Pools"), "Edit")
    app.text_input(key="pool_change:default_reason").input("peak")
    app = button(app, "Save pool")
    assert "✕ Pools would overflow in a circle" in said(app)


def test_an_empty_installation_is_led_from_pool_to_sender_to_campaign(page: Open, state: State) -> None:
    state.pools, state.senders = [], []
    assert "There is none yet; make the first one below" in said(shown(page, "Pools"))
    assert "Make a pool first" in labelled(shown(page, "Senders"), "Make sender").help
    assert "Make a sender first" in labelled(page(places.CAMPAIGNS), "Make campaign").help


@pytest.mark.parametrize(("view", "label"), [("Senders", "Make sender"), ("Senders", "Edit"), ("Pools", "Make pool"),
                                             ("Pools", "Edit"), ("Senders", "Delete"),
                                             ("Campaigns", "Make campaign")])  # fmt: skip
def test_a_viewer_changes_nothing_here(page: Open, state: State, view: str, label: str) -> None:
    state.role = "viewer"
    pressed = labelled(shown(page, view), label)
    assert pressed.disabled
    assert "this needs the role operator" in pressed.help


def test_a_campaign_that_something_above_it_stops_says_so_and_offers_no_resume(page: Open, state: State) -> None:
    state.campaigns = [
        {"name": "spring", "sender": "acme", "status": "paused", "paused": True,
         "reason": "sender acme is paused: wrong list", "created_at": "2026-03-01T00:00:00Z"}
    ]  # fmt: skip
    state.pauses = [{"scope": {"sender": "acme"}, "reason": "wrong list", "since": "2026-03-01T00:00:00Z"}]
    app = page(places.CAMPAIGNS)
    assert "! Stopped], because sender acme is paused: wrong list" in said(app)
    assert "‖ Sender acme**] by an operator: wrong list" in said(app)
    app = button(app, "Resume")  # the sender's
    app.text_input(key="resume_mail_reason").input("list mended")
    button(app, "Resume sender acme now")
    assert state.asked[-1][2]["scope"] == {"sender": "acme"}


@pytest.mark.parametrize("view", ["Campaigns", "Senders", "Pools"])
def test_every_list_is_exported_and_searched(page: Open, state: State, view: str) -> None:
    for number in range(30):
        state.campaigns.append(
            {"name": f"c{number:02}", "sender": "acme", "status": "active", "created_at": "2026-03-01T00:00:00Z"}
        )
        state.senders.append({"name": f"c{number:02}", "pool": "default", "matches": []})
        state.pools.append({"name": f"c{number:02}", "ips": 1})
    app = shown(page, view)
    assert "Export CSV" in [getattr(one, "label", "") for one in app.get("download_button")]
    assert "**c29**" not in said(app)
    assert "**c29**" in said(button(app, "Next"))
    searched = next(one for one in app.text_input if one.label == "Search").input("c07").run()
    assert [one.value for one in searched.markdown if str(one.value).startswith("**c")] == ["**c07**"]


def test_a_refusal_and_an_open_form_are_over_when_the_page_is_left(page: Open, state: State) -> None:
    app = button(shown(page, "Senders"), "Edit")
    app = button(app, "Save sender")
    assert "✕ Give a reason" in said(app)
    app = next(one for one in app.button_group if one.label == "Show").set_value("Campaigns").run()
    app = button(app, "Make campaign")
    assert "✕ Enter a name." in said(app)
    app = app.switch_page(places.file_of(places.AUDIT)).run().switch_page(places.file_of(places.CAMPAIGNS)).run()
    assert "✕" not in said(app)
    assert "Save sender" not in [one.label for one in app.button]


@pytest.mark.parametrize(
    ("view", "name", "says"),
    [
        ("Pools", "bulk", "Figures of its former IPs and the audit stay."),
        ("Senders", "acme", "Mail that still comes is nobody's"),
        ("Campaigns", "spring", "it goes out as its sender's own"),
    ],
)
def test_what_is_deleted_says_what_follows_and_wants_a_reason(
    page: Open, state: State, view: str, name: str, says: str
) -> None:
    state.campaigns = [{"name": "spring", "sender": "acme", "status": "finished", "paused": True}]
    app = shown(page, view)
    app = next(one for one in app.button if one.key == f"delete:{name}").click().run()
    assert says in said(app)
    app = button(app, "Delete now")
    assert "✕ Give a reason" in said(app)
    assert state.asked == []
    kind = view.removesuffix("s").lower()
    app.text_input(key=f"{kind}_delete_reason").input("given up")
    app = button(app, "Delete now")
    assert state.asked[0][:2] == ("DELETE", f"/v1/{view.lower()}/{name}")
    assert f"{kind.capitalize()} {name} is deleted." in said(app)
    assert f"**{name}**" not in said(app)


def test_a_pool_in_use_says_why_it_stays(page: Open, state: State) -> None:
    state.pools += [
        {"name": "full", "ips": 3}, {"name": "spare", "ips": 0}, {"name": "lean", "ips": 0, "overflow": "spare"},
        {"name": "used", "ips": 0},
    ]  # fmt: skip
    state.senders.append({"name": "bank", "pool": "used", "matches": []})
    app = shown(page, "Pools")
    shown_ = {one.key: one for one in app.button if str(one.key).startswith("delete:")}
    why = {str(name).removeprefix("delete:"): one.help for name, one in shown_.items() if one.disabled}
    assert why == {
        "default": "It is the pool of every IP that names none, and stays.",
        "full": "It has IPs. Move them to another pool on their own pages first.",
        "used": "Senders use it. Give them another pool first, under Senders above.",
        "spare": "Pool lean overflows to it. Change that first.",
    }
