"""Campaigns: streams of mail that can be paused by themselves, the senders they belong to, and the pools they use."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, Problem
from ui.pieces import asking, paging, pausing, pools, senders, session, words
from ui.pieces.guard import fault, guarded, live, trouble

VIEWS = ("Campaigns", "Senders", "Pools")


def make(api: Api) -> None:
    """The form for a new campaign, folded away until it is wanted."""
    refused: Problem | None = st.session_state.get("campaign_problem")
    known = [str(one["name"]) for one in (api.find("/v1/senders") or {}).get("items") or []]
    why = session.barred() or (None if known else "Make a sender first, under Senders above.")
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
            sender = st.selectbox("Sender", known, key="campaign_sender", placeholder="No sender yet")
            fault(refused, "sender")
        if refused and not refused.fields:
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
    """What is paused apart from campaigns, then every campaign, paused ones first."""
    pauses: list[dict[str, Any]] = (api.find("/v1/campaigns/pauses") or {}).get("items") or []
    _others([one for one in pauses if not {"all", "campaign"} & set(one.get("scope") or {})])
    own = {str(one["scope"]["campaign"]): one for one in pauses if "campaign" in (one.get("scope") or {})}
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
        return
    pager = paging.Pager("campaigns", query)
    page, following = paging.part(shown, pager)
    for one in page:
        _campaign(one, own.get(str(one["name"])))
    pager.buttons(following, lambda: pd.DataFrame([_row(one) for one in shown]).to_csv(index=False), "campaigns.csv")


def _others(pauses: list[dict[str, Any]]) -> None:
    """Paused IPs, pools and senders."""
    if not pauses:
        return
    with st.container(border=True):
        st.markdown("**Paused beside campaigns**")
        for one in pauses:
            said, press = st.columns([9, 1.3], vertical_alignment="center")
            said.markdown(
                f":red[**‖ {words.sentence(pausing.named(one['scope']))}**] {pausing.told(one)} · "
                f"{words.when(one.get('since'))}",
                unsafe_allow_html=True,
            )
            with press:
                pausing.resume_button(one["scope"])


def _campaign(one: dict[str, Any], pause: dict[str, Any] | None) -> None:
    """A campaign; ``pause`` is its own, others' pauses stop it as well."""
    name, sender, state, press = st.columns([3, 2, 4, 1.3], vertical_alignment="center")
    name.markdown(f"**{one.get('name')}**")
    sender.markdown(f"of {one.get('sender')}")
    made = f"made {words.when(one.get('created_at'))}"
    if pause:
        said = f":red[! Paused] {pausing.told(pause)} · {words.when(pause.get('since'))}"
    elif one.get("paused"):
        said = f":red[! Stopped], because {words.literal(one.get('reason') or 'something above it is paused')}"
    else:
        said = f":green[✓ Active] · {made}"
    state.markdown(said, unsafe_allow_html=True)
    with press:
        if pause:
            pausing.resume_button({"campaign": str(one["name"])})
        else:
            asking.button("Pause", "campaign-pause", str(one["name"]), key=f"pause:{one['name']}", width="stretch")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "Campaign": one.get("name"),
        "Sender": one.get("sender"),
        "State": "Paused" if one.get("paused") else "Active",
        "Why": one.get("reason") or "",
        "Made (UTC)": words.exact(one.get("created_at")).removesuffix(" UTC"),
    }


def pause(api: Api, name: str) -> None:
    """The open question about a campaign; it stands outside the part that refreshes."""
    with asking.question(f"Pause {name}?"):
        st.write(f"Mail of campaign {name} stops at the gate within a second and waits until you press Resume.")
        reason = asking.reason("campaign_pause", "Pause now")
        if reason is None:
            return
        try:
            api.post("/v1/campaigns/pause", {"scope": {"campaign": name}, "reason": reason})
        except Problem as problem:
            trouble(problem)
            return
        asking.close()
        session.say(f"Campaign {name} is paused.")
        st.rerun()


def main() -> None:
    """One of the three lists, its questions above it and the form for a new one below it."""
    api = session.api()
    shown, find = st.columns([2, 3], vertical_alignment="center")
    with shown:
        view = st.segmented_control(
            "Show", VIEWS, default=VIEWS[0], key="campaigns_view", label_visibility="collapsed", required=True
        )
    query = find.text_input("Search", placeholder=f"Part of a name in {view}", label_visibility="collapsed").strip()
    kind, name = asking.opened()
    if view == "Senders":
        senders.view(api, query)
    elif view == "Pools":
        pools.view(api, query)
    else:
        if kind == "campaign-pause":
            pause(api, name)
        listed(api, query)
        make(api)


with guarded():
    main()
