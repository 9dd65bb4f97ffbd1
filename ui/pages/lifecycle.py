"""IP Management Dashboard: the fleet by stage, and one place for each IP (``?ip=203.0.113.9``)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api
from ui.pieces import importing, paging, picking, place, places, session, words
from ui.pieces.guard import guarded, live

PAGE_SIZE = 50
#: Days of the sparkline.
SPARK_DAYS = 14
#: The bar of the load is whole, and the sparkline in sight in a window of 1,280 pixels.
LOAD_PIXELS, NOW_PIXELS = 136, 270
ORDERS = {
    "address": "Address",
    "waiting": "Waits longest",
    "reputation": "Worst reputation",
    "load": "Fullest",
    "stage": "Stage",
}
COLOURS = {"green": "#2e9d5b", "yellow": "#b98900", "red": "#d1453b"}


def fleet(api: Api) -> None:
    """All IPs: counts that filter, a search, an order, a table that pages on the server."""
    if not (api.find("/v1/fleet") or {}).get("stages"):
        _empty()
        importing.form(api)
        return
    top, find, order, pool, band = st.columns([1.3, 2.2, 1.2, 1, 1], vertical_alignment="bottom")
    with top:
        places.acquire(type="primary", width="stretch")
    query = find.text_input("Search", placeholder="Address, host name or domain", key="fleet_q").strip()
    sort = order.selectbox("Sort by", list(ORDERS), format_func=ORDERS.__getitem__, key="fleet_order")
    chosen_pool = pool.selectbox(
        "Pool", [None, *api.names("/v1/pools")], format_func=lambda name: name or "All", key="fleet_pool"
    )
    chosen_band = band.selectbox(
        "Reputation",
        [None, *words.BANDS],
        format_func=lambda name: words.band(name) if name else "All",
        key="fleet_band",
    )
    _table(api, {"q": query or None, "order": sort, "pool": chosen_pool, "band": chosen_band})
    importing.form(api)


def _empty() -> None:
    st.info(
        "This page shows every IP you send from and where its journey stands. You have none yet: "
        "press **Acquire New IP** to buy the first one, or import IPs that you own."
    )
    places.acquire(type="primary")
    st.markdown(
        "1. **IP Acquisition**: choose an IP and give its DNS and SMTP configuration. Nothing is paid yet.\n"
        "2. **Payment Gateway**: candidates are checked against blocklists before any money moves; then you pay.\n"
        "3. **DNS Management Portal**: the records are published for you, or you enter them at your registrar.\n"
        "4. **Warmup Dashboard**: you start the warm-up; mail grows day by day until the IP is at full capacity.\n\n"
        "Each step leads to the next, and the strip on top of every page says what waits for you."
    )


def _stage(api: Api) -> str | None:
    """Counts by stage, one of which filters; the one that is chosen stays, also when its last IP goes on."""
    counts: dict[str, int] = (api.find("/v1/fleet") or {}).get("stages") or {}
    chosen: str | None = st.session_state.get("fleet_stage")
    return st.pills(
        "Stage",
        [name for name in words.STAGES if counts.get(name) or name == chosen],
        format_func=lambda name: f"{words.stage(name)}  {words.number(counts.get(name, 0))}",
        key="fleet_stage",
        label_visibility="collapsed",
    )


@live
def _table(api: Api, question: dict[str, str | None]) -> None:
    question = {"stage": _stage(api), **question}
    pager = paging.Pager("fleet", question)
    found = api.get("/v1/ips", **question, after=pager.cursor, limit=PAGE_SIZE)
    ips: list[dict[str, Any]] = found.get("items", [])
    if not ips:
        st.info("No IP matches. Clear the search, or choose other filters.")
        return
    sent = _sent(api, [str(ip["address"]) for ip in ips])
    rows = [_row(ip) for ip in ips]
    bands = [_load_band(ip) for ip in ips]
    for row, ip in zip(rows, ips, strict=True):
        days = sent.get(str(ip["address"]), [])[-SPARK_DAYS:]
        row["Last days"] = [0] * (SPARK_DAYS - len(days)) + days
    frame = pd.DataFrame(rows)[[*COLUMNS]]
    for name in ("Sent today", "Daily cap", "Score"):
        frame[name] = frame[name].astype("Int64")
    tints = [f"color: {COLOURS[band]}" if band else "" for band in bands]
    chosen = st.dataframe(
        frame.style.apply(lambda _: tints, subset=["Load"]),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 600),
        key=f"fleet_table:{question}:{pager.page}",
        on_select="rerun",
        selection_mode="single-cell",
        placeholder="–",
        column_config={
            "Load": st.column_config.TextColumn(
                width=LOAD_PIXELS,
                help="Sent today over today's cap. Once warm: green under 80 %, yellow from 80 %, red when full.",
            ),
            "Last days": st.column_config.BarChartColumn(
                f"Sent, {SPARK_DAYS} days", help="Mails granted a day, oldest first.", width=110
            ),
            "Now": st.column_config.TextColumn(width=NOW_PIXELS),
            "Sent today": st.column_config.NumberColumn(format="localized"),
            "Daily cap": st.column_config.NumberColumn(format="localized"),
        },
    )
    cells = chosen.get("selection", {}).get("cells", [])
    if cells:
        st.session_state["ip"] = st.query_params["ip"] = str(ips[cells[0][0]]["address"])
        st.rerun()
    _open(ips)
    _waiting(ips)
    pager.buttons(found.get("next"), paging.everything(api, "/v1/ips", _row, **question), "ips.csv")


def _waiting(ips: list[dict[str, Any]]) -> None:
    """What does not fit into a row of the table."""
    rows = [{"IP": ip["address"], "Now": words.now(ip)} for ip in ips if ip.get("waiting_for")]
    if rows:
        with st.expander(f"{len(rows)} of these wait{'s' if len(rows) == 1 else ''}: for what, in full"):
            paging.table(rows)


def _open(ips: list[dict[str, Any]]) -> None:
    address = st.selectbox(
        "Open an IP",
        [str(ip["address"]) for ip in ips],
        index=None,
        placeholder="Open an IP: click its row, or choose it here",
        label_visibility="collapsed",
        key="fleet_open",
    )
    if address:
        st.query_params["ip"] = address
        st.rerun()


def _sent(api: Api, addresses: list[str]) -> dict[str, list[int]]:
    return {
        str(one["address"]): [int(day["granted"]) for day in one.get("windows") or []]
        for one in api.items("/v1/metrics/caps", ip=addresses, days=SPARK_DAYS)
    }


def _load_band(ip: dict[str, Any]) -> str | None:
    """Colour of the load, by the bands of the operator's guide; None where there is no cap now.

    While warming up a full cap is what lets it grow.
    """
    cap = ip.get("daily_cap")
    if not cap:
        return None
    if ip.get("stage") == "warming":
        return "green"
    part = (ip.get("sent_today") or 0) / cap
    return "red" if part >= 1 else "yellow" if part >= 0.8 else "green"


COLUMNS = (
    "IP", "Status", "Stage", "Load", "Reputation", "Now", "Last days", "Score", "Sent today", "Daily cap",
    "Pool", "Type", "Host name",
)  # fmt: skip


def _row(ip: dict[str, Any]) -> dict[str, Any]:
    return {
        "IP": ip["address"],
        "Status": words.status(ip),
        "Stage": words.stage(ip.get("stage")),
        "Load": words.load(ip.get("sent_today"), ip.get("daily_cap")),
        "Sent today": ip.get("sent_today"),
        "Daily cap": ip.get("daily_cap"),
        "Reputation": words.reputation(ip),
        "Score": ip.get("score"),
        "Now": words.now(ip),
        "Pool": ip.get("pool") or "–",
        "Type": words.spoken(ip.get("type")),
        "Host name": ip.get("hostname") or "–",
    }


def main() -> None:
    """The place of the IP in the address, else the fleet."""
    api = session.api()
    asked = picking.linked_ip()
    if asked:
        place.of(api, asked)
    else:
        fleet(api)


with guarded():
    main()
