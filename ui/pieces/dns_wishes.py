"""Optional DNS records of a sending domain as fields of a form: MTA-STS, TLS-RPT, BIMI."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import session
from ui.pieces.guard import fault, trouble

MODES = {
    None: "No MTA-STS",
    "testing": "Testing: senders report, and deliver anyway",
    "enforce": "Enforce: no TLS, no mail",
    "none": "None: takes a published policy back",
}


def fields(prefix: str, present: dict[str, Any], refused: Problem | None, *, wide: bool = True) -> dict[str, Any]:
    """Draws the fields; returns the wishes in the API's words, null for what is left out.

    Args:
        prefix: what the fields' keys begin with.
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
            key=f"{prefix}_mta_sts",
            help="Tells other mail servers to use TLS towards this domain. The policy has to be hosted first.",
        )
        fault(refused, "mta_sts", "mta_sts.mx", "mta_sts.mode")
    with middle:
        reports = st.text_input(
            "TLS-RPT",
            value=", ".join(present.get("tls_rpt") or []),
            placeholder="tls-reports@example.com",
            key=f"{prefix}_tls_rpt",
            help="Where reports about failed TLS go: mail addresses or https addresses, with commas between them.",
        )
        fault(refused, "tls_rpt")
    with right:
        image = st.text_input(
            "BIMI logo",
            value=logo.get("logo") or "",
            placeholder="https://example.com/logo.svg",
            key=f"{prefix}_bimi",
            help="A logo beside the mail. Mailbox providers ask for DMARC with quarantine or reject first.",
        ).strip()
        fault(refused, "bimi", "bimi.logo")
    uris = [part.strip() for part in reports.split(",") if part.strip()]
    return {
        "mta_sts": sts | {"mode": mode} if mode else None,
        "tls_rpt": uris or None,
        "bimi": logo | {"logo": image} if image else None,
    }


def change(api: Api, address: str, dns: dict[str, Any]) -> None:
    """The form that changes the optional records of an IP's domain, folded away until it is wanted."""
    problem_key = f"wishes_problem:{address}"
    refused: Problem | None = st.session_state.get(problem_key)
    domain, others = dns.get("domain") or "the domain", dns.get("siblings") or []
    why = session.barred()
    with st.expander(f"Optional records of {domain}", expanded=refused is not None):
        shared = f" They are shared with {', '.join(map(str, others))}." if others else ""
        st.caption(f"None of them ever holds an IP up.{shared}")
        with st.form(f"wishes:{address}", border=False, enter_to_submit=False):
            wishes = fields(f"wishes:{address}", dns.get("options") or {}, refused)
            reason = st.text_input("Reason", key=f"wishes_reason:{address}", placeholder="Kept in the audit").strip()
            if refused:
                trouble(refused)
            pressed = st.form_submit_button("Save optional records", disabled=why is not None, help=why)
        policy = dns.get("mta_sts")
        if policy:
            st.markdown(f"**Host this text at** {policy.get('url')} before other servers can follow the policy:")
            st.code(str(policy.get("text")), language=None)
    if not pressed:
        return
    try:
        with st.spinner("Telling the journey ..."):
            api.patch(path_of("/v1/ips/{ip}/dns", ip=address), {"options": wishes, "reason": reason})
    except Problem as problem:
        st.session_state[problem_key] = problem
        st.rerun()
    st.session_state.pop(problem_key, None)
    session.say(f"The optional records of {domain} are changed; their state shows here as servers answer.")
    st.rerun()
