"""One place for each IP: where its journey stands, what it waits for, its figures, and what can be done."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, path_of
from ui.pieces import asking, charts, credentials, journey, listings, paging, pausing, places, steering, words
from ui.pieces.guard import guarded, live, live_head

#: Days of the chart of cap against sent.
SHOWN_DAYS = 45
SHOWN_DECISIONS = 5


def of(api: Api, address: str) -> None:
    """Everything about one IP."""
    if st.button("← All IPs"):
        del st.query_params["ip"]
        st.session_state.pop("fleet_open", None)
        st.rerun()
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    st.session_state["ip"] = address
    _head(api, address)
    with guarded():
        steering.actions(api, ip)
    _figures(api, address)
    with guarded():
        credentials.form(api, address)


@live_head
def _head(api: Api, address: str) -> None:
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    name, state = st.columns([3, 2], vertical_alignment="center")
    name.header(address, anchor=False)
    name.caption(
        f"{words.spoken(ip.get('type'))} · pool {ip.get('pool') or '–'} · {ip.get('hostname') or 'no host name'}"
        + (f" · bought from {words.spoken(ip.get('vendor'))}" if ip.get("order_id") else " · imported")
    )
    with state.container(horizontal=True, horizontal_alignment="right"):
        colour = words.stage_colour(ip.get("stage"))
        st.badge(words.status(ip), color="green" if ip.get("status") == "Active" else colour)
        if words.status(ip) not in words.stage(ip.get("stage")):
            st.badge(words.stage(ip.get("stage")), color=colour)
        if (said := words.reputation(ip)) != words.stage(ip.get("stage")):
            st.badge(f"Reputation: {said}", color=words.band_colour(ip.get("band")))
    with guarded():
        told = (api.find(path_of("/v1/ips/{ip}/journey", ip=address)) or {}).get("steps") or []
        journey.line(journey.steps(str(ip.get("stage")), told))
    journey.waits(ip)
    with guarded():
        pausing.of_ip(api, ip)


@live
def _figures(api: Api, address: str) -> None:
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    figures = st.columns(4)
    figures[0].metric("Sent today", words.number(ip.get("sent_today")), border=True)
    figures[1].metric("Daily cap", words.number(ip.get("daily_cap")), border=True)
    figures[2].metric("Load", words.percent(ip.get("sent_today"), ip.get("daily_cap")), border=True)
    figures[3].metric("Safe limit", words.number(ip.get("safe_limit")), border=True)
    left, right = st.columns([3, 2], gap="large")
    with left, guarded():
        _sending(api, address)
    with right, guarded():
        _reputation(api, ip)
    left, right = st.columns([3, 2], gap="large")
    with left, guarded():
        _dns(api, address)
    with right, guarded():
        _incidents(api, address)
    journey.workflow_link(ip)


def _sending(api: Api, address: str) -> None:
    st.markdown("**Cap against sent**")
    found = api.items("/v1/metrics/caps", ip=[address], days=SHOWN_DAYS) or [{}]
    windows: list[dict[str, Any]] = found[0].get("windows") or []
    if not windows:
        st.caption("Nothing was sent from this IP yet; the chart appears with its first day of mail.")
        return
    st.altair_chart(charts.cap_against_sent(charts.days_of(windows)), width="stretch", key="place_cap")
    decided = [day for day in windows if day.get("decision")]
    if not decided:
        return
    st.markdown("**Last decisions**")
    for day in reversed(decided[-SHOWN_DECISIONS:]):
        st.markdown(
            f"- {words.when(day.get('ends_at'))}: **{words.decision(day.get('decision'))}** – "
            f"{words.literal(day.get('reason') or 'no reason given')}",
            unsafe_allow_html=True,
        )


def _reputation(api: Api, ip: dict[str, Any]) -> None:
    address = str(ip["address"])
    found = api.find(path_of("/v1/ips/{ip}/reputation", ip=address)) or {}
    contradicted = ip.get("stage") in words.TROUBLED and found.get("band") in ("green", "yellow")
    score = "" if found.get("score") is None else f"{words.number(found['score'])} · "
    st.markdown(f"**Score**: {score}{words.band(found.get('band'))}")
    if contradicted:
        st.caption("It counts figures and listings alone. What stopped the IP is said above, and counts more.")
    if found.get("reason"):
        st.caption(words.literal(found["reason"]))
    if not found.get("components"):
        st.caption("Not measured yet: unknown, which is not the same as good.")
        return
    st.altair_chart(charts.components(found["components"]), width="stretch", key="place_components")
    listings.brief(found)


def _dns(api: Api, address: str) -> None:
    st.markdown("**DNS**")
    dns = api.find(path_of("/v1/ips/{ip}/dns", ip=address))
    if not dns or not dns.get("records"):
        st.caption("No record of this IP is watched yet.")
        return
    checked = f" · looked {words.when(dns['checked_at'])}" if dns.get("checked_at") else ""
    st.markdown(f"{words.dns_state(dns.get('state'))}{checked}", unsafe_allow_html=True)
    if following := journey.next_look(dns):
        st.caption(following)
    paging.table(
        [
            {
                "Record": words.record_name(record),
                "Published": words.spoken((record.get("published") or {}).get("state")),
                "Visible": words.spoken((record.get("visible") or {}).get("state") or "not asked yet"),
            }
            for record in dns["records"]
        ]
    )
    troubled = [record for record in dns["records"] if record.get("fix")]
    if troubled:
        # A fix repeats the whole value, a key as well; it stands where it is copied from.
        st.markdown(f":orange[△ To put right: {len(troubled)} of {len(dns['records'])} records.]")
        places.link(places.RECORDS, "What to enter, and where", ip=address)


def _incidents(api: Api, address: str) -> None:
    st.markdown("**Incidents**")
    items = api.items("/v1/incidents", address=address, limit=20)
    if not items:
        st.caption("No incident is known of this IP.")
    for one in items:
        ended = one.get("closed_at")
        sign = ":gray[–]" if ended else ":red[!]" if one.get("severity") == "critical" else ":orange[△]"
        until = f", ended {words.when(ended)}" if ended else ", open"
        title = words.literal(words.sentence(str(one.get("title") or words.spoken(one.get("kind")))))
        # A trouble of the domain stands beside one of the IP; both may have the same title.
        of = "" if one.get("address") in (address, None) else f" ({words.literal(one['address'])})"
        line = st.container(
            horizontal=True, vertical_alignment="top", gap="small", key=f"beside_incident_{one.get('id')}"
        )
        line.markdown(
            f"{sign} **{title}**{of} – {words.when(one.get('opened_at'))}{until}",
            unsafe_allow_html=True,
            width="stretch",
        )
        if not ended and one.get("id"):
            with line:
                asking.button("Close", "close-incident", str(one["id"]), key=f"close:{one['id']}")
        causes = [str(cause["reason"]) for cause in one.get("causes") or [] if cause.get("reason")]
        for said in dict.fromkeys(causes) or [one.get("detail")]:
            if said and str(said).rstrip(".") != str(one.get("title")).rstrip("."):
                st.caption(words.literal(said))
