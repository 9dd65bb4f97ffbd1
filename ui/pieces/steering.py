"""What can be done with one IP from its place: go on, look again, move it, retire it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import asking, listings, places, session
from ui.pieces.guard import fault, trouble


def actions(api: Api, ip: dict[str, Any]) -> None:
    """Links to where the journey goes on, and the commands of an IP."""
    address, stage = str(ip["address"]), ip.get("stage")
    gone = "The IP is retired." if stage == "retired" else None
    with st.container(horizontal=True, vertical_alignment="center"):
        if stage == "awaiting_dns":
            places.link(places.RECORDS, "Next: the DNS records", ip=address)
        places.link(places.WARMUP, "Next: start the warm-up" if stage == "active" else None, ip=address)
        places.link(places.DNS, ip=address)
        places.link(places.REPUTATION, ip=address)
    with st.container(horizontal=True):
        listings.look_again(api, address)
        asking.button("Move to another pool", "assign", address, gone)
        asking.button("Retire", "retire", address, gone)
    if asking.is_open("assign", address):
        _assign(api, ip)
    elif asking.is_open("retire", address):
        _retire(api, address)
    kind, subject = asking.opened()
    if kind == "close-incident":
        _close(api, subject)


def _close(api: Api, incident: str) -> None:
    """An incident that was put right by hand."""
    with asking.question("Close the incident?"):
        st.write(
            "It no longer asks for anybody's attention. If its cause still holds, the next look opens a new incident."
        )
        reason = asking.reason("close_incident", "Close now")
        if reason is None:
            return
        try:
            api.post(path_of("/v1/incidents/{id}/close", id=incident), {"reason": reason})
        except Problem as problem:
            trouble(problem)
            return
        asking.close()
        session.say("The incident is closed.")
        st.rerun()


def _assign(api: Api, ip: dict[str, Any]) -> None:
    """Another pool: other senders' mail leaves from this IP."""
    address = str(ip["address"])
    refused: Problem | None = st.session_state.get("assign_problem")
    with asking.question(f"Move {address} to another pool?"):
        st.write(
            f"Mail of pool {ip.get('pool') or '–'} no longer leaves from {address}; mail of the pool you name does. "
            "Its warm-up goes on unchanged."
        )
        known = [str(one.get("name")) for one in (api.find("/v1/pools") or {}).get("items") or []]
        pool = st.selectbox(
            "Pool",
            known,
            index=None,
            placeholder="Name of the pool",
            key="assign_pool",
            help="New pools are made on the page Campaigns.",
        )
        fault(refused, "pool")
        reason = asking.reason("assign", "Move now", problem=refused)
        if reason is None:
            return
        if not pool:
            st.error("Name the pool.")
            return
        _tell(api, address, "assign", {"pool": pool, "reason": reason}, f"{address} moves to pool {pool}.")


def _retire(api: Api, address: str) -> None:
    """The end of a life asks once."""
    refused: Problem | None = st.session_state.get("retire_problem")
    with asking.question(f"Retire {address}?"):
        st.write(
            f"Mail from {address} stops at once and for good: a retired IP does not come back. "
            "Its figures and incidents stay readable. An IP that was bought here goes back to its vendor."
        )
        keep = st.checkbox("Keep the address; the vendor goes on charging for it", key="retire_keep")
        reason = asking.reason("retire", "Retire now", problem=refused)
        if reason is None:
            return
        body = {"reason": reason, "keep": keep}
        _tell(api, address, "retire", body, f"{address} is retired; no mail leaves from it.")


def _tell(api: Api, address: str, name: str, body: dict[str, Any], done: str) -> None:
    try:
        with st.spinner("Telling the journey ..."):
            api.post(path_of("/v1/ips/{ip}/{name}", ip=address, name=name), body, key=session.key(f"{name}:{address}"))
    except Problem as problem:
        session.spent(f"{name}:{address}")
        st.session_state[f"{name}_problem"] = problem
        trouble(problem)
        return
    session.spent(f"{name}:{address}")
    st.session_state.pop(f"{name}_problem", None)
    asking.close()
    session.say(done)
    st.rerun()
