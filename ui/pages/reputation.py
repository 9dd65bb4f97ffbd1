"""Reputation Dashboard: scores with their parts, ages and samples; listings; unknown never looks good."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import streamlit as st

from ui.client import Api, JsonValue, path_of
from ui.pieces import charts, journey, listings, paging, picking, places, session, words
from ui.pieces.guard import guarded, live

PAGE_SIZE = 50
#: Two lists' names are in sight.
LISTED_PIXELS = 330

#: What others act on, shown beside ours: Amazon SES and Gmail, from their documentation.
OUTSIDE = (
    ("Amazon SES", "bounce 5 % review, 10 % pause; complaint 0.1 % review, 0.5 % pause"),
    ("Gmail", "spam rate under 0.1 %, never 0.3 %"),
    (
        "Microsoft SNDS",
        "green under 10 %, yellow 10-90 %, red over 90 %; under 100 mails a day there is no data",
    ),
)


def overview(api: Api) -> None:
    """Counts that filter, then the scores, worst first."""
    if not (api.find("/v1/fleet") or {}).get("bands"):
        return
    query = st.text_input(
        "Search", placeholder="Address, host name or domain", label_visibility="collapsed", key="reputation_q"
    ).strip()
    _scores(api, {"q": query or None, "order": "reputation"})


def _band(api: Api) -> str | None:
    """Counts by reputation, one of which filters."""
    bands: dict[str, int] = (api.find("/v1/fleet") or {}).get("bands") or {}
    return st.pills(
        "Reputation",
        list(words.BANDS),
        format_func=lambda name: f"{words.band(name)}  {words.number(bands.get(name, 0))}",
        key="reputation_band",
        label_visibility="collapsed",
    )


@live
def _scores(api: Api, question: dict[str, str | None]) -> None:
    question = {"band": _band(api), **question}
    pager = paging.Pager("reputation", question)
    found = api.get("/v1/reputation", **question, after=pager.cursor, limit=PAGE_SIZE)
    items: list[dict[str, Any]] = found.get("items") or []
    if not items:
        st.info("No IP matches. Clear the search, or choose another reputation.")
        return
    picked = st.dataframe(
        paging.frame([_row(one) for one in items], "Score"),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(items), 388),
        key=f"reputation_table:{question}:{pager.page}",
        on_select="rerun",
        selection_mode="single-cell",
        placeholder="–",
        column_config={**paging.times("Measured"), "Listed on": st.column_config.TextColumn(width=LISTED_PIXELS)},
    )
    cells = picked.get("selection", {}).get("cells", [])
    if cells and (address := str(items[cells[0][0]]["address"])) != st.query_params.get("ip"):
        st.session_state["ip"] = st.query_params["ip"] = address
        st.rerun()
    pager.buttons(found.get("next"), paging.everything(api, "/v1/reputation", _row, **question), "reputation.csv")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "IP": one.get("address"),
        "Reputation": words.reputation(one),
        "Score": one.get("score"),
        "Measured": words.second(one.get("measured_at")),
        "Listed on": ", ".join(
            f"{zone} (seen once)" if zone in (one.get("unconfirmed") or []) else str(zone)
            for zone in one.get("listings") or []
        )
        or "–",
    }


def _taken(age: JsonValue) -> datetime | None:
    """When a value was taken, from its age in seconds."""
    return words.second(time.time() - age) if isinstance(age, (int, float)) else None


@live
def detail(api: Api, address: str) -> None:
    """One IP's score over time, its parts, its listings; above them what stopped the IP, where something did."""
    journey.waits(api.get(path_of("/v1/ips/{ip}", ip=address)), *words.TROUBLED)
    found = api.find(path_of("/v1/ips/{ip}/reputation", ip=address))
    if not found:
        st.info("Not measured yet. The sweep will do it by itself; until then the reputation is unknown.")
        return
    head, score = st.columns([3, 1], vertical_alignment="center")
    head.header(address, anchor=False)
    head.badge(words.band(found.get("band")), color=words.band_colour(found.get("band")))
    if found.get("reason"):
        head.markdown(words.literal(found["reason"]))
    if found.get("measured_at"):
        head.markdown(f"Measured {words.when(found['measured_at'])}", unsafe_allow_html=True)
    score.metric("Score", words.number(found.get("score")), border=True)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Score over time**")
        trend = [point for point in found.get("trend") or [] if point.get("score") is not None]
        if trend:
            listed = [*(found.get("listings") or []), *(found.get("past_listings") or [])]
            incidents = api.items("/v1/incidents", address=address, limit=100)
            st.altair_chart(charts.score_over_time(trend, listed, incidents), width="stretch", key="trend")
        else:
            st.caption("No score was taken yet, so there is no line to draw.")
    with right:
        st.markdown("**What it is made of**")
        parts = found.get("components") or []
        if parts:
            st.altair_chart(charts.components(parts), width="stretch", key="components")
        else:
            st.caption("No component is known yet.")
    if parts:
        st.dataframe(
            paging.frame(
                [
                    {
                        "Component": words.spoken(part.get("name")),
                        "Value": part.get("value"),
                        "Weight": part.get("weight"),
                        "Sample": part.get("sample"),
                        "Age": _taken(part.get("age")),
                        "Says": part.get("detail") or "–",
                    }
                    for part in parts
                ],
                "Value", "Sample",
            ),
            hide_index=True,
            width="stretch",
            placeholder="unknown",
            column_config={
                **paging.times("Age"),
                "Value": st.column_config.NumberColumn("Value, 0 to 100", format="%.0f"),
                "Weight": st.column_config.NumberColumn(help="How much it counts in the score, of 100."),
                "Sample": paging.grouped("Mails, or blocklists asked, that the value is taken from."),
            },
        )  # fmt: skip
    listings.tables(found)


def main() -> None:
    """The overview, and one IP below it."""
    api = session.api()
    overview(api)
    address = picking.chosen_ip(api, "Scores of your IPs appear here after the first sweep.")
    if address:
        listings.look_again(api, address)
        detail(api, address)
        places.link(places.FLEET, f"Everything about {address}", ip=address)
    with st.expander("Thresholds of others"):
        for name, text in OUTSIDE:
            st.markdown(f"- **{name}**: {text}")


with guarded():
    main()
