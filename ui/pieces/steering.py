"""What can be done with one IP from its place: go on, look again, move it, retire it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import asking, listings, places, session
from ui.pieces.forms import Form


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
        places.link(places.AUDIT, "Audit: what was done with it", ip=address)
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
        path = path_of("/v1/incidents/{id}/close", id=incident)
        Form("close_incident").command(
            "Close now", lambda reason: api.post(path, {"reason": reason}), "The incident is closed."
        )


def _assign(api: Api, ip: dict[str, Any]) -> None:
    """Another pool: other senders' mail leaves from this IP."""
    address, form = str(ip["address"]), Form("assign")
    with asking.question(f"Move {address} to another pool?"):
        st.write(
            f"Mail of pool {ip.get('pool') or '–'} no longer leaves from {address}; mail of the pool you name does. "
            "Its warm-up goes on unchanged."
        )
        pool = st.selectbox(
            "Pool",
            api.names("/v1/pools"),
            index=None,
            placeholder="Name of the pool",
            key=form.key("pool"),
            help="New pools are made on the page Campaigns.",
        )
        form.fault("pool")
        # Asked for by the journey alone: it knows what stands against the move.
        objected = form.refused is not None and form.refused.at("anyway") is not None
        anyway = objected and st.checkbox("Anyway: move it all the same", key=form.key("anyway"))
        form.fault("anyway")

        def move(reason: str) -> object:
            if not pool:
                raise Problem(422, "Incomplete", "A field is missing.", {"pool": "Name the pool."})
            body = {"pool": pool, "reason": reason, **({"anyway": True} if anyway else {})}
            return _tell(api, address, "assign", body)

        form.command("Move now", move, f"{address} moves to pool {pool}.")


def _retire(api: Api, address: str) -> None:
    """The end of a life asks once."""
    form = Form("retire")
    with asking.question(f"Retire {address}?"):
        st.write(
            f"Mail from {address} stops at once and for good: a retired IP does not come back. "
            "Its figures and incidents stay readable. An IP that was bought here goes back to its vendor."
        )
        keep = st.checkbox("Keep the address; the vendor goes on charging for it", key=form.key("keep"))
        form.command(
            "Retire now",
            lambda reason: _tell(api, address, "retire", {"reason": reason, "keep": keep}),
            f"{address} is retired; no mail leaves from it.",
        )


def _tell(api: Api, address: str, name: str, body: dict[str, Any]) -> object:
    purpose = f"{name}:{address}"
    try:
        return api.post(path_of("/v1/ips/{ip}/{name}", ip=address, name=name), body, key=session.key(purpose))
    finally:
        session.spent(purpose)
