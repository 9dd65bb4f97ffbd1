"""Audit: who did what, on what, when and why."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from ui.client import Api, JsonValue
from ui.pieces import paging, session, words
from ui.pieces.guard import guarded, live

PAGE_SIZE = 25
NOUNS = {"ip": "IP", "dns": "DNS", "warmup": "warm-up"}
SPOKEN = {
    "ip.smtp": "Replace SMTP credentials",
    "dns.support": "Send DNS to support",
    "reputation.check": "Check reputation",
    "pool.put": "Set up pool",
    "mail.pause": "Pause mail",
    "mail.resume": "Resume mail",
}


def _brief(value: JsonValue) -> str:
    """Before or after in words: ``cap 50, step 3``; the reason has a column of its own."""
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
                _said(name, part) for name, part in value.items() if name != "reason" and part not in ([], {}, None, "")
            )
            or "–"
        )
    return str(value)


def _said(name: str, part: JsonValue) -> str:
    """One thing and its value: ``cap 50``, ``not paused``, ``matches a.example b.example``."""
    spoken = words.spoken(name).lower()
    if isinstance(part, bool):
        return spoken if part else f"not {spoken}"
    if isinstance(part, list):
        return f"{spoken} {' '.join(str(one) for one in part)}"
    return f"{spoken} {part}"


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


def _after(one: dict[str, Any]) -> str:
    """What stands after a command that was done; else what became of it."""
    if one.get("outcome") == "refused":
        return f"Refused: {one.get('answer') or 'no reason was given'}"
    if one.get("outcome") == "asked":
        return "Not known: no answer came back yet, look at what it was on"
    return _brief(one.get("after"))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "When (UTC)": words.exact(one.get("at")).removesuffix(" UTC"),
        "Who": one.get("who"),
        "What": _what(one.get("what")),
        "On": _targets(one.get("target")),
        "Why": one.get("why") or "–",
        "Before": _brief(one.get("before")),
        "After": _after(one),
        "Role": words.ROLES.get(str(one.get("role")), words.spoken(one.get("role"))),
    }


@live
def entries(api: Api, target: str) -> None:
    """The commands on what was asked for, newest first."""
    pager = paging.Pager("audit", target)
    question = {"target": target or None}
    found = api.get("/v1/audit", **question, after=pager.cursor, limit=PAGE_SIZE)
    items: list[dict[str, Any]] = found.get("items") or []
    if not items:
        st.info(
            "No command was given on this."
            if target
            else "Every command is listed here with who gave it and why. None was given yet."
        )
        return
    orders = {str(one["id"]): str(one.get("hostname") or one.get("domain")) for one in _orders(api, items)}
    rows = [_row(one) for one in items]
    for row in rows:
        row["On"] = f"order for {orders[row['On']]}" if row["On"] in orders else row["On"]
    # Rows wrap: what was changed, and why, is what an operator reads here.
    paging.table([{name: part for name, part in row.items() if name != "Role"} for row in rows])
    pager.buttons(found.get("next"), paging.everything(api, "/v1/audit", _row, **question), "audit.csv")


def _orders(api: Api, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Orders by which a person knows what an entry is about; none are asked for where no entry is about one."""
    if not any(str(one.get("target")).startswith("ord_") for one in items):
        return []
    return api.items("/v1/orders", limit=200)


with guarded():
    # A link about an IP (``?ip=``) fills the field once; what is typed then counts.
    linked = str(st.query_params.get("ip") or "")
    wanted = st.text_input(
        "Search",
        value=linked,
        key=f"audit_target:{linked}",
        placeholder="What it was done on: an IP, a pool, a sender, all",
        label_visibility="collapsed",
    )
    entries(session.api(), wanted.strip())
