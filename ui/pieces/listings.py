"""Listings of one IP on blocklists: those that stand, those that ended, and a look on demand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import journey, paging, session, words
from ui.pieces.guard import trouble

#: Not the same as being on none.
NOT_ASKED = "No blocklist was asked yet, so it is unknown whether the IP is on one."


def look_again(api: Api, address: str) -> None:
    """Button **Look again now**: asks every blocklist without waiting for the sweep."""
    why = session.barred()
    pressed = st.button(
        "Look again now",
        disabled=why is not None,
        help=why or "Asks every blocklist now instead of waiting for the next sweep.",
        key=f"look_again:{address}",
    )
    if not pressed:
        return
    try:
        with st.spinner("Starting a look at every blocklist ..."):
            begun = api.post(path_of("/v1/ips/{ip}/reputation/check", ip=address))
    except Problem as problem:
        trouble(problem)
        return
    st.success(
        f"A look at the blocklists for {address} is under way; its score is brought up to date within seconds. "
        "A new listing counts once a second look has confirmed it." + journey.linked(begun)
    )


def brief(found: dict[str, Any]) -> None:
    """One line for the place of an IP."""
    present = found.get("listings") or []
    if present:
        names = ", ".join(f"{one.get('zone')} ({one.get('state')})" for one in present)
        st.markdown(f":red[**! Listed**] on {names}")
    elif found.get("lists"):
        st.markdown(":green[✓] On no blocklist that was asked.")
    else:
        st.caption(NOT_ASKED)
    ended = found.get("past_listings") or []
    if ended:
        st.caption(f"Was listed before: {', '.join(sorted({str(one.get('zone')) for one in ended}))}.")


def tables(found: dict[str, Any]) -> None:
    """The listings that stand with the way out of each, then those that ended."""
    present, ended = found.get("listings") or [], found.get("past_listings") or []
    st.markdown("**Listings**")
    if present:
        # A table whose rows wrap: the way out is what an operator needs.
        paging.table([_row(one) for one in present])
    else:
        st.caption("On no blocklist that was asked." if found.get("lists") else NOT_ASKED)
    if present or ended:
        paging.export([_row(one) for one in [*present, *ended]], f"listings-{found.get('address')}.csv")
    if ended:
        with st.expander(f"{len(ended)} ended"):
            st.dataframe(pd.DataFrame([_row(one) for one in ended]), hide_index=True, width="stretch")
    silent = [str(one.get("zone")) for one in found.get("lists") or [] if one.get("state") == "unknown"]
    if silent:
        st.caption(f"Did not answer at the last look, so unknown and not clean: {', '.join(sorted(silent))}.")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    row = {
        "List": one.get("zone"),
        "State": words.spoken(one.get("state")),
        "Weight": words.spoken(one.get("weight")),
        "Since (UTC)": words.exact(one.get("first_seen")).removesuffix(" UTC"),
    }
    if one.get("cleared_at"):
        row["Until (UTC)"] = words.exact(one["cleared_at"]).removesuffix(" UTC")
    return row | {"Says": one.get("detail") or "–", "Way out": one.get("delisting") or "–"}
