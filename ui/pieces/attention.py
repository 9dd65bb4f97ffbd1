"""The strip on top of every page: what needs a person, worst first."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem, look
from ui.pieces import places, words
from ui.pieces.guard import guarded

_ORDER = {"critical": 0, "warning": 1, "info": 2}
_SIGNS = {"critical": ("!", "red"), "warning": ("△", "orange"), "info": ("i", "blue")}
_SHOWN = 2
#: The gates and the worker need no API.
WHO_ACTS = "The API does not answer; whoever runs this installation must look at it. Mail and journeys go on meanwhile."


def strip(api: Api) -> None:
    """Shows the strip; its refresh leaves the rest of the page alone."""
    _strip(api)


@st.fragment(run_every=6)
def _strip(api: Api) -> None:
    with guarded():
        look.begin()
        try:
            found = api.find("/v1/attention")
        except Problem as problem:
            if problem.status == 401:  # nothing is wrong with the installation
                raise
            st.session_state["api_silent"] = True
            said = f"{problem.detail} Whoever runs this installation must look at it." if problem.status else WHO_ACTS
            st.markdown(f":red[**! Critical**]  Nothing can be said of your IPs now. {said}")
            return
        if not look.stale_since and st.session_state.pop("api_silent", False):
            # The page below was drawn without an answer.
            st.rerun()
        items: list[dict[str, Any]] = list((found or {}).get("items", []))
        if look.stale_since:
            st.markdown(
                f":red[**! Critical**]  What you see is what the API said {words.ago(look.stale_since.isoformat())}. "
                f"{WHO_ACTS}",
                help=words.exact(look.stale_since.isoformat()),
            )
        elif not items:
            st.markdown(":green[✓] Nothing waits for you, and nothing is wrong that we know of.")
        if not items:
            return
        items.sort(key=lambda item: _ORDER.get(str(item.get("severity")), 3))
        total = int((found or {}).get("total") or len(items))
        with st.container(border=True, gap="small"):
            for number, item in enumerate(items[:_SHOWN]):
                _line(item, number)
            more = items[_SHOWN:]
            if len(more) == 1:
                _line(more[0], _SHOWN)
            elif more:
                with st.expander(_more(more, total)):
                    for number, item in enumerate(more, start=_SHOWN):
                        _line(item, number)
                    if total > len(items):
                        st.caption(
                            f"These are the {len(items)} worst of {words.number(total)}. The lists of **IP Management "
                            "Dashboard** and **Reputation Dashboard** hold the rest, in an order of your choice."
                        )


def _more(items: list[dict[str, Any]], total: int) -> str:
    """How many stand below the first ones, and how bad they are: ``998 more, 12 of these 18 critical``."""
    hidden = total - _SHOWN
    critical = sum(item.get("severity") == "critical" for item in items)
    if not critical:
        return f"{words.number(hidden)} more"
    of = f" of these {len(items)}" if hidden > len(items) else ""
    return f"{words.number(hidden)} more, {critical}{of} critical"


def _line(item: dict[str, Any], number: int) -> None:
    """One thing; what happened is told in words of others, too, so it is shown as it stands."""
    sign, colour = _SIGNS.get(str(item.get("severity")), ("i", "blue"))
    since = f" · since {words.lasting(item['since'])}" if item.get("since") else ""
    text = words.literal(words.sentence(str(item.get("text") or "").rstrip(".")))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"beside_attention_{number}"):
        st.markdown(
            f":{colour}[**{sign} {words.spoken(item.get('severity'))}**]  {text}{since}",
            unsafe_allow_html=True,
            width="stretch",
        )
        # What only whoever runs the installation can do has no page.
        if page := item.get("page"):
            place, part = places.place_of(page), item.get("part")
            label = f"{places.NAMES[place]}: {part}" if part else None
            places.link(place, label, ip=item.get("ip"), order=item.get("order"), part=part)
