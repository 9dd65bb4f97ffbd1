"""Performance Metrics: what became of the mail, by IP, mailbox provider, sender and campaign; caps against sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from ui.client import Api
from ui.pieces import charts, paging, picking, places, session, words
from ui.pieces.guard import guarded, live

SPANS = {
    "10 minutes": timedelta(minutes=10),
    "1 hour": timedelta(hours=1),
    "24 hours": timedelta(hours=24),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
    "90 days": timedelta(days=90),
}
BY = {"ip": "IP", "provider": "Mailbox provider", "sender": "Sender", "campaign": "Campaign"}
#: Rates in the order of the page, with what each is a part of and where others act (their documentation).
RATES = {
    "delivery": ("Delivery", "Delivered of attempted."),
    "bounce": ("Bounce", "Addresses that do not exist, of final answers. Healthy under 3 %, acts over 5 %."),
    "block": ("Block", "Replies that block the IP, of attempts. Healthy is none."),
    "deferral": ("Deferral", "Deferred at least once, of attempts. Healthy under 5 %, acts over 15 %."),
    "complaint": ("Complaint", "Spam complaints of delivered. Healthy under 0.1 %, acts over 0.2 %."),
}
COUNTS = ("Volume", "Delivered", "Bounced", "Blocked", "Deferred", "Complaints")
MOST_IPS = 20
#: Six figures beside each other fill a usual window.
FIGURE_PIXELS = 138


def main() -> None:
    """The span and the way to take it apart, then the figures."""
    api = session.api()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        usual = list(SPANS).index("10 minutes" if session.short_days() else "24 hours")
        span = st.selectbox(
            "Span", list(SPANS), index=usual, format_func=lambda name: f"Last {name}", key="metrics_span", width=190
        )
        by = st.segmented_control(
            "Taken apart by", list(BY), default="ip", format_func=BY.__getitem__, key="metrics_by", required=True
        )
        ip = picking.spelled(st.text_input("Only this IP", placeholder="All IPs", key="metrics_ip", width=220))
    _figures(api, str(span), str(by or "ip"), ip)


@live
def _figures(api: Api, span: str, by: str, ip: str) -> None:
    since = datetime.now(UTC).replace(microsecond=0) - SPANS[span]
    found = api.get("/v1/metrics", by=by, since=since.isoformat(), ip=ip or None, limit=500)
    total = found.get("total") or {}
    if not total.get("attempted"):
        st.info(
            f"No mail was reported in the last {span}. Figures come from the mail systems' events; this page fills "
            "when an IP sends. Choose a longer span, or start a warm-up."
        )
        places.link(places.WARMUP)
        return
    shown = [("Volume", words.number(total["attempted"]), "Recipients that delivery was tried for.")]
    rates = total.get("rates") or {}
    shown += [(label, words.rate(rates.get(name)), meaning) for name, (label, meaning) in RATES.items()]
    # In a narrow window they stand in two rows.
    with st.container(horizontal=True, gap="small"):
        for label, value, meaning in shown:
            st.metric(label, value, border=True, help=meaning, width=FIGURE_PIXELS)
    points = _whole_steps(found)
    if len(points) > 1:
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown("**Volume over time**")
            st.altair_chart(charts.volume(points), width="stretch", key="metrics_volume")
        with right:
            st.markdown("**What went wrong over time**")
            st.altair_chart(charts.wrong(points), width="stretch", key="metrics_wrong")
    places.link(places.REPLIES, "Reply Explorer: what the mail servers said", ip=ip or None)
    items: list[dict[str, Any]] = found.get("items") or []
    st.markdown(f"**By {BY[by]}**")
    rows = [_row(one, by) for one in items]
    st.dataframe(
        paging.frame(rows, *COUNTS, *(f"{label} %" for label, _ in RATES.values())),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(items), 388),
        placeholder="–",
        column_config={
            **dict.fromkeys(COUNTS, paging.grouped()),
            **{f"{label} %": paging.per_cent(meaning) for label, meaning in RATES.values()},
        },
    )
    paging.export(rows, f"metrics-by-{by}.csv")
    if by == "ip":
        _caps(api, [str(one["name"]) for one in items[:MOST_IPS] if one.get("name")])


def _whole_steps(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Points without the step that is not over yet: it would look as if mail had just stopped."""
    points: list[dict[str, Any]] = found.get("points") or []
    last, until = (words.moment(points[-1].get("at")) if points else None), words.moment(found.get("until"))
    if last is None or until is None or len(points) < 3:
        return points
    return points[:-1] if last + timedelta(seconds=float(found.get("step_seconds") or 0)) > until else points


def _caps(api: Api, addresses: list[str]) -> None:
    found = api.items("/v1/metrics/caps", ip=addresses, days=1) if addresses else []
    today = [one | one["windows"][-1] for one in found if one.get("windows")]
    if not today:
        return
    st.markdown("**Cap against sent, newest day**")
    st.altair_chart(charts.caps(today), width="stretch", key="metrics_caps")


def _row(one: dict[str, Any], by: str) -> dict[str, Any]:
    rates = one.get("rates") or {}
    name = one.get("name") or "not named"
    return {
        BY[by]: words.spoken(name) if by == "provider" else name,
        "Volume": one.get("attempted"),
        "Delivered": one.get("delivered"),
        "Bounced": one.get("bounced"),
        "Blocked": one.get("blocked"),
        "Deferred": one.get("deferred"),
        "Complaints": one.get("complained"),
        **{f"{label} %": words.hundredth(rates.get(key)) for key, (label, _) in RATES.items()},
    }


with guarded():
    main()
