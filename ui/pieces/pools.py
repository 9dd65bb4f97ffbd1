"""Pools: sets of IPs that senders' mail leaves by, and where it goes when they are spent."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import asking, paging, session
from ui.pieces.guard import fault, guarded, live, trouble

NOWHERE = "Nowhere: mail past the caps waits"
OVERFLOW_HELP = "Takes the mail that this pool's IPs may not send today; those at full capacity come first."


def view(api: Api, query: str) -> None:
    """The list, the form of the one that is changed, and the form for a new one."""
    with guarded():
        kind, name = asking.opened()
        if kind == "pool-change":
            _change(api, name)
    _listed(api, query)
    with guarded():
        _make(api)


@live
def _listed(api: Api, query: str) -> None:
    items: list[dict[str, Any]] = api.get("/v1/pools").get("items") or []
    if not items:
        st.info("A pool is a set of IPs that senders' mail leaves by. There is none yet; make the first one below.")
        return
    using: dict[str, list[str]] = {}
    for one in (api.find("/v1/senders") or {}).get("items") or []:
        using.setdefault(str(one.get("pool")), []).append(str(one["name"]))
    shown = [one for one in items if query.lower() in str(one["name"]).lower()]
    if not shown:
        st.info("No pool matches. Clear the search.")
        return
    pager = paging.Pager("pools", query)
    page, following = paging.part(shown, pager)
    for one in page:
        name, ips, senders, overflow, press = st.columns([2.5, 1.5, 2, 3, 1.3], vertical_alignment="center")
        name.markdown(f"**{one['name']}**")
        count = int(one.get("ips") or 0)
        ips.markdown(f"{count:,} IP{'' if count == 1 else 's'}" if count else ":orange[△ No IP]")
        senders.markdown(_counted(len(using.get(str(one["name"]), []))))
        overflow.markdown(f"overflows to {one['overflow']}" if one.get("overflow") else "no overflow")
        with press:
            asking.button("Edit", "pool-change", str(one["name"]), key=f"pool:{one['name']}", width="stretch")
    pager.buttons(
        following,
        lambda: pd.DataFrame([_row(one, using.get(str(one["name"]), [])) for one in shown]).to_csv(index=False),
        "pools.csv",
    )


def _counted(number: int) -> str:
    return f"{number:,} sender{'' if number == 1 else 's'}"


def _row(one: dict[str, Any], senders: list[str]) -> dict[str, Any]:
    return {
        "Pool": one.get("name"),
        "IPs": one.get("ips"),
        "Senders": " ".join(senders),
        "Overflows to": one.get("overflow") or "",
    }


def _names(api: Api) -> list[str]:
    return [str(one["name"]) for one in (api.find("/v1/pools") or {}).get("items") or []]


def _overflow(known: list[str], present: str | None, key: str) -> str | None:
    """The field; None stands for nowhere."""
    choices: list[str | None] = [None, *known]
    chosen: str | None = st.selectbox(
        "Overflows to", choices, index=choices.index(present) if present in choices else 0,
        format_func=lambda name: name or NOWHERE, key=key, help=OVERFLOW_HELP,
    )  # fmt: skip
    return chosen


def _make(api: Api) -> None:
    """The form for a new pool, folded away until it is wanted."""
    refused: Problem | None = st.session_state.get("pool_problem")
    known, why = _names(api), session.barred()
    with (
        st.expander("New pool", expanded=refused is not None),
        st.form("pool_new", border=False, enter_to_submit=False),
    ):
        left, right = st.columns(2, gap="medium")
        with left:
            name = st.text_input("Name", key="pool_name", placeholder="bulk", max_chars=100).strip()
            fault(refused, "name")
        with right:
            overflow = _overflow(known, None, "pool_overflow")
            fault(refused, "overflow")
        if refused and not refused.fields:
            trouble(refused)
        pressed = st.form_submit_button("Make pool", type="primary", disabled=why is not None, help=why)
    if not pressed:
        return
    try:
        if not name:
            raise Problem(422, "Incomplete", "A field is missing.", {"name": "Enter a name."})
        if name in known:
            raise Problem(409, "Not now", "It is there already.", {"name": f"{name} is there already; press Edit."})
        api.post("/v1/pools", {"name": name, "overflow": overflow})
    except Problem as problem:
        st.session_state["pool_problem"] = problem
        st.rerun()
    for one in ("pool_problem", "pool_name", "pool_overflow"):
        st.session_state.pop(one, None)
    session.say(f"Pool {name} is made. Give it IPs: acquire some, or move an IP to it from the IP's own page.")
    st.rerun()


def _forget() -> None:
    for one in [str(one) for one in st.session_state if str(one).startswith("pool_change")]:
        st.session_state.pop(one)


def _change(api: Api, name: str) -> None:
    """Another overflow."""
    refused: Problem | None = st.session_state.get("pool_change_problem")
    items = (api.find("/v1/pools") or {}).get("items") or []
    found = next((one for one in items if one["name"] == name), None)
    if found is None:
        asking.close()
        return
    others = [str(one["name"]) for one in items if one["name"] != name]
    with (
        asking.question(f"Edit pool {name}", forget=_forget),
        st.form("pool_change", border=False, enter_to_submit=False),
    ):
        left, right = st.columns(2, gap="medium")
        with left:
            overflow = _overflow(others, found.get("overflow"), f"pool_change_overflow:{name}")
            fault(refused, "overflow")
        with right:
            reason = st.text_input("Reason", key="pool_change_reason", max_chars=500).strip()
            fault(refused, "reason")
        if refused and not refused.fields:
            trouble(refused)
        pressed = st.form_submit_button("Save pool", type="primary")
    if not pressed:
        return
    try:
        if not reason:
            raise Problem(422, "Incomplete", "A field is missing.", {"reason": "Give a reason, kept in the audit."})
        api.patch(path_of("/v1/pools/{name}", name=name), {"overflow": overflow, "reason": reason})
    except Problem as problem:
        st.session_state["pool_change_problem"] = problem
        st.rerun()
    asking.close()
    _forget()
    session.say(f"Pool {name} overflows to {overflow}." if overflow else f"Pool {name} overflows to no other pool.")
    st.rerun()
