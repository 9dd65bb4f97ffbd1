"""New SMTP credentials for one IP: verified at the server first, then they replace the old ones."""

from __future__ import annotations

import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import session
from ui.pieces.guard import trouble


def form(api: Api, address: str) -> None:
    """The form, folded away until someone rotates credentials.

    It stands outside the part of the page that refreshes, so that nothing typed is lost.
    """
    login = api.get(path_of("/v1/ips/{ip}", ip=address)).get("smtp_login")
    with st.expander("SMTP credentials"):
        st.markdown(f"In use: **{login}**." if login else "No credentials are stored for this IP.")
        with st.form(f"smtp:{address}", border=False, enter_to_submit=False):
            server, who = st.columns(2, gap="medium")
            with server:
                host = st.text_input("SMTP host", key=f"smtp_host:{address}", placeholder="smtp.example.com").strip()
                _fault(address, "host")
                port = st.number_input("Port", 1, 65_535, 587, key=f"smtp_port:{address}")
                _fault(address, "port")
                starttls = st.checkbox("STARTTLS", value=True, key=f"smtp_starttls:{address}")
            with who:
                username = st.text_input("User name", key=f"smtp_username:{address}").strip()
                _fault(address, "username")
                password = st.text_input(
                    "Password",
                    type="password",
                    key=f"smtp_password:{address}",
                    help="Verified now, stored encrypted, never shown again.",
                )
                _fault(address, "password")
            _fault(address, "smtp")
            refused: Problem | None = st.session_state.get(f"smtp_problem:{address}")
            if refused:
                trouble(refused)
            pressed = st.form_submit_button("Verify and replace", type="primary")
    if not pressed:
        return
    missing = {
        name: text
        for name, value, text in (
            ("host", host, "Enter the SMTP server's name."),
            ("username", username, "Enter the user name."),
            ("password", password, "Enter the password."),
        )
        if not value
    }
    if missing:
        st.session_state[f"smtp_problem:{address}"] = Problem(422, "Incomplete", "Some fields are missing.", missing)
        st.rerun()
    body = {"host": host, "port": int(port), "username": username, "password": password, "starttls": starttls}
    try:
        with st.spinner(f"Signing in at {host} with the new credentials ..."):
            stored = api.put(path_of("/v1/ips/{ip}/smtp", ip=address), body)
    except Problem as problem:
        st.session_state[f"smtp_problem:{address}"] = problem
        st.rerun()
    # The password must not stay in the browser session once it is stored.
    for name in ("problem", "host", "port", "username", "password", "starttls"):
        st.session_state.pop(f"smtp_{name}:{address}", None)
    session.say(f"The credentials of {address} are verified and replaced: {stored.get('smtp_login')}.")
    st.rerun()


def _fault(address: str, name: str) -> None:
    """What the API said about this field."""
    problem: Problem | None = st.session_state.get(f"smtp_problem:{address}")
    message = problem.at(name) if problem else None
    if message:
        st.markdown(f":red[{message}]")
