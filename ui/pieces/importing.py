"""Import of IPs already owned, from a CSV: all lines, or none when one is wrong."""

from __future__ import annotations

import streamlit as st

from ui.client import Api, Problem
from ui.pieces import session
from ui.pieces.forms import OPTIONAL, Form, folded

EXAMPLE = """address,type,stage,pool,domain,hostname,safe_limit
203.0.113.40,dedicated,awaiting_dns,default,example.com,mail40.example.com,2000
203.0.113.41,dedicated,full_capacity,default,example.com,mail41.example.com,5000"""


def form(api: Api) -> None:
    """The form, folded away; a refusal names the line and everything typed stays."""
    typing = Form("import")
    with folded("Import IPs you own", typing):
        st.caption(
            "A CSV with a header line. Only **address** is needed; an empty cell takes the default. "
            "Nothing is imported unless every line is right. The stage is where the journey starts."
        )
        # Streamlit empties a file field only by giving it another key.
        turn = int(st.session_state.get("import_turn", 0))
        file = st.file_uploader("CSV file", type=["csv"], key=typing.key(f"file:{turn}"))
        pasted = st.text_area("Or paste the lines", placeholder=EXAMPLE, height=120, key=typing.key("lines"))
        reason = typing.reason(told=OPTIONAL)
        pressed = typing.button("Import IPs")
    if not pressed:
        return
    text = pasted.strip()
    if file is not None:
        try:
            text = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError:
            typing.refuse(_refused("The file is no text in UTF-8. Export it again as CSV (UTF-8)."))
    if not text:
        typing.refuse(_refused("Choose a CSV file, or paste its lines."))
    try:
        with st.spinner("Checking every line ..."):
            added = api.post_csv("/v1/ips/import", text, reason).get("items") or []
    except Problem as problem:
        typing.refuse(problem)
    typing.forget()
    st.session_state["import_turn"] = turn + 1
    count = len(added)
    session.say(
        f"{count} IP{' is' if count == 1 else 's are'} imported. "
        f"{'Its journey starts' if count == 1 else 'Their journeys start'} within seconds."
    )
    st.rerun()


def _refused(sentence: str) -> Problem:
    """What the page itself refuses, as the API would."""
    return Problem(422, "Not accepted", sentence)
