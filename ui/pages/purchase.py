"""IP Acquisition: choose what to buy, give its DNS and SMTP configuration, get vetted candidates."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, JsonValue, Problem
from ui.pieces import places, session, words
from ui.pieces.guard import guarded, trouble

#: Fields of the form, by the name they have in the API.
FIELDS = (
    "domain",
    "hostname",
    "pool",
    "count",
    "region",
    "vendor",
    "type",
    "mx",
    "host",
    "port",
    "username",
    "password",
)


def vendors(api: Api) -> list[dict[str, Any]]:
    """Vendors that this installation buys from."""
    found = (api.find("/v1/vendors") or {}).get("items") or []
    return [one if isinstance(one, dict) else {"name": str(one)} for one in found] or [{"name": "sandbox"}]


def _fault(name: str) -> None:
    """Shows what the API refused about a field, right below it."""
    problem: Problem | None = st.session_state.get("purchase_problem")
    text = problem.at(name) if problem else None
    if text:
        st.markdown(f":red[✕ {text}]")


def _text(label: str, name: str, **more: JsonValue) -> str:
    value = str(st.text_input(label, key=f"purchase_{name}", **more) or "")
    _fault(name)
    return value.strip() if name != "password" else value


def _names(value: JsonValue) -> list[str]:
    return [str(one.get("name") if isinstance(one, dict) else one) for one in value or []]


def form(api: Api) -> None:
    """The form; what was typed stays when the API refuses."""
    offered = {str(one["name"]): one for one in vendors(api)}
    st.caption(
        "Choose what to buy and how it is reached. Candidates are checked against blocklists before any "
        "money moves; you pay on the next page."
    )
    buy, rest = st.columns([1, 2], gap="medium")
    with buy:
        st.markdown("**1 · The IP**")
        kind = st.radio("Type", ["dedicated", "shared"], format_func=words.spoken, horizontal=True, key="purchase_type")
        _fault("type")
        vendor = st.selectbox("Vendor", list(offered), format_func=words.spoken, key="purchase_vendor")
        _fault("vendor")
        regions = _names(offered.get(vendor or "", {}).get("regions"))
        region = st.selectbox("Region", regions, key="purchase_region") if regions else _text("Region", "region")
        if regions:
            _fault("region")
        count = st.number_input("Count", 1, 100, 1, key="purchase_count")
        _fault("count")
        pool = _text("Pool", "pool", placeholder="default", help="IPs that a sender's mail may leave from.")
    with rest, st.form("ip_configuration", border=False, enter_to_submit=False):
        dns, smtp = st.columns(2, gap="medium")
        with dns:
            st.markdown("**2 · DNS configuration**")
            domain = _text("Sending domain", "domain", placeholder="example.com")
            hostname = _text(
                "Host name (A record, HELO)",
                "hostname",
                placeholder=f"mail1.{domain or 'example.com'}",
                help="The IP's own name: its A record points to the IP, its PTR points back, "
                "and the server says it in HELO.",
            )
            mx = _text(
                "MX",
                "mx",
                placeholder="the host name above",
                help="Where mail to the sending domain is received.",
            )
        with smtp:
            st.markdown("**3 · SMTP credentials**")
            host = _text("SMTP host", "host", placeholder="127.0.0.1")
            port = st.number_input("Port", 1, 65_535, 587, key="purchase_port")
            _fault("port")
            username = _text("User name", "username")
            password = _text(
                "Password", "password", type="password", help="Verified now, stored encrypted, never shown again."
            )
            starttls = st.checkbox("STARTTLS", value=True, key="purchase_starttls")
            _fault("smtp")
        problem: Problem | None = st.session_state.get("purchase_problem")
        if problem:
            trouble(problem)
        pressed = st.form_submit_button("Save IP Configuration", type="primary")
    if not pressed:
        return
    missing = {
        name: text
        for name, value, text in (
            ("domain", domain, "Enter the domain that mail is sent for."),
            ("hostname", hostname, "Enter the host name that the IP gets."),
        )
        if not value
    }
    if host or username or password:
        missing |= {
            name: text
            for name, value, text in (
                ("host", host, "Enter the SMTP server's name."),
                ("username", username, "Enter the user name."),
                ("password", password, "Enter the password."),
            )
            if not value
        }
    if missing:
        st.session_state["purchase_problem"] = Problem(422, "Incomplete", "Some fields are missing.", missing)
        st.rerun()
    body: dict[str, Any] = {
        "type": kind,
        "vendor": vendor,
        "region": region,
        "count": int(count),
        "pool": pool or "default",
        "domain": domain,
        "hostname": hostname,
    }
    if mx:
        body["mx"] = mx
    if host:
        body["smtp"] = {
            "host": host,
            "port": int(port),
            "username": username,
            "password": password,
            "starttls": starttls,
        }
    save(api, body)


def save(api: Api, body: dict[str, Any]) -> None:
    """Creates the order and goes on to its payment."""
    session.spent("order") if st.session_state.get("purchase_sent") != body else None
    st.session_state["purchase_sent"] = body
    try:
        with st.spinner("Verifying the credentials and vetting candidates against blocklists ..."):
            order = api.post("/v1/orders", body, key=session.key("order"))
    except Problem as problem:
        st.session_state["purchase_problem"] = problem
        session.spent("order")
        st.rerun()
    st.session_state.pop("purchase_problem", None)
    st.session_state.pop("purchase_sent", None)
    session.spent("order")
    session.say("The IP configuration is saved. Look at the candidates and complete the purchase.")
    places.go(places.PAYMENT, order=str(order["id"]))


with guarded():
    form(session.api())
