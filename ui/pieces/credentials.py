"""New SMTP credentials for one IP: verified at the server first, then they replace the old ones."""

from __future__ import annotations

import streamlit as st

from ui.client import Api, path_of
from ui.pieces import forms, login


def form(api: Api, address: str) -> None:
    """The form, folded away until someone rotates credentials.

    It stands outside the part of the page that refreshes, so that nothing typed is lost.
    """
    in_use = api.get(path_of("/v1/ips/{ip}", ip=address)).get("smtp_login")
    typing = forms.Form(f"smtp:{address}")
    with forms.folded("SMTP credentials", typing):
        st.markdown(f"In use: **{in_use}**." if in_use else "No credentials are stored for this IP.")
        server, who = st.columns(2, gap="medium")
        typed = login.fields(typing, server, who)
        reason = typing.reason(told=forms.OPTIONAL)
        pressed = typing.button("Verify and replace")
    if pressed:
        typing.incomplete(typed.missing())
        with st.spinner(f"Signing in at {typed.host} with the new credentials ..."):
            typing.send(
                lambda: api.put(path_of("/v1/ips/{ip}/smtp", ip=address), typed.body() | {"reason": reason}),
                f"The credentials of {address} are verified and replaced: {typed.host}:{typed.port} {typed.username}.",
            )
