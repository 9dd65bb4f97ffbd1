"""Import of IPs already owned, from a CSV: all lines, or none when one is wrong."""

from __future__ import annotations

import streamlit as st

from ui.client import Api, Problem
from ui.pieces import session
from ui.pieces.guard import trouble

EXAMPLE = """address,type,stage,pool,domain,hostname,safe_limit
203.0.113.40,dedicated,awaiting_dns,default,example.com,mail40.example.com,2000
203.0.113.41,dedicated,full_capacity,default,example.com,mail41.example.com,5000"""


def form(api: Api) -> None:
    """The form, folded away; a refusal names the line and everything typed stays."""
    turn = int(st.session_state.get("import_turn", 0))
    with st.expander("Import IPs you own", expanded="import_problem" in st.session_state):
        st.caption(
            "A CSV with a header line. Only **address** is needed; an empty cell takes the default. "
            "Nothing is imported unless every line is right. The stage is where the journey starts."
        )
        with st.form(f"import:{turn}", border=False, enter_to_submit=False):
            file = st.file_uploader("CSV file", type=["csv"], key=f"import_file:{turn}")
            pasted = st.text_area("Or paste the lines", placeholder=EXAMPLE, height=120, key=f"import_lines:{turn}")
            refused: Problem | None = st.session_state.get("import_problem")
            if refused:
                trouble(refused)
            why = session.barred()
            pressed = st.form_submit_button("Import IPs", type="primary", disabled=why is not None, help=why)
    if not pressed:
        return
    text = pasted.strip()
    if file is not None:
        try:
            text = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError:
            _refuse("The file is no text in UTF-8. Export it again as CSV (UTF-8).")
    if not text:
        _refuse("Choose a CSV file, or paste its lines.")
    try:
        with st.spinner("Checking every line ..."):
            added = api.post_csv("/v1/ips/import", text).get("items") or []
    except Problem as problem:
        st.session_state["import_problem"] = problem
        st.rerun()
    st.session_state.pop("import_problem", None)
    st.session_state["import_turn"] = turn + 1
    count = len(added)
    session.say(
        f"{count} IP{' is' if count == 1 else 's are'} imported. "
        f"{'Its journey starts' if count == 1 else 'Their journeys start'} within seconds."
    )
    st.rerun()


def _refuse(sentence: str) -> None:
    """Shows a refusal of the page itself, as one of the API's would be."""
    st.session_state["import_problem"] = Problem(422, "Not accepted", sentence)
    st.rerun()
