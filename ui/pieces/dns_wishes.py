"""Optional DNS records of a sending domain as fields of a form: MTA-STS, TLS-RPT, BIMI."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, path_of
from ui.pieces.forms import Form, folded

MODES = {
    None: "No MTA-STS",
    "testing": "Testing: senders report, and deliver anyway",
    "enforce": "Enforce: no TLS, no mail",
    "none": "None: takes a published policy back",
}


def fields(form: Form, present: dict[str, Any], *, wide: bool = True) -> dict[str, Any]:
    """Draws the fields; returns the wishes in the API's words, null for what is left out.

    Args:
        form: what they are a part of.
        present: the wishes as they stand.
        wide: side by side, not below each other.
    """
    sts, logo = present.get("mta_sts") or {}, present.get("bimi") or {}
    left, middle, right = st.columns(3, gap="medium") if wide else (st.container(), st.container(), st.container())
    with left:
        mode = st.selectbox(
            "MTA-STS",
            list(MODES),
            index=list(MODES).index(sts.get("mode")),
            format_func=MODES.__getitem__,
            key=form.key("mta_sts"),
            help="Tells other mail servers to use TLS towards this domain. The policy has to be hosted first.",
        )
        form.fault("mta_sts", "mta_sts.mx", "mta_sts.mode")
    with middle:
        reports = st.text_input(
            "TLS-RPT",
            value=", ".join(present.get("tls_rpt") or []),
            placeholder="tls-reports@example.com",
            key=form.key("tls_rpt"),
            help="Where reports about failed TLS go: mail addresses or https addresses, with commas between them.",
        )
        form.fault("tls_rpt")
    with right:
        image = st.text_input(
            "BIMI logo",
            value=logo.get("logo") or "",
            placeholder="https://example.com/logo.svg",
            key=form.key("bimi"),
            help="A logo beside the mail. Mailbox providers ask for DMARC with quarantine or reject first.",
        ).strip()
        form.fault("bimi", "bimi.logo")
    uris = [part.strip() for part in reports.split(",") if part.strip()]
    return {
        "mta_sts": sts | {"mode": mode} if mode else None,
        "tls_rpt": uris or None,
        "bimi": logo | {"logo": image} if image else None,
    }


def change(api: Api, address: str, dns: dict[str, Any]) -> None:
    """The form that changes the optional records of an IP's domain, folded away until it is wanted."""
    form = Form(f"wishes:{address}")
    domain, others = dns.get("domain") or "the domain", dns.get("siblings") or []
    with folded(f"Optional records of {domain}", form):
        shared = f" They are shared with {', '.join(map(str, others))}." if others else ""
        st.caption(f"None of them ever holds an IP up.{shared}")
        wishes = fields(form, dns.get("options") or {})
        reason = form.reason()
        pressed = form.button("Save optional records")
        if policy := dns.get("mta_sts"):
            st.markdown(f"**Host this text at** {policy.get('url')} before other servers can follow the policy:")
            st.code(str(policy.get("text")), language=None)
    if pressed:
        with st.spinner("Telling the journey ..."):
            form.send(
                lambda: api.patch(path_of("/v1/ips/{ip}/dns", ip=address), {"options": wishes, "reason": reason}),
                f"The optional records of {domain} are changed; their state shows here as servers answer.",
            )
