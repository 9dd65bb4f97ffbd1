"""The SMTP login of an IP as fields of a form: one form wherever it is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui.pieces.forms import Form


@dataclass(frozen=True)
class Login:
    """What was typed; the password goes to the API and nowhere else."""

    host: str
    port: int
    username: str
    password: str
    starttls: bool

    def begun(self) -> bool:
        """Whether anything was typed at all."""
        return bool(self.host or self.username or self.password)

    def missing(self) -> dict[str, str]:
        """Field name to what to enter there; empty when the login is complete."""
        asked = {
            "host": "Enter the SMTP server's name.",
            "username": "Enter the user name.",
            "password": "Enter the password.",
        }
        return {name: text for name, text in asked.items() if not getattr(self, name)}

    def body(self) -> dict[str, Any]:
        """The login in the API's words."""
        return asdict(self)


def fields(form: Form, server: DeltaGenerator, who: DeltaGenerator) -> Login:
    """Draws the fields, each with what was refused about it right below.

    Args:
        form: what they are a part of.
        server: where host, port and STARTTLS stand.
        who: where user name and password stand; may be the same place.
    """
    with server:
        host = st.text_input("SMTP host", key=form.key("host"), placeholder="smtp.example.com").strip()
        form.fault("host")
        port = st.number_input("Port", 1, 65_535, 587, key=form.key("port"))
        form.fault("port")
    with who:
        username = st.text_input("User name", key=form.key("username")).strip()
        form.fault("username")
        password = st.text_input(
            "Password",
            type="password",
            key=form.key("password"),
            help="Verified now, stored encrypted, never shown again.",
        )
        form.fault("password")
    with server:
        starttls = st.checkbox("STARTTLS", value=True, key=form.key("starttls"))
    form.fault("smtp")
    return Login(host, int(port), username, password, bool(starttls))
