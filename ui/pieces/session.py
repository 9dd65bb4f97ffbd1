"""Who is signed in, which IP is looked at, and keys that make pressing twice the same as once."""

from __future__ import annotations

import uuid
from typing import Any

import streamlit as st

from ui.client import Api, Problem, api_url, configured_token


@st.cache_resource(show_spinner=False, max_entries=64)
def _connected(url: str, token: str) -> Api:
    return Api(url, token)


def api() -> Api:
    """The API as the signed-in person; asks for a token when none is known, and ends the run there."""
    token = st.session_state.get("token") or configured_token()
    if not token:
        _sign_in()
        st.stop()
    return _connected(api_url(), token)


def sign_out() -> None:
    """Forgets the token that was typed in this browser session."""
    st.session_state.pop("token", None)


def _sign_in() -> None:
    st.title("Warmpath")
    st.write("Sign in with a token. `make up` prints one; an administrator can make more.")
    with st.form("sign_in"):
        token = st.text_input("Token", type="password")
        if st.form_submit_button("Sign in", type="primary"):
            if not token.strip():
                st.error("Enter a token.")
            else:
                try:
                    _connected(api_url(), token.strip()).get("/v1/ips", limit=1)
                except Problem as problem:
                    st.error(problem.detail)
                else:
                    st.session_state["token"] = token.strip()
                    st.rerun()


def key(purpose: str) -> str:
    """The idempotency key of one form; the same until :func:`spent` is called for it."""
    name = f"key:{purpose}"
    if name not in st.session_state:
        st.session_state[name] = str(uuid.uuid4())
    return str(st.session_state[name])


def spent(purpose: str) -> None:
    """The form did its work: the next press is a new wish."""
    st.session_state.pop(f"key:{purpose}", None)


def say(sentence: str, kind: str = "success") -> None:
    """A sentence to show after the next rerun: what a command did."""
    st.session_state["said"] = (kind, sentence)


def show_said() -> None:
    """Shows what :func:`say` left, once."""
    said = st.session_state.pop("said", None)
    if said:
        kind, sentence = said
        {"success": st.success, "info": st.info, "warning": st.warning, "error": st.error}[kind](sentence)


def chosen_ip(ips: list[dict[str, Any]], label: str = "IP", key: str = "ip_choice") -> str | None:
    """A select box of IPs that follows ``?ip=`` and writes it back, so that the page can be linked to."""
    addresses = [str(ip["address"]) for ip in ips]
    if not addresses:
        return None
    asked = st.query_params.get("ip") or st.session_state.get("ip")
    if asked and asked not in addresses:
        addresses.insert(0, str(asked))
    index = addresses.index(asked) if asked in addresses else 0
    notes = {str(ip["address"]): ip for ip in ips}

    def named(address: str) -> str:
        known = notes.get(address, {})
        return f"{address}  ·  {known['hostname']}" if known.get("hostname") else address

    picked = st.selectbox(label, addresses, index=index, format_func=named, key=f"{key}:{asked}")
    if picked != st.query_params.get("ip"):
        st.query_params["ip"] = picked
    st.session_state["ip"] = picked
    return picked
