"""Reputation Dashboard: scores with their parts, ages and samples; listings; unknown never looks good."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, path_of
from ui.pieces import charts, places, session, words
from ui.pieces.guard import guarded, live

#: What others act on, shown beside ours: Amazon SES and Gmail, from their documentation (POLICY).
OUTSIDE = (
    ("Amazon SES", "bounce 5 % review, 10 % pause; complaint 0.1 % review, 0.5 % pause"),
    ("Gmail", "spam rate under 0.1 %, never 0.3 %"),
    (
        "Microsoft SNDS",
        "green under 10 %, yellow 10-90 %, red over 90 %; under 100 mails a day there is no data",
    ),
)


@live
def overview(api: Api) -> None:
    """All scores, worst first."""
    found = api.get("/v1/reputation", limit=200)
    items: list[dict[str, Any]] = found.get("items") or []
    if not items:
        st.info("Scores of your IPs appear here after the first sweep. There is nothing to score yet.")
        return
    worst = {"red": 0, "yellow": 1, "unknown": 2, "green": 3}
    items.sort(key=lambda one: (worst.get(str(one.get("band")), 2), one.get("score") or 0))
    counts = {name: sum(1 for one in items if (one.get("band") or "unknown") == name) for name in words.BANDS}
    for column, (name, count) in zip(st.columns(4), counts.items(), strict=True):
        column.metric(words.band(name), count, border=True)
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "IP": one.get("address") or one.get("ip"),
                    "Reputation": words.band(one.get("band")),
                    "Score": words.number(one.get("score")),
                    "Listings": len(one.get("listings") or []),
                    "Measured": words.ago(one.get("at") or one.get("measured_at") or one.get("updated_at")),
                }
                for one in items
            ]
        ),
        hide_index=True,
        width="stretch",
    )


@live
def detail(api: Api, address: str) -> None:
    """One IP's score over time, its parts, its listings."""
    found = api.find(path_of("/v1/ips/{ip}/reputation", ip=address))
    if not found:
        st.info("Not measured yet. The sweep will do it by itself; until then the reputation is unknown.")
        return
    head, score = st.columns([3, 1], vertical_alignment="center")
    head.subheader(address, anchor=False)
    head.badge(words.band(found.get("band")), color=words.band_colour(found.get("band")))
    measured = found.get("at") or found.get("measured_at") or found.get("updated_at")
    if measured:
        head.caption(f"Measured {words.ago(measured)} ({words.exact(measured)})")
    score.metric("Score", words.number(found.get("score")), border=True)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Score over time**")
        trend = [point for point in found.get("trend") or [] if point.get("score") is not None]
        if trend:
            st.altair_chart(charts.score_over_time(trend), width="stretch", key="trend")
        else:
            st.caption("One point is no line yet.")
    with right:
        st.markdown("**What it is made of**")
        parts = found.get("components") or []
        if parts:
            st.altair_chart(charts.components(parts), width="stretch", key="components")
        else:
            st.caption("No component is known yet.")
    if parts:
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Component": words.spoken(part.get("name")),
                        "Value": "unknown" if part.get("value") is None else words.number(part["value"]),
                        "Weight": part.get("weight"),
                        "Sample": words.number(part.get("sample")),
                        "Age": words.age(part.get("age")),
                        "Says": part.get("detail") or "–",
                    }
                    for part in parts
                ]
            ),
            hide_index=True,
            width="stretch",
        )
    _listings(found.get("listings") or [])


def _listings(listings: list[dict[str, Any]]) -> None:
    st.markdown("**Listings**")
    if not listings:
        st.caption("No confirmed listing is known.")
        return
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "List": one.get("zone") or one.get("list") or one.get("name"),
                    "State": words.spoken(one.get("state") or one.get("status") or "listed"),
                    "Weight": words.spoken(one.get("weight")),
                    "Since": words.ago(one.get("since") or one.get("first_seen")),
                    "Says": one.get("detail") or one.get("meaning") or one.get("code") or "–",
                    "Way out": one.get("delisting") or one.get("route") or "–",
                }
                for one in listings
            ]
        ),
        hide_index=True,
        width="stretch",
    )


def main() -> None:
    """The overview, and one IP below it."""
    api = session.api()
    overview(api)
    address = session.chosen_ip(api.get("/v1/ips", limit=200).get("items", []))
    if address:
        detail(api, address)
        places.link(places.FLEET, f"Everything about {address}", ip=address)
    with st.expander("Thresholds of others"):
        for name, text in OUTSIDE:
            st.markdown(f"- **{name}**: {text}")


with guarded():
    main()
