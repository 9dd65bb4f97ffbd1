"""Who is signed in, which IP is looked at, and keys that make pressing twice the same as once."""

from __future__ import annotations

import time
import uuid

import streamlit as st

from ui.client import Api, Problem, api_url, configured_token
from ui.pieces import journey, words

ROLES = ("viewer", "operator", "admin")
#: Seconds until a token's role is asked again.
ROLE_SECONDS = 60


@st.cache_resource(show_spinner=False, max_entries=64)
def _connected(url: str, token: str) -> Api:
    return Api(url, token)


def signed_in() -> bool:
    """Whether a token is known."""
    return bool(st.session_state.get("token") or configured_token())


def api() -> Api:
    """The API as the signed-in person.

    Raises:
        Problem: nobody is signed in.
    """
    token = st.session_state.get("token") or configured_token()
    if not token:
        raise Problem(401, "Nobody is signed in", "Nobody is signed in.")
    return _connected(api_url(), token)


def sign_out() -> None:
    """Forgets the token that was typed in this browser session."""
    st.session_state.pop("token", None)


def sign_in() -> None:
    """Asks for a token, and keeps it when the API knows it."""
    st.title("Warmpath")
    st.write("Sign in with a token. `make up` prints one; an administrator can make more.")
    if why := st.session_state.get("signed_out"):
        st.warning(f"You were signed out: {words.literal(why)}")
    with st.form("sign_in"):
        token = st.text_input("Token", type="password")
        if st.form_submit_button("Sign in", type="primary"):
            if not token.strip():
                st.error("Enter a token.")
            else:
                try:
                    _connected(api_url(), token.strip()).get("/v1/ips", limit=1)
                except Problem as problem:
                    known = "" if problem.status != 401 else " Copy it whole, or ask an administrator for another."
                    st.error(f"{words.literal(problem.detail)}{known}" if problem.status else problem.detail)
                else:
                    st.session_state["token"] = token.strip()
                    st.session_state.pop("signed_out", None)
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


def say(sentence: str, kind: str = "success", about: object = None) -> None:
    """A sentence to show after the next rerun: what a command did.

    Args:
        about: what the API answered; when it has a journey, a link to that follows the sentence.
    """
    st.session_state["said"] = (kind, sentence + journey.linked(about))


def show_said() -> None:
    """Shows what :func:`say` left, once."""
    said = st.session_state.pop("said", None)
    if said:
        kind, sentence = said
        {"success": st.success, "info": st.info, "warning": st.warning, "error": st.error}[kind](sentence)


def role() -> str:
    """The role of the signed-in token; ``viewer`` while the API does not say."""
    token = str(st.session_state.get("token") or configured_token())
    held = st.session_state.get("role")
    if held and held[0] == token and time.monotonic() - held[2] < ROLE_SECONDS:
        return str(held[1])
    named = str((api().find("/v1/me") or {}).get("role") or "viewer")
    st.session_state["role"] = (token, named, time.monotonic())
    return named


def short_days() -> bool:
    """Whether a day of this installation passes in minutes at most, so that a date of the calendar says nothing."""
    return float((api().find("/v1/fleet") or {}).get("day_seconds") or 86_400) < 3_600


def barred(needed: str = "operator") -> str | None:
    """Why the signed-in person may not do what needs a role; None when they may."""
    try:
        mine = role()
    except Problem:
        return "The API does not answer now, so nothing can be changed."
    if ROLES.index(mine) >= ROLES.index(needed):
        return None
    return f"Your token has the role {mine}; this needs the role {needed}. Ask an administrator."
