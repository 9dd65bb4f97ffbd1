"""What sources told that nobody could act on: a part of the Reply Explorer."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api
from ui.pieces import paging, words
from ui.pieces.guard import live_slowly

#: The words on the tab, by which the strip links to it.
PART = "Dead letters"
#: Why nobody could act: in a few words, and in a sentence with what to do.
_WHY = {
    "type": (
        "Type not known",
        "This release does not know such events, so they are counted nowhere. Stop sending them, or ask for a release "
        "that knows them.",
    ),
    "ip": (
        "IP not here",
        "A block or an alert is about an IP that this installation does not have, so nothing was stopped. Import the "
        "IP, or correct the source.",
    ),
    "hearsay": (
        "Told by mail alone",
        "Only a mail says that the IP is blocked, and anybody could have written it, so nothing was stopped. Look at "
        "the IP yourself.",
    ),
}


@live_slowly
def table(api: Api) -> None:
    """The newest of 30 days, and what each kind of them means."""
    items: list[dict[str, Any]] = api.get("/v1/dead-letters").get("items") or []
    if not items:
        st.info("None in the last 30 days: everything that came could be counted, or acted on.")
        return
    rows = [_row(one) for one in items]
    st.dataframe(
        paging.frame(rows, "Events"),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 388),
        key="dead_letters",
        column_config={"Events": paging.grouped(), **paging.times("First seen", "Last seen")},
    )
    paging.export(rows, "dead-letters.csv")
    for why in dict.fromkeys(str(one.get("why")) for one in items):
        if why in _WHY:
            st.markdown("**{}**: {}".format(*_WHY[why]))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    why = str(one.get("why"))
    return {
        "From": words.sentence(str(one.get("source_name"))),
        "What": one.get("name"),
        "Why": _WHY[why][0] if why in _WHY else words.spoken(why),
        "Events": one.get("count"),
        "First seen": words.second(one.get("first_seen")),
        "Last seen": words.second(one.get("last_seen")),
    }
