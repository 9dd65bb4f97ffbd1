"""Pools: sets of IPs that senders' mail leaves by, and where it goes when they are spent."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, path_of
from ui.pieces import asking, forms, paging
from ui.pieces.guard import live

NOWHERE = "Nowhere: mail past the caps waits"
OVERFLOW_HELP = "Its IPs at full capacity, unless at risk, take the mail that this pool's IPs may not send today."


@live
def listed(api: Api, query: str) -> None:
    """Every one, as searched for."""
    items = api.all("/v1/pools")
    if not items:
        st.info("A pool is a set of IPs that senders' mail leaves by. There is none yet; make the first one below.")
        return
    using: dict[str, list[str]] = {}
    for one in api.all("/v1/senders"):
        using.setdefault(str(one.get("pool")), []).append(str(one["name"]))

    spilling = {str(one["overflow"]): str(one["name"]) for one in items if one.get("overflow")}

    def senders(pool: dict[str, Any]) -> list[str]:
        return using.get(str(pool["name"]), [])

    paging.whole(
        "pool", items, query, lambda one: one["name"],
        lambda one: _one(one, len(senders(one)), spilling.get(str(one["name"]))), lambda one: _row(one, senders(one)),
    )  # fmt: skip


def _one(pool: dict[str, Any], senders: int, spills: str | None) -> None:
    name, ips, sending, overflow, press, end = st.columns([2.5, 1.5, 1.7, 2, 1.3, 1.3], vertical_alignment="center")
    name.markdown(f"**{pool['name']}**")
    count = int(pool.get("ips") or 0)
    ips.markdown(f"{count:,} IP{'' if count == 1 else 's'}" if count else ":orange[△ No IP]")
    sending.markdown(f"{senders:,} sender{'' if senders == 1 else 's'}")
    overflow.markdown(f"overflows to {pool['overflow']}" if pool.get("overflow") else "no overflow")
    with press:
        asking.button("Edit", "pool-change", str(pool["name"]), key=f"pool:{pool['name']}", width="stretch")
    with end:
        why = _used(pool, senders, spills)
        asking.button("Delete", "pool-delete", str(pool["name"]), why, key=f"delete:{pool['name']}", width="stretch")


def _used(pool: dict[str, Any], senders: int, spills: str | None) -> str | None:
    """Why a pool stays; what is not seen here, such as an open order, the API says."""
    if pool.get("default"):
        return "It is the pool of every IP that names none, and stays."
    if pool.get("ips"):
        return "It has IPs. Move them to another pool on their own pages first."
    if senders:
        return "Senders use it. Give them another pool first, under Senders above."
    return f"Pool {spills} overflows to it. Change that first." if spills else None


def _row(pool: dict[str, Any], senders: list[str]) -> dict[str, Any]:
    return {
        "Pool": pool.get("name"),
        "IPs": pool.get("ips"),
        "Senders": " ".join(senders),
        "Overflows to": pool.get("overflow") or "",
    }


def _overflow(form: forms.Form, known: list[str], present: str | None) -> str | None:
    """The field; None stands for nowhere."""
    choices: list[str | None] = [None, *known]
    chosen: str | None = st.selectbox(
        "Overflows to", choices, index=choices.index(present) if present in choices else 0,
        format_func=lambda name: name or NOWHERE, key=form.key("overflow"), help=OVERFLOW_HELP,
    )  # fmt: skip
    form.fault("overflow")
    return chosen


def make(api: Api) -> None:
    """The form for a new pool."""
    form, known = forms.Form("pool"), api.names("/v1/pools")
    with forms.folded("New pool", form):
        left, right = st.columns(2, gap="medium")
        with left:
            name = form.name_field("bulk")
        with right:
            overflow = _overflow(form, known, None)
        pressed = form.button("Make pool")
    if pressed:
        form.new_name(name, known)
        form.send(
            lambda: api.post("/v1/pools", {"name": name, "overflow": overflow}),
            f"Pool {name} is made. Give it IPs: acquire some, or move an IP to it from the IP's own page.",
        )


def change(api: Api, name: str) -> None:
    """Another overflow."""
    items = api.all("/v1/pools")
    found = next((one for one in items if one["name"] == name), None)
    if found is None:
        asking.close()
        return
    form, others = forms.Form(f"pool_change:{name}"), [str(one["name"]) for one in items if one["name"] != name]
    with forms.editing(f"Edit pool {name}", form):
        left, right = st.columns(2, gap="medium")
        with left:
            overflow = _overflow(form, others, found.get("overflow"))
        with right:
            reason = form.reason()
        pressed = form.button("Save pool")
    if pressed:
        form.reasoned(reason)
        form.send(
            lambda: api.patch(path_of("/v1/pools/{name}", name=name), {"overflow": overflow, "reason": reason}),
            f"Pool {name} overflows to {overflow or 'no other pool'}.",
            answers=True,
        )


def delete(api: Api, name: str) -> None:
    """The open question whether a pool ends."""
    with asking.question(f"Delete pool {name}?"):
        st.write(
            f"Pool {name} leaves this list for good; a pause of it ends. Figures of its former IPs and the audit stay."
        )
        forms.Form("pool_delete").command(
            "Delete now",
            lambda reason: api.delete(path_of("/v1/pools/{name}", name=name), reason),
            f"Pool {name} is deleted.",
        )
