"""Audit: who did what, on what, when and why."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from ui.client import Api, JsonValue
from ui.pieces import session, words
from ui.pieces.guard import guarded, live

NOUNS = {"ip": "IP", "dns": "DNS", "warmup": "warm-up"}
SPOKEN = {
    "ip.smtp": "Replace SMTP credentials",
    "dns.support": "Send DNS to support",
    "reputation.check": "Check reputation",
    "pool.put": "Set up pool",
}


def _brief(value: JsonValue) -> str:
    """Before or after in words: ``cap 50, step 3``."""
    if value in (None, "", {}, []):
        return "–"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    if isinstance(value, dict):
        return (
            ", ".join(
                f"{words.spoken(name).lower()} {part}" for name, part in value.items() if part not in ([], {}, None, "")
            )
            or "–"
        )
    return str(value)


def _what(value: JsonValue) -> str:
    """A command in words: ``order.create`` -> ``Create order``."""
    noun, dot, verb = str(value or "").partition(".")
    if not dot:
        return words.spoken(value)
    return SPOKEN.get(str(value)) or f"{words.spoken(verb)} {NOUNS.get(noun, noun.replace('_', ' '))}"


def _targets(value: JsonValue) -> str:
    """What it was done on; of many only the first is named."""
    first, *others = str(value or "–").split(",")
    return f"{first} and {len(others)} more" if others else first


@live
def entries(api: Api) -> None:
    """The latest commands."""
    cursor = st.session_state.get("audit_cursor")
    found = api.get("/v1/audit", after=cursor, limit=100)
    items = found.get("items") or []
    if not items:
        st.info("Every command is listed here with who gave it and why. None was given yet.")
        return
    frame = pd.DataFrame(
        [
            {
                "When (UTC)": words.exact(one.get("when") or one.get("at")).removesuffix(" UTC"),
                "Who": one.get("who") or one.get("name"),
                "What": _what(one.get("what")),
                "On": _targets(one.get("on_what") or one.get("on") or one.get("target")),
                "Why": one.get("why") or "–",
                "Before": _brief(one.get("before")),
                "After": _brief(one.get("after")),
            }
            for one in items
        ]
    )
    st.dataframe(frame, hide_index=True, width="stretch")
    with st.container(horizontal=True):
        st.download_button("Export CSV", frame.to_csv(index=False), "audit.csv", "text/csv", on_click="ignore")
        if cursor and st.button("Newest"):
            st.session_state.pop("audit_cursor")
            st.rerun(scope="fragment")
        if found.get("next") and st.button("Older"):
            st.session_state["audit_cursor"] = found["next"]
            st.rerun(scope="fragment")


with guarded():
    entries(session.api())
