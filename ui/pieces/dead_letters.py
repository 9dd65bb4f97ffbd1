"""What sources told that nobody could act on: a part of the Reply Explorer."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api
from ui.pieces import words

_WHY = {
    "type": "Type of event that this release does not know; counted nowhere",
    "ip": "IP that is not here: import it, or correct the source",
    "hearsay": "Block that only a mail tells, which anybody could have written",
}


def table(api: Api) -> None:
    """The newest of 30 days."""
    items: list[dict[str, Any]] = api.get("/v1/dead-letters").get("items") or []
    if not items:
        st.info("None in the last 30 days: everything that came could be counted, or acted on.")
        return
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "From": one.get("source_name"),
                    "What": one.get("name"),
                    "Why": _WHY.get(str(one.get("why")), one.get("why")),
                    "Events": one.get("count"),
                    "First seen": words.ago(one.get("first_seen")),
                    "Last seen": words.ago(one.get("last_seen")),
                }
                for one in items
            ]
        ),
        hide_index=True,
        width="stretch",
        key="dead_letters",
    )
