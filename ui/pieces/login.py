"""The SMTP login of an IP as fields of a form: one form wherever it is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui.client import Problem
from ui.pieces.guard import fault


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


def fields(prefix: str, refused: Problem | None, server: DeltaGenerator, who: DeltaGenerator) -> Login:
    """Draws the fields, each with what was refused about it right below.

    Args:
        prefix: what the fields' keys begin with.
        server: where host, port and STARTTLS stand.
        who: where user name and password stand; may be the same place.
    """
    with server:
        host = st.text_input("SMTP host", key=f"{prefix}_host", placeholder="smtp.example.com").strip()
        fault(refused, "host")
        port = st.number_input("Port", 1, 65_535, 587, key=f"{prefix}_port")
        fault(refused, "port")
    with who:
        username = st.text_input("User name", key=f"{prefix}_username").strip()
        fault(refused, "username")
        password = st.text_input(
            "Password",
            type="password",
            key=f"{prefix}_password",
            help="Verified now, stored encrypted, never shown again.",
        )
        fault(refused, "password")
    with server:
        starttls = st.checkbox("STARTTLS", value=True, key=f"{prefix}_starttls")
    fault(refused, "smtp")
    return Login(host, int(port), username, password, bool(starttls))


def forget(prefix: str) -> None:
    """Nothing of the login stays in the browser session."""
    for name in ("host", "port", "username", "password", "starttls"):
        st.session_state.pop(f"{prefix}_{name}", None)
