"""Campaigns: streams of mail that can be paused by themselves, the senders they belong to, and the pools they use."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, path_of
from ui.pieces import asking, forms, paging, pausing, pools, senders, session, words
from ui.pieces.guard import guarded, live

FIRST = ("paused", "active", "finished")


def make(api: Api) -> None:
    """The form for a new campaign."""
    form, known = forms.Form("campaign"), api.names("/v1/senders")
    with forms.folded("New campaign", form):
        left, right = st.columns(2, gap="medium")
        with left:
            name = form.name_field(
                "spring-news",
                "Its mail carries the name as an extension of the envelope sender: news+NAME@example.com.",
            )
        with right:
            sender = st.selectbox("Sender", known, key=form.key("sender"), placeholder="No sender yet")
            form.fault("sender")
        pressed = form.button("Make campaign", None if known else "Make a sender first, under Senders above.")
    if pressed:
        form.new_name(name, [])
        form.send(
            lambda: api.post("/v1/campaigns", {"name": name, "sender": sender}), f"Campaign {name} of {sender} is made."
        )


@live
def listed(api: Api, query: str) -> None:
    """What is paused apart from campaigns, then every campaign: paused ones first, finished ones last."""
    pauses = api.items("/v1/campaigns/pauses")
    _others([one for one in pauses if not {"all", "campaign"} & set(one.get("scope") or {})])
    own = {str(one["scope"]["campaign"]): one for one in pauses if "campaign" in (one.get("scope") or {})}
    items = api.all("/v1/campaigns")
    if not items:
        st.info(
            "A campaign is a stream of mail of one sender that can be paused by itself. There is none yet; mail of a "
            "sender goes out without one as well."
        )
        return
    items.sort(key=lambda one: (FIRST.index(one["status"]), str(one.get("name"))))
    paging.whole(
        "campaign", items, query, lambda one: f"{one.get('name')} {one.get('sender')}",
        lambda one: _campaign(one, own.get(str(one["name"]))), _row,
    )  # fmt: skip


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
    name, sender, state, press, end = st.columns([3, 2, 4, 1.3, 1.3], vertical_alignment="center")
    name.markdown(f"**{one.get('name')}**")
    sender.markdown(f"of {one.get('sender')}")
    made = f"made {words.when(one.get('created_at'))}"
    over = one.get("status") == "finished"
    if over:
        said = f"■ Finished · {words.when(one.get('finished_at'))}"
    elif pause:
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
    with end:
        if over:
            asking.button("Delete", "campaign-delete", str(one["name"]), key=f"delete:{one['name']}", width="stretch")
        else:
            asking.button("Finish", "campaign-finish", str(one["name"]), key=f"finish:{one['name']}", width="stretch")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "Campaign": one.get("name"),
        "Sender": one.get("sender"),
        "State": words.sentence(str(one.get("status"))),
        "Why": one.get("reason") or "",
        "Made (UTC)": words.exact(one.get("created_at")).removesuffix(" UTC"),
    }


def pause(api: Api, name: str) -> None:
    """The open question about a campaign; it stands outside the part that refreshes."""
    with asking.question(f"Pause campaign {name}?"):
        st.write(f"Mail of campaign {name} stops at the gate within a second and waits until you press Resume.")
        forms.Form("campaign_pause").command(
            "Pause now",
            lambda reason: api.post("/v1/campaigns/pause", {"scope": {"campaign": name}, "reason": reason}),
            f"Campaign {name} is paused.",
        )


def finish(api: Api, name: str) -> None:
    """The open question whether a campaign is over."""
    with asking.question(f"Finish campaign {name}?"):
        st.write(f"Mail of campaign {name} stops at the gate within a second, for good, unless you press Resume.")
        forms.Form("campaign_finish").command(
            "Finish now",
            lambda reason: api.post(f"/v1/campaigns/{name}/finish", {"reason": reason}),
            f"Campaign {name} is finished.",
        )


def delete(api: Api, name: str) -> None:
    """The open question whether a finished campaign leaves the list."""
    with asking.question(f"Delete campaign {name}?"):
        st.write(
            f"Campaign {name} leaves this list for good; its figures and its lines in the audit stay. Mail that still "
            "names it is not stopped any more: it goes out as its sender's own."
        )
        forms.Form("campaign_delete").command(
            "Delete now",
            lambda reason: api.delete(path_of("/v1/campaigns/{name}", name=name), reason),
            f"Campaign {name} is deleted.",
        )


#: Each list: the questions that are asked about one of it, the list, and the form for a new one.
VIEWS = {
    "Campaigns": ({"campaign-pause": pause, "campaign-finish": finish, "campaign-delete": delete}, listed, make),
    "Senders": ({"sender-change": senders.change, "sender-delete": senders.delete}, senders.listed, senders.make),
    "Pools": ({"pool-change": pools.change, "pool-delete": pools.delete}, pools.listed, pools.make),
}


def main() -> None:
    """One of the three lists, its question above it and the form for a new one below it."""
    api = session.api()
    shown, find = st.columns([2, 3], vertical_alignment="center")
    with shown:
        view = st.segmented_control(
            "Show", list(VIEWS), default="Campaigns", key="campaigns_view", label_visibility="collapsed", required=True
        )
    query = find.text_input("Search", placeholder=f"Part of a name in {view}", label_visibility="collapsed").strip()
    questions, draw, new = VIEWS[str(view)]
    kind, name = asking.opened()
    with guarded():
        if ask := questions.get(kind):
            ask(api, name)
    draw(api, query)
    with guarded():
        new(api)


with guarded():
    main()
