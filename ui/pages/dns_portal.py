"""DNS Management Portal: the records to enter, ready to copy, and the zone file."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import path_of
from ui.pieces import dns_wishes, journey, picking, places, session, words
from ui.pieces.guard import guarded


def _expected(record: dict[str, Any]) -> str:
    value = record.get("expected")
    return "\n".join(str(one) for one in value) if isinstance(value, list) else str(value or "")


def _fix(record: dict[str, Any], published: str) -> str:
    """What to do; where the record is merely missing, name and value stand beside it already."""
    if published == "missing" and record.get("type") != "PTR":
        return "Missing: add it with this name and value at the DNS of your domain."
    return words.literal(record["fix"])


def main() -> None:
    """The record set of one IP."""
    api = session.api()
    address = picking.chosen_ip(api, "The DNS records of an IP are listed here.")
    if address is None:
        return
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    journey.waits(ip, "awaiting_dns")
    dns = api.find(path_of("/v1/ips/{ip}/dns", ip=address))
    if not dns or not dns.get("records"):
        st.info(
            "The record set of this IP is not rendered yet. It appears when its DNS set-up begins."
            if ip.get("stage") in ("selected", "purchasing", "awaiting_dns")
            else f"{address} was imported with its DNS in place; there is nothing to enter."
        )
        return
    save, see = st.columns([1, 3], vertical_alignment="center")
    save.download_button(
        "Download zone file",
        api.text(path_of("/v1/ips/{ip}/dns/zonefile", ip=address)),
        f"{ip.get('domain') or address}.zone",
        "text/plain",
        on_click="ignore",
        width="stretch",
    )
    with see:
        places.link(places.DNS, "DNS Configuration: see the state of each record", ip=address)
    by_hand = (dns.get("publisher") or "manual") == "manual"
    st.caption(
        "Enter these at your registrar or DNS host; the journey sees them by itself."
        if by_hand
        else "These are published for you; they are listed here to compare."
    )
    if following := journey.next_look(dns):
        st.caption(following)
    for record in dns["records"]:
        with st.container(border=True, gap="small"):
            head, value = st.columns([2, 3])
            need = "required" if record.get("required", True) else "optional"
            head.markdown(f"**{words.record_type(record)}** · {need}")
            published = str((record.get("published") or {}).get("state") or "unknown")
            visible = str((record.get("visible") or {}).get("state") or "not asked yet")
            head.caption(
                f"Name servers: {words.spoken(published).lower()} · Resolvers: {words.spoken(visible).lower()}"
            )
            if record.get("ttl"):
                head.caption(f"TTL {record['ttl']} s")
            value.caption("Name")
            value.code(str(record.get("name")), language=None)
            value.caption("Value")
            value.code(_expected(record), language=None, wrap_lines=True)
            if record.get("fix") and published != "published":
                head.markdown(f":orange[△ {_fix(record, published)}]")
    dns_wishes.change(api, address, dns)


with guarded():
    main()
