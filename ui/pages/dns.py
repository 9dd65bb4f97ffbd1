"""DNS Configuration: what each server answers, what is wrong, and the fix."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, JsonValue, Problem, path_of
from ui.pieces import asking, journey, paging, picking, places, session, words
from ui.pieces.guard import guarded, live, trouble

#: State of a cell to its sign and words, and its colours: light on dark or dark on light, readable in both themes.
_GOOD, _BAD, _OPEN, _UNKNOWN = (
    "background-color: #1f7a45; color: #ffffff",
    "background-color: #b3372f; color: #ffffff",
    "background-color: #e0b020; color: #1c2430",
    "background-color: #667082; color: #ffffff",
)
CELLS = {
    "published": ("✓ Published", _GOOD),
    "visible": ("✓ Visible", _GOOD),
    "wrong": ("✕ Wrong", _BAD),
    "missing": ("– Missing", _OPEN),
    "extra": ("+ Extra", _BAD),
    "waiting": ("… Waiting", _UNKNOWN),
    "timeout": ("? No answer", _UNKNOWN),
    "server_failure": ("? Server failure", _UNKNOWN),
    "unknown": ("? Unknown", _UNKNOWN),
}
#: The record's name stays in sight while the servers scroll.
RECORD_PIXELS = 220
SERVER_PIXELS = 122


def _text(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(str(one) for one in value)
    return str(value)


def _server(one: JsonValue) -> dict[str, Any]:
    return one if isinstance(one, dict) else {"server": str(one)}


def cells(records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The grid's cells and the order of its columns: authoritative servers, then resolvers."""
    rows: list[dict[str, Any]] = []
    columns: dict[str, list[str]] = {"published": [], "visible": []}
    for record in records:
        for kind, part in (("published", "servers"), ("visible", "resolvers")):
            for one in map(_server, (record.get(kind) or {}).get(part) or []):
                server = str(one.get("server") or one.get("name") or one.get("resolver") or one.get("address"))
                if server not in columns[kind]:
                    columns[kind].append(server)
                rows.append(
                    {
                        "record": words.record_name(record),
                        "server": server,
                        "kind": "authoritative server" if kind == "published" else "public resolver",
                        "state": str(one.get("state") or "unknown"),
                        "found": _text(one.get("found") or one.get("values") or one.get("answer")) or "nothing",
                        "expected": _text(record.get("expected")),
                    }
                )
    _not_asked(records, rows, columns["visible"])
    return rows, [
        *columns["published"],
        *(name for name in columns["visible"] if name not in columns["published"]),
    ]


def _not_asked(records: list[dict[str, Any]], rows: list[dict[str, Any]], resolvers: list[str]) -> None:
    """Resolvers are asked about a record once every authoritative server agrees; until then their cells wait."""
    asked = {(row["record"], row["server"]) for row in rows}
    for record in records:
        rows += [
            {
                "record": words.record_name(record),
                "server": resolver,
                "kind": "public resolver",
                "state": "waiting",
                "found": "not asked yet",
                "expected": _text(record.get("expected")),
            }
            for resolver in resolvers
            if (words.record_name(record), resolver) not in asked
        ]


@live
def state(api: Api, address: str) -> None:
    """The grid, the checks and the details; refreshed by itself."""
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    dns = api.find(path_of("/v1/ips/{ip}/dns", ip=address))
    journey.waits(ip, "awaiting_dns")
    if not dns:
        st.info("DNS set-up of this IP has not begun. It follows the purchase by itself.")
        return
    if not dns.get("records") and ip.get("stage") != "awaiting_dns":
        st.info(
            f"{address} was imported with its DNS in place, so its records are not watched here. "
            "**Re-verify DNS** asks every server now."
        )
        return
    verified = dns.get("state") in ("verified", "drifted_back") or ip.get("status") == "Active"
    one, two, three = st.columns(3)
    one.metric("DNS", words.dns_state(dns.get("state")), border=True)
    two.metric("Status of the IP", words.status(ip), border=True)
    if verified:
        three.metric("Last looked", words.ago(dns.get("checked_at") or dns.get("verified_at")), border=True)
    else:
        three.metric("Deadline", words.ago(dns.get("deadline")), border=True, help=words.exact(dns.get("deadline")))
    if dns.get("reason") and not verified:
        st.markdown(words.literal(dns["reason"]))
    if following := journey.next_look(dns):
        st.caption(following)
    records: list[dict[str, Any]] = dns.get("records") or []
    rows, servers = cells(records)
    if rows:
        _grid(address, records, rows, servers)
        paging.export([{words.spoken(name): part for name, part in row.items()} for row in rows], f"dns-{address}.csv")
    elif records:
        st.caption("No server has been asked yet; the grid appears with the first look.")
    _checks(dns.get("checks") or [])
    _detail(address, records, rows)
    journey.workflow_link(dns if dns.get("workflow") else ip)


def _checks(checks: list[dict[str, Any]]) -> None:
    if not checks:
        return
    st.markdown("**Checks**")
    for check in checks:
        sign = ":green[✓]" if check.get("ok") else ":gray[?]" if check.get("ok") is None else ":red[✕]"
        fix = f" **Fix:** {words.literal(check['fix'])}" if check.get("fix") and not check.get("ok") else ""
        name = str(check.get("name")).upper().replace("_", "-").replace("FCRDNS", "FCrDNS")
        st.markdown(f"{sign} **{name}** – {words.literal(check.get('detail') or 'holds')}{fix}")


