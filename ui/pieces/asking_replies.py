"""The box **What would you make of this?**: replies a line, and what the rules in force make of each."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, Problem
from ui.pieces import charts, paging, reading, words
from ui.pieces.guard import fault, trouble

#: Lines that the API reads at once.
MOST = 200
#: Pixels of each column: all of them are in sight on a small screen.
WIDTHS = {
    "Reply": 288, "What we make of it": 128, "About": 136, "Provider": 84, "Try again": 68, "IP event": 66, "Rule": 136,
}  # fmt: skip
_EXAMPLE = "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown"


def box(api: Api) -> None:
    """Asks for replies and shows a row for each; what was typed stays."""
    st.caption("Paste replies of mail servers, one a line, as a log or a bounce gives them. Nothing is stored.")
    with st.form("replies_ask", border=False):
        text = st.text_area("Replies", placeholder=_EXAMPLE, height=140, key="replies_asked")
        who, press = st.columns([2, 5], vertical_alignment="bottom")
        provider = who.selectbox(
            "Whose replies they are", [name for name in charts.PROVIDERS if name != "other"], index=None,
            format_func=reading.provider, placeholder="They tell themselves", key="replies_whose",
        )  # fmt: skip
        pressed = press.form_submit_button("Read them", type="primary")
    if pressed:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        st.session_state.pop("replies_answer", None)
        if not lines:
            st.markdown(":red[✕ Paste at least one reply.]")
        elif len(lines) > MOST:
            st.markdown(f":red[✕ {words.number(len(lines))} lines are too many at once; paste at most {MOST}.]")
        else:
            _ask(api, lines, provider)
    if answer := st.session_state.get("replies_answer"):
        _shown(answer)


def _ask(api: Api, lines: list[str], provider: str | None) -> None:
    try:
        found = api.post("/v1/replies/classify", {"replies": lines, "provider": provider or ""})
    except Problem as problem:
        if problem.fields:
            fault(problem, *problem.fields)
        else:
            trouble(problem)
        return
    st.session_state["replies_answer"] = found.get("items") or []


def _shown(items: list[dict[str, Any]]) -> None:
    rows = [_row(one) for one in items]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 388),
        column_config={name: st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()},
    )
    paging.export(rows, "replies-read.csv")
    for class_ in dict.fromkeys(str(one["reading"]["class"]) for one in items):
        st.markdown(f"**{reading.named(class_)}**: {reading.meaning({'class': class_})}")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    read = one["reading"]
    return {
        "Reply": one["text"],
        "What we make of it": reading.label(read),
        "About": words.sentence(reading.about(read)),
        "Provider": reading.provider(read.get("provider")),
        "Try again": reading.retry(read),
        "IP event": reading.ip_event(read),
        "Rule": reading.rule(read),
    }
