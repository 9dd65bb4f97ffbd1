"""Campaigns: streams of mail of senders; each can be paused and resumed, and says why it stands."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem
from ui.pieces import asking, session, words
from ui.pieces.guard import fault, guarded, live, trouble


def make(api: Api) -> None:
    """The form for a new campaign, folded away until it is wanted."""
    refused: Problem | None = st.session_state.get("campaign_problem")
    senders = [str(one["name"]) for one in (api.find("/v1/senders") or {}).get("items") or []]
    why = session.barred() or (None if senders else "Make a sender first: POST /v1/senders.")
    with (
        st.expander("New campaign", expanded=refused is not None),
        st.form("campaign_new", border=False, enter_to_submit=False),
    ):
        left, right = st.columns(2, gap="medium")
        with left:
            name = st.text_input(
                "Name", key="campaign_name", placeholder="spring-news",
                help="Its mail carries the name as an extension of the envelope sender: news+NAME@example.com.",
            ).strip()  # fmt: skip
            fault(refused, "name")
        with right:
            sender = st.selectbox("Sender", senders, key="campaign_sender")
            fault(refused, "sender")
        if refused:
            trouble(refused)
        pressed = st.form_submit_button("Make campaign", type="primary", disabled=why is not None, help=why)
    if not pressed:
        return
    try:
        if not name:
            raise Problem(422, "Incomplete", "A field is missing.", {"name": "Enter a name."})
        api.post("/v1/campaigns", {"name": name, "sender": sender})
    except Problem as problem:
        st.session_state["campaign_problem"] = problem
        st.rerun()
    st.session_state.pop("campaign_problem", None)
    st.session_state.pop("campaign_name", None)
    session.say(f"Campaign {name} of {sender} is made.")
    st.rerun()


@live
def listed(api: Api, query: str) -> None:
    """Every campaign, paused ones first."""
    items: list[dict[str, Any]] = api.get("/v1/campaigns").get("items") or []
    if not items:
        st.info(
            "A campaign is a stream of mail of one sender that can be paused by itself. There is none yet; mail of a "
            "sender goes out without one as well."
        )
        return
    shown = [one for one in items if query.lower() in f"{one.get('name')} {one.get('sender')}".lower()]
    shown.sort(key=lambda one: (not one.get("paused"), str(one.get("name"))))
    if not shown:
        st.info("No campaign matches. Clear the search.")
    for one in shown:
        name, sender, state, press = st.columns([3, 2, 4, 1.3], vertical_alignment="center")
        name.markdown(f"**{one.get('name')}**")
        sender.markdown(str(one.get("sender")))
        paused = bool(one.get("paused"))
        said = f":red[! Paused] {words.literal(one.get('reason') or '')}" if paused else ":green[✓ Active]"
        state.markdown(f"{said} · made {words.when(one.get('created_at'))}", unsafe_allow_html=True)
        with press:
            word = "Resume" if paused else "Pause"
            asking.button(word, f"campaign-{word.lower()}", str(one["name"]), key=f"campaign:{one['name']}",
                          width="stretch")  # fmt: skip


def commands(api: Api) -> None:
    """The open question about a campaign; it stands outside the part that refreshes."""
    kind, name = asking.opened()
    if kind == "campaign-pause":
        said = f"Mail of campaign {name} stops at the gate within a second and waits until you press Resume."
        _ask(api, name, "pause", f"Pause {name}?", said, f"Campaign {name} is paused.")
    elif kind == "campaign-resume":
        said = f"Mail of campaign {name} goes out again, up to the caps of its IPs."
        _ask(api, name, "resume", f"Resume {name}?", said, f"Campaign {name} sends again.")


def _ask(api: Api, name: str, verb: str, title: str, said: str, done: str) -> None:
    with asking.question(title):
        st.write(said)
        reason = asking.reason(f"campaign_{verb}", f"{words.spoken(verb)} now")
        if reason is None:
            return
        try:
            api.post(f"/v1/campaigns/{verb}", {"scope": {"campaign": name}, "reason": reason})
        except Problem as problem:
            trouble(problem)
            return
        asking.close()
        session.say(done)
        st.rerun()


with guarded():
    connected = session.api()
    wanted = st.text_input("Search", placeholder="Campaign or sender", label_visibility="collapsed").strip()
    commands(connected)
    listed(connected, wanted)
    make(connected)
