"""New SMTP credentials for one IP: verified at the server first, then they replace the old ones."""

from __future__ import annotations

import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import login, session
from ui.pieces.guard import trouble


def form(api: Api, address: str) -> None:
    """The form, folded away until someone rotates credentials.

    It stands outside the part of the page that refreshes, so that nothing typed is lost.
    """
    prefix, problem_key = f"smtp:{address}", f"smtp_problem:{address}"
    in_use = api.get(path_of("/v1/ips/{ip}", ip=address)).get("smtp_login")
    refused: Problem | None = st.session_state.get(problem_key)
    why = session.barred()
    with st.expander("SMTP credentials", expanded=refused is not None):
        st.markdown(f"In use: **{in_use}**." if in_use else "No credentials are stored for this IP.")
        with st.form(prefix, border=False, enter_to_submit=False):
            server, who = st.columns(2, gap="medium")
            typed = login.fields(prefix, refused, server, who)
            if refused:
                trouble(refused)
            pressed = st.form_submit_button("Verify and replace", type="primary", disabled=why is not None, help=why)
    if not pressed:
        return
    if missing := typed.missing():
        st.session_state[problem_key] = Problem(422, "Incomplete", "Some fields are missing.", missing)
        st.rerun()
    try:
        with st.spinner(f"Signing in at {typed.host} with the new credentials ..."):
            stored = api.put(path_of("/v1/ips/{ip}/smtp", ip=address), typed.body())
    except Problem as problem:
        st.session_state[problem_key] = problem
        st.rerun()
    st.session_state.pop(problem_key, None)
    login.forget(prefix)
    session.say(f"The credentials of {address} are verified and replaced: {stored.get('smtp_login')}.")
    st.rerun()