def _short(server: str, servers: list[str]) -> str:
    """A server's name without its address, where that tells it from the others."""
    name = server.partition(" (")[0]
    return name if sum(one.partition(" (")[0] == name for one in servers) == 1 else server


def _grid(address: str, records: list[dict[str, Any]], rows: list[dict[str, Any]], servers: list[str]) -> None:
    """Records down, servers across, authoritative ones first; each cell a sign, a word and a colour.

    A table and no picture: a narrow window scrolls it, a screen reader reads it, and a click opens a record below.
    """
    states = {(row["record"], row["server"]): str(row["state"]) for row in rows}
    kinds = {row["server"]: str(row["kind"]) for row in rows}
    names = [words.record_name(record) for record in records]
    looks = [[CELLS.get(states.get((name, server), ""), CELLS["unknown"]) for server in servers] for name in names]
    # What a TXT record is for tells it from the others, and is shorter than its name.
    brief = [
        words.record_type(record) if record.get("type") == "TXT" and record.get("key") else name
        for record, name in zip(records, names, strict=True)
    ]
    frame = pd.DataFrame(
        [[name, *(said for said, _ in row)] for name, row in zip(brief, looks, strict=True)],
        columns=["Record", *servers],
    )
    tints = pd.DataFrame([["", *(tint for _, tint in row)] for row in looks], columns=frame.columns)
    chosen = st.dataframe(
        frame.style.apply(lambda _: tints, axis=None),
        hide_index=True,
        width="stretch",
        height=38 + 35 * len(names),
        key=f"grid:{address}",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            "Record": st.column_config.TextColumn(pinned=True, width=RECORD_PIXELS),
            **{
                server: st.column_config.TextColumn(
                    _short(server, servers), help=f"{server}: {kinds[server]}.", width=SERVER_PIXELS
                )
                for server in servers
            },
        },
    )
    marked = chosen.get("selection", {}).get("cells", [])
    # The grid refreshes under the mark: only a new mark opens another record.
    mark = (address, marked[0][0]) if marked else None
    if mark != st.session_state.get("dns_mark"):
        st.session_state["dns_mark"] = mark
        if mark and mark[1] < len(records):
            st.session_state[f"dns_record:{address}"] = mark[1]


def _detail(address: str, records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    if not records:
        return
    bad = [
        number
        for number, record in enumerate(records)
        if record.get("fix") or (record.get("published") or {}).get("state") not in ("published", None)
    ]
    st.markdown("**Expected and found**")
    key = f"dns_record:{address}"
    if st.session_state.get(key) not in range(len(records)):
        st.session_state[key] = bad[0] if bad else 0
    picked = st.selectbox(
        "Record", range(len(records)), format_func=lambda n: words.record_name(records[n]), key=key,
        help="Choose one, or click it in the grid.",
    )  # fmt: skip
    record = records[picked]
    for finding in record.get("findings") or []:
        st.warning(f"{words.literal(finding.get('detail'))} **Fix:** {words.literal(finding.get('fix'))}")
    if record.get("fix") and not record.get("findings"):
        st.warning(f"**Fix:** {words.literal(record['fix'])}")
    left, right = st.columns(2)
    left.caption("Expected")
    left.code(_text(record.get("expected")), language=None, wrap_lines=True)
    right.caption("Found")
    mine = [row for row in rows if row["record"] == words.record_name(record)]
    right.code(
        "\n".join(f"{row['server']}: {row['found']}" for row in mine) or "not asked yet",
        language=None,
        wrap_lines=True,
    )


def support(api: Api, address: str) -> None:
    """Sends the evidence with a note."""
    with asking.question(f"Send the DNS evidence of {address} to support?"):
        st.write("Support gets every answer of every server with its time. The journey keeps waiting meanwhile.")
        note = st.text_area("Note", placeholder="What you tried, and since when", key="support_note")
        if not st.button("Send to support", type="primary"):
            return
        try:
            with st.spinner("Collecting the evidence ..."):
                asked = api.post(path_of("/v1/ips/{ip}/dns/support", ip=address), {"message": note.strip()})
        except Problem as problem:
            trouble(problem)
            return
        asking.close()
        session.say("Support has the evidence. One correct record later the journey goes on by itself.", about=asked)
        st.rerun()


def main() -> None:
    """State and commands of one IP's DNS."""
    api = session.api()
    address = picking.chosen_ip(api, "The DNS state of your IPs is shown here.")
    if address is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        why = session.barred()
        verify = st.button("Re-verify DNS", type="primary", disabled=why is not None, help=why)
        asking.button("Contact Support", "support", address)
        places.link(places.RECORDS, "DNS Management Portal: the records to enter", ip=address)
    if verify:
        try:
            with st.spinner("Asking every server ..."):
                dns = api.post(path_of("/v1/ips/{ip}/dns/verify", ip=address))
        except Problem as problem:
            trouble(problem)
        else:
            st.success(f"Asked again. DNS is now: {words.dns_state(dns.get('state'))}.{journey.linked(dns)}")
    if asking.is_open("support", address):
        support(api, address)
    state(api, address)


with guarded():
    main()
