"""IP Management Dashboard: the fleet by stage, and one place for each IP (``?ip=203.0.113.9``)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, path_of
from ui.pieces import charts, credentials, importing, journey, places, session, words
from ui.pieces.guard import guarded, live

PAGE_SIZE = 50


def fleet(api: Api) -> None:
    """All IPs: counts that filter, a search, a table that pages on the server."""
    top, find = st.columns([1, 3], vertical_alignment="bottom")
    if top.button("Acquire New IP", type="primary", width="stretch"):
        places.go(places.ACQUIRE)
    query = find.text_input(
        "Search", placeholder="Address, host name or domain", label_visibility="collapsed", key="fleet_q"
    )
    counts: dict[str, int] = (api.find("/v1/fleet") or {}).get("stages") or {}
    present = [name for name in words.STAGES if counts.get(name)]
    wanted = None
    if present:
        wanted = st.pills(
            "Stage",
            present,
            format_func=lambda name: f"{words.stage(name)}  {counts.get(name, 0)}",
            key="fleet_stage",
            label_visibility="collapsed",
        )
    _table(api, wanted, query)
    importing.form(api)


@live
def _table(api: Api, wanted: str | None, query: str) -> None:
    turn = (wanted, query)
    if st.session_state.get("fleet_turn") != turn:
        st.session_state["fleet_turn"] = turn
        st.session_state["fleet_cursors"] = [None]
    cursors: list[str | None] = st.session_state["fleet_cursors"]
    found = api.get("/v1/ips", stage=wanted, q=query.strip() or None, after=cursors[-1], limit=PAGE_SIZE)
    ips: list[dict[str, Any]] = found.get("items", [])
    if not ips:
        if wanted or query:
            st.info("No IP matches. Clear the search or choose another stage.")
        else:
            st.info(
                "This page shows every IP you send from and where its journey stands. You have none yet: "
                "press **Acquire New IP** to buy the first one."
            )
        return
    frame = pd.DataFrame([_row(ip) for ip in ips])
    for name in ("Sent today", "Daily cap", "Score"):
        frame[name] = frame[name].astype("Int64")
    chosen = st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        key=f"fleet_table:{wanted}:{query}:{len(cursors)}",
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        column_config={
            "Load": st.column_config.ProgressColumn(
                "Load", help="Sent today over today's cap", format="percent", width=110, min_value=0, max_value=1
            ),
            "Sent today": st.column_config.NumberColumn(format="localized"),
            "Daily cap": st.column_config.NumberColumn(format="localized"),
        },
    )
    picked = chosen.get("selection", {}).get("rows", [])
    if picked:
        st.query_params["ip"] = str(ips[picked[0]]["address"])
        st.rerun()
    _open_and_page(ips, found.get("next"), cursors, frame)


def _open_and_page(
    ips: list[dict[str, Any]], following: str | None, cursors: list[str | None], frame: pd.DataFrame
) -> None:
    choose, back, on, save = st.columns([3, 1, 1, 1], vertical_alignment="bottom")
    address = choose.selectbox(
        "Open an IP",
        [str(ip["address"]) for ip in ips],
        index=None,
        placeholder="Open an IP: select its row, or choose it here",
        label_visibility="collapsed",
        key="fleet_open",
    )
    if address:
        st.query_params["ip"] = address
        st.rerun()
    if back.button("Previous", disabled=len(cursors) < 2, width="stretch"):
        cursors.pop()
        st.rerun(scope="fragment")
    if on.button("Next", disabled=not following, width="stretch"):
        cursors.append(following)
        st.rerun(scope="fragment")
    save.download_button(
        "Export CSV", frame.to_csv(index=False), "ips.csv", "text/csv", on_click="ignore", width="stretch"
    )


def _row(ip: dict[str, Any]) -> dict[str, Any]:
    cap = ip.get("daily_cap")
    sent = ip.get("sent_today")
    return {
        "IP": ip["address"],
        "Status": _status(ip),
        "Stage": words.stage(ip.get("stage")),
        "Load": round((sent or 0) / cap, 2) if cap else None,
        "Sent today": sent,
        "Daily cap": cap,
        "Reputation": words.band(ip.get("band")),
        "Score": ip.get("score"),
        "Waits for": words.waiting(ip.get("waiting_for")) or "–",
        "Pool": ip.get("pool") or "–",
        "Type": words.spoken(ip.get("type")),
        "Host name": ip.get("hostname") or "–",
    }


def _status(ip: dict[str, Any]) -> str:
    return words.spoken(ip.get("status") or words.stage(ip.get("stage")))


def place(api: Api, address: str) -> None:
    """Everything about one IP."""
    if st.button("← All IPs"):
        del st.query_params["ip"]
        st.session_state.pop("fleet_open", None)
        st.rerun()
    st.session_state["ip"] = address
    _place(api, address)
    with guarded():
        credentials.form(api, address)


@live
def _place(api: Api, address: str) -> None:
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    name, state = st.columns([3, 2], vertical_alignment="center")
    name.subheader(address, anchor=False)
    name.caption(
        f"{words.spoken(ip.get('type'))} · pool {ip.get('pool') or '–'} · {ip.get('hostname') or 'no host name'}"
    )
    with state.container(horizontal=True, horizontal_alignment="right"):
        st.badge(_status(ip), color="green" if ip.get("status") == "Active" else "gray")
        st.badge(words.stage(ip.get("stage")), color=words.stage_colour(ip.get("stage")))
        st.badge(f"Reputation: {words.band(ip.get('band'))}", color=words.band_colour(ip.get("band")))
    with guarded():
        told = (api.find(path_of("/v1/ips/{ip}/journey", ip=address)) or {}).get("steps") or []
        journey.line(journey.steps(str(ip.get("stage")), told))
    journey.waits(ip)
    _next_step(ip, address)
    figures = st.columns(4)
    figures[0].metric("Sent today", words.number(ip.get("sent_today")), border=True)
    figures[1].metric("Daily cap", words.number(ip.get("daily_cap")), border=True)
    figures[2].metric("Safe limit", words.number(ip.get("safe_limit")), border=True)
    figures[3].metric("Score", words.number(ip.get("score")), border=True)
    sending, dns, reputation, events = st.tabs(["Sending", "DNS", "Reputation", "Incidents"])
    with sending, guarded():
        _sending(api, address)
    with dns, guarded():
        _dns(api, address)
    with reputation, guarded():
        _reputation(api, address)
    with events, guarded():
        _incidents(api, address)
    journey.workflow_link(ip)


def _next_step(ip: dict[str, Any], address: str) -> None:
    with st.container(horizontal=True):
        stage = ip.get("stage")
        if stage == "awaiting_dns":
            places.link(places.RECORDS, "Enter the DNS records", ip=address)
        if stage == "active":
            places.link(places.WARMUP, "Next: start the warm-up", ip=address)
        else:
            places.link(places.WARMUP, ip=address)
        places.link(places.DNS, ip=address)
        places.link(places.REPUTATION, ip=address)


def _sending(api: Api, address: str) -> None:
    warmup = api.find(path_of("/v1/ips/{ip}/warmup", ip=address))
    history = sorted((warmup or {}).get("history") or [], key=lambda day: str(day.get("date")))
    if not history:
        st.caption("No day of a warm-up is closed yet; the chart of cap against sent appears with the first one.")
        return
    st.altair_chart(charts.cap_against_sent(history[-60:]), width="stretch", key="place_cap")
    st.markdown("**Last decisions**")
    for day in reversed(history[-5:]):
        st.markdown(
            f"- {day.get('date', '')}: **{words.decision(day.get('decision'))}** – "
            f"{day.get('reason') or 'no reason given'}"
        )


def _dns(api: Api, address: str) -> None:
    dns = api.find(path_of("/v1/ips/{ip}/dns", ip=address))
    if not dns:
        st.caption("No DNS record set yet.")
        return
    st.markdown(f"State: **{words.spoken(dns.get('state'))}**")
    for record in dns.get("records", []):
        published = words.spoken((record.get("published") or {}).get("state"))
        visible = words.spoken((record.get("visible") or {}).get("state") or "not asked yet")
        st.markdown(f"- **{record.get('type')}** {record.get('name')}: published: {published}, visible: {visible}")


def _reputation(api: Api, address: str) -> None:
    found = api.find(path_of("/v1/ips/{ip}/reputation", ip=address))
    if not found or not found.get("components"):
        st.caption("Not measured yet: unknown, which is not the same as good.")
        return
    st.altair_chart(charts.components(found["components"]), width="stretch", key="place_components")
    listings = found.get("listings") or []
    st.markdown(
        "**Listings**: " + (", ".join(str(one.get("zone") or one.get("name")) for one in listings) or "none known")
    )


def _incidents(api: Api, address: str) -> None:
    items = (api.find("/v1/incidents", address=address) or {}).get("items") or []
    mine = [one for one in items if one.get("address", one.get("ip")) in (address, None)]
    if not mine:
        st.caption("No incident.")
    for one in mine:
        state = "closed" if one.get("closed_at") or one.get("closed") else "open"
        st.markdown(
            f"- **{words.spoken(one.get('severity'))}** ({state}): {one.get('title') or one.get('kind')} "
            f"{words.when(one.get('opened_at') or one.get('opened') or one.get('since'))}",
            unsafe_allow_html=True,
        )


def main() -> None:
    """The place of the IP in the address, else the fleet."""
    api = session.api()
    asked = st.query_params.get("ip")
    if asked:
        place(api, asked)
    else:
        fleet(api)


with guarded():
    main()
