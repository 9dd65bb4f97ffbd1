"""IP Acquisition: choose what to buy, give its DNS and SMTP configuration, get vetted candidates."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, JsonValue, Problem
from ui.pieces import dns_wishes, login, places, session, words
from ui.pieces.forms import Form
from ui.pieces.guard import guarded

#: Domains that a sandbox's name servers hold, offered there because no other can be bought for.
SANDBOX_DOMAINS = ("example-mail.test", "news.test", "receipts.test", "harbor-post.test")
SANDBOX_BY_HAND = ("byhand.test",)
#: IPs of one order, as the API has it.
MOST_AT_ONCE = 50
#: Fields that no order goes without, with what is said where they are empty.
NEEDED = {
    "domain": "Enter the domain that mail is sent for.",
    "hostname": "Enter the host name that the IP gets.",
}


def vendors(api: Api) -> list[dict[str, Any]]:
    """Vendors that this installation buys from."""
    return api.items("/v1/vendors") or [{"name": "sandbox"}]


def _text(form: Form, label: str, name: str, **more: JsonValue) -> str:
    value = str(st.text_input(label, key=form.key(name), **more) or "")
    form.fault(name)
    return value.strip()


def _region(one: dict[str, Any]) -> str:
    """A region with its price a month: ``eu-central · 8.00 USD``; a narrow window cuts longer words."""
    price = f" · {words.money(one['monthly_price'])}" if one.get("monthly_price") else ""
    return f"{one['name']}{price}"


def form(api: Api) -> None:
    """The form; what was typed stays when the API refuses."""
    typing = Form("purchase")
    _introduction(api)
    buy, rest = st.columns([1, 2], gap="medium")
    with buy:
        body = _what(api, typing)
    with rest, st.form("ip_configuration", border=False, enter_to_submit=False):
        dns, smtp = st.columns(2, gap="medium")
        with dns:
            body |= _dns(typing)
        with smtp:
            st.markdown("**3 · SMTP credentials**")
            st.caption("Of the mail system that sends from this IP. Leave empty to add them later.")
            typed = login.fields(typing, smtp, smtp)
        pressed = typing.button("Save IP Configuration")
    if not pressed:
        return
    missing = {name: text for name, text in NEEDED.items() if not body[name]}
    if typed.begun():
        missing |= typed.missing()
        body["smtp"] = typed.body()
    typing.incomplete(missing)
    save(api, typing, body)


def _introduction(api: Api) -> None:
    st.caption(
        "Choose what to buy and how it is reached. Candidates are checked against blocklists before any "
        "money moves; you pay on the next page."
    )
    if (api.find("/v1/fleet") or {}).get("profile") == "sandbox":
        st.caption(
            f"This is a sandbox, no money is real. Domains that exist in it: {', '.join(SANDBOX_DOMAINS)}; and "
            f"{', '.join(SANDBOX_BY_HAND)}, whose records you enter yourself."
        )


def _what(api: Api, typing: Form) -> dict[str, Any]:
    """What is bought, and the pool that it goes to, as the API has it."""
    offered = {str(one["name"]): one for one in vendors(api)}
    st.markdown("**1 · The IP**")
    kind = st.radio("Type", ["dedicated", "shared"], format_func=words.spoken, horizontal=True, key=typing.key("type"))
    typing.fault("type")
    vendor = st.selectbox("Vendor", list(offered), format_func=words.spoken, key=typing.key("vendor"))
    typing.fault("vendor")
    region = _where(typing, offered.get(vendor or "", {}))
    count = st.number_input("Count", 1, MOST_AT_ONCE, 1, key=typing.key("count"))
    typing.fault("count")
    pools = api.all("/v1/pools")
    usual = next((place for place, one in enumerate(pools) if one.get("default")), 0)
    pool = st.selectbox(
        "Pool", [str(one["name"]) for one in pools], index=usual, key=typing.key("pool"),
        help="The IPs that a sender's mail may leave from. New ones are made on the page Campaigns.",
    )  # fmt: skip
    typing.fault("pool")
    return {"type": kind, "vendor": vendor, "region": region, "count": int(count), "pool": pool}


def _where(typing: Form, vendor: dict[str, Any]) -> str:
    """A region of the vendor, by its own name where the vendor names none."""
    if vendor.get("trouble"):
        st.warning(f"△ {vendor['trouble']}")
    regions = {str(one["name"]): one for one in vendor.get("regions") or []}
    if not regions:
        return _text(typing, "Region", "region")
    region = st.selectbox(
        "Region", list(regions), format_func=lambda name: _region(regions[name]), key=typing.key("region"),
        help="With the price of an IP a month, before tax.",
    )  # fmt: skip
    typing.fault("region")
    if regions[region].get("stock") == 0:
        st.caption("△ Out of stock: the order waits for it.")
    return region


def _dns(typing: Form) -> dict[str, Any]:
    """The names of the IP and the records that are wished for, as the API has them; without what is left empty."""
    st.markdown("**2 · DNS configuration**")
    domain = _text(typing, "Sending domain", "domain", placeholder="example.com")
    hostname = _text(
        typing,
        "Host name (A record, HELO)",
        "hostname",
        placeholder=f"mail1.{domain or 'example.com'}",
        help="The IP's own name: its A record points to the IP, its PTR points back, and the server says it in HELO.",
    )
    mx = _text(
        typing,
        "MX",
        "mx",
        placeholder="the host name above",
        help="Where mail to the sending domain is received.",
    )
    with st.expander("Optional DNS records"):
        wishes = dns_wishes.fields(typing, {}, wide=False)
    asked = {name: value for name, value in wishes.items() if value}
    return {"domain": domain, "hostname": hostname} | ({"mx": mx} if mx else {}) | ({"dns": asked} if asked else {})


def save(api: Api, typing: Form, body: dict[str, Any]) -> None:
    """Creates the order and goes on to its payment."""
    session.spent("order") if st.session_state.get("purchase_sent") != body else None
    st.session_state["purchase_sent"] = body
    try:
        with st.spinner("Verifying the credentials and vetting candidates against blocklists ..."):
            order = api.post("/v1/orders", body, key=session.key("order"))
    except Problem as problem:
        session.spent("order")
        typing.refuse(problem)
    st.session_state.pop("purchase_sent", None)
    session.spent("order")
    session.say("The IP configuration is saved. Look at the candidates and complete the purchase.", about=order)
    places.go(places.PAYMENT, order=str(order["id"]))


with guarded():
    form(session.api())
