"""Settings: what the API process runs with; secrets show only whether they are set."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ui.client import JsonValue
from ui.pieces import paging, session
from ui.pieces.guard import guarded


def value(seen: JsonValue) -> str:
    """A setting's value in words."""
    if seen is None or seen == "" or seen == []:
        return "not set"
    if isinstance(seen, bool):
        return "yes" if seen else "no"
    if isinstance(seen, list):
        return ", ".join(value(part) for part in seen)
    return "set, not shown" if seen == "set" else str(seen)


def main() -> None:
    """One row a setting, found by its name."""
    st.caption(
        "As the running API sees them. Each is set by the environment variable of its name and takes effect at the "
        "next start; `docs/configuration.md` says what each does."
    )
    found = session.api().get("/v1/settings")
    wanted = st.text_input("Search", placeholder="Part of a name, such as day or smtp", label_visibility="collapsed")
    rows = [
        {"Setting": f"WARMPATH_{name.upper()}", "Value": value(seen)}
        for name, seen in sorted(found.items())
        if wanted.strip().lower().replace(" ", "_") in name
    ]
    if not rows:
        st.info("No setting has this in its name.")
        return
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 423))
    paging.export(rows, "settings.csv")


with guarded():
    main()
