"""Tokens: who may call the API in which role; a new token is shown once, a lost one is revoked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import asking, paging, session, words
from ui.pieces.forms import Form
from ui.pieces.guard import guarded, trouble


def made() -> None:
    """The token just made; its text is nowhere else."""
    fresh = st.session_state.get("token_made")
    if not fresh:
        return
    name, text = fresh
    with st.container(border=True):
        st.markdown(f"**The token of {name}.** Copy it now: it is shown only this once.")
        st.code(text, language=None)
        if st.button("I have copied it"):
            st.session_state.pop("token_made")
            st.rerun()


def make(api: Api) -> None:
    """The form for a new token."""
    with st.form("token_new", enter_to_submit=False):
        name_column, role_column, press = st.columns([2, 3.6, 1.4], vertical_alignment="bottom")
        name = name_column.text_input(
            "Name", max_chars=100, placeholder="Who or what uses it", key="token_name"
        ).strip()
        role = role_column.selectbox("Role", list(words.ROLES), format_func=words.role, key="token_role")
        why = session.barred("admin")
        pressed = press.form_submit_button(
            "Make token", type="primary", width="stretch", disabled=why is not None, help=why
        )
    if not pressed:
        return
    if not name:
        st.error("Enter a name, so that the audit can say who it was.")
        return
    try:
        answer = api.post("/v1/tokens", {"name": name, "role": role})
    except Problem as problem:
        trouble(problem)
        return
    st.session_state["token_made"] = (name, str(answer.get("token")))
    st.session_state.pop("token_name", None)
    st.rerun()


def listed(api: Api) -> None:
    """Every token with its role and age; those in use can be revoked."""
    items: list[dict[str, Any]] = api.all("/v1/tokens")
    items.sort(key=lambda one: (one.get("revoked_at") is not None, str(one.get("created_at") or "")))
    st.markdown("**In use and revoked**")
    admins = sum(one.get("role") == "admin" and not one.get("revoked_at") for one in items)
    for one in items:
        name, role, state, press = st.columns([3, 2, 3, 1], vertical_alignment="center")
        name.markdown(str(one.get("name") or "–"))
        role.markdown(words.ROLES.get(str(one.get("role")), words.spoken(one.get("role"))))
        revoked = one.get("revoked_at")
        state.markdown(
            f"{'– Revoked' if revoked else '✓ In use, made'} {words.when(revoked or one.get('created_at'))}",
            unsafe_allow_html=True,
        )
        identity = str(one["id"])
        if not revoked:
            last = one.get("role") == "admin" and admins < 2
            with press:
                why = "This is the last administrator's token. Make another one first." if last else None
                asking.button("Revoke", "revoke", identity, why, key=f"revoke:{identity}", width="stretch")
        if asking.is_open("revoke", identity):
            _revoke(api, identity, str(one.get("name")))
    paging.export([_row(one) for one in items], "tokens.csv")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    made, revoked = words.exact(one.get("created_at")), one.get("revoked_at")
    return {
        "Name": one.get("name"),
        "Role": words.ROLES.get(str(one.get("role")), words.spoken(one.get("role"))),
        "Made (UTC)": made.removesuffix(" UTC"),
        "Revoked (UTC)": words.exact(revoked).removesuffix(" UTC") if revoked else "",
    }


def _revoke(api: Api, identity: str, name: str) -> None:
    with asking.question(f"Revoke the token of {name}?"):
        st.write(
            "Whatever signs in with it is refused from now on; this cannot be undone. If it is your own, you are "
            "signed out."
        )
        path = path_of("/v1/tokens/{id}", id=identity)
        said = f"The token of {name} is revoked."
        Form(f"revoke:{identity}").command("Revoke now", lambda reason: api.delete(path, reason), said)


with guarded():
    connected = session.api()
    made()
    make(connected)
    listed(connected)
