"""Where each page lives, under the name that an operator sees."""

from __future__ import annotations

import streamlit as st

from ui.client import JsonValue
from ui.pieces import session

FLEET = "pages/lifecycle.py"
ACQUIRE = "pages/purchase.py"
PAYMENT = "pages/payment.py"
RECORDS = "pages/dns_portal.py"
DNS = "pages/dns.py"
WARMUP = "pages/warmup.py"
CAMPAIGNS = "pages/campaigns.py"
PERFORMANCE = "pages/performance.py"
REPLIES = "pages/replies.py"
REPUTATION = "pages/reputation.py"
AUDIT = "pages/audit.py"
TOKENS = "pages/tokens.py"
SETTINGS = "pages/settings.py"

NAMES = {
    FLEET: "IP Management Dashboard",
    ACQUIRE: "IP Acquisition",
    PAYMENT: "Payment Gateway",
    RECORDS: "DNS Management Portal",
    DNS: "DNS Configuration",
    WARMUP: "Warmup Dashboard",
    CAMPAIGNS: "Campaigns",
    PERFORMANCE: "Performance Metrics",
    REPLIES: "Reply Explorer",
    REPUTATION: "Reputation Dashboard",
    AUDIT: "Audit",
    TOKENS: "Tokens",
    SETTINGS: "Settings",
}


def file_of(page: str) -> str:
    """Where a page lies, seen from the console's first file."""
    return f"../{page}"


def place_of(page: object) -> str:
    """The file of a page that the API names by title or by word; the fleet when it is not known."""
    asked = str(page or "").lower().replace("-", " ").replace("_", " ").strip(" /")
    for file, name in NAMES.items():
        if asked and (asked == name.lower() or asked == file[len("pages/") : -len(".py")].replace("_", " ")):
            return file
    for word, file in (
        ("portal", RECORDS),
        ("dns", DNS),
        ("warm", WARMUP),
        ("reput", REPUTATION),
        ("pay", PAYMENT),
        ("order", PAYMENT),
        ("acqui", ACQUIRE),
        ("purchase", ACQUIRE),
    ):
        if word in asked:
            return file
    return FLEET


def link(
    page: str, label: str | None = None, *, ip: str | None = None, order: str | None = None, part: str | None = None
) -> None:
    """A link to a page, about an IP or an order, or to a part of it by the words on its tab."""
    about = {name: value for name, value in (("ip", ip), ("order", order), ("part", part)) if value}
    st.page_link(file_of(page), label=label or NAMES[page], query_params=about or None)


def go(page: str, *, ip: str | None = None, order: str | None = None) -> None:
    """Leaves for another page."""
    about = {name: value for name, value in (("ip", ip), ("order", order)) if value}
    if ip:
        st.session_state["ip"] = ip
    st.switch_page(file_of(page), query_params=about or None)


def acquire(label: str = "Acquire New IP", typed: dict[str, JsonValue] | None = None, **look: JsonValue) -> None:
    """The button that leads to the first step of a purchase; disabled with the reason for who may not buy.

    Args:
        typed: what stands in the form already, by the keys of its fields.
    """
    why = session.barred()
    if st.button(label, disabled=why is not None, help=why, **look):
        st.session_state.update(typed or {})
        go(ACQUIRE)
