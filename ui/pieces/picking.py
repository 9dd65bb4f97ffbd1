"""Choosing one IP among any number: an address field with suggestions, searched on the server."""

from __future__ import annotations

import ipaddress
from typing import Any

import streamlit as st

from ui.client import Api, path_of
from ui.pieces import places

#: Suggestions at once; more help nobody, and ten thousand IPs are as quick as ten.
SUGGESTED = 20


def spelled(text: str) -> str:
    """An address in the one spelling that the inventory knows it by; any other text as it is."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return text.strip()


def linked_ip() -> str | None:
    """The IP that the address of the page names (``?ip=``)."""
    given = st.query_params.get("ip")
    return spelled(given) if given else None


def chosen_ip(api: Api, empty: str, label: str = "IP", key: str = "ip_choice") -> str | None:
    """The IP that a page is about; it follows ``?ip=`` and writes it back, so that the page can be linked to.

    A part of an address, host name or domain may be typed: one match is taken, several are offered.

    Args:
        empty: what the page is for, said where there is no IP yet.

    Returns:
        The address, or None when there is no IP at all; then the first step is on the page.
    """
    asked = linked_ip() or st.session_state.get("ip")
    searched = str(st.session_state.get(f"{key}:searched") or "")
    found = api.get("/v1/ips", q=searched or None, limit=SUGGESTED)
    offered: dict[str, dict[str, Any]] = {str(ip["address"]): ip for ip in found.get("items", [])}
    if not offered and not searched and not asked:
        st.info(f"{empty} There is no IP yet.")
        places.acquire(type="primary")
        return None
    if asked and asked not in offered:
        known = api.find(path_of("/v1/ips/{ip}", ip=str(asked)))
        offered = {str(asked): known or {}} | offered
    addresses = list(offered)
    # The field's key names the IP that the page is about, so this must be settled before the field is drawn.
    asked = str(asked or addresses[0]) if addresses else None

    def named(address: str) -> str:
        host = offered.get(address, {}).get("hostname")
        return f"{address}  ·  {host}" if host else address

    picked = st.selectbox(
        label,
        addresses,
        index=addresses.index(asked) if asked in addresses else 0,
        format_func=named,
        key=f"{key}:{asked}:{searched}",
        accept_new_options=True,
        placeholder="Address, host name or domain",
        help="Choose one, or type a part of an address, host name or domain and press Enter: the whole fleet is "
        "searched.",
    )
    if searched:
        more = " The first ones are in the list." if found.get("next") else ""
        st.caption(
            f"{len(found.get('items', []))}{'+' if more else ''} IPs match “{searched}”; choose one above.{more}"
        )
    if picked is not None and picked not in offered:
        _search(api, spelled(picked), key)
    if picked and picked != st.query_params.get("ip"):
        st.query_params["ip"] = picked
    if picked:
        st.session_state["ip"] = picked
    return picked


def _search(api: Api, typed: str, key: str) -> None:
    """What was typed leads to an IP, or to several to choose from; nothing is lost when there is none."""
    matches = [str(ip["address"]) for ip in api.get("/v1/ips", q=typed, limit=SUGGESTED).get("items", [])]
    exact = typed in matches
    if exact or len(matches) == 1:
        st.session_state.pop(f"{key}:searched", None)
        st.session_state["ip"] = st.query_params["ip"] = typed if exact else matches[0]
        st.rerun()
    if matches:
        st.session_state[f"{key}:searched"] = typed
        st.rerun()
    st.warning(f"No IP has “{typed}” in its address, host name or domain.")
    st.stop()
