"""Senders: whose mail it is, how their mail is known, and by which pool it leaves."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, Problem, path_of
from ui.pieces import asking, paging, session, words
from ui.pieces.guard import fault, guarded, live, trouble

MATCHES_HELP = (
    "How mail is known to be this sender's, one a line: the login it signs in with, an envelope sender's address, or a "
    "sending domain. The first one that fits counts, in this order."
)
#: Matches told in a row of the list; the rest is in the form.
TOLD = 3


def view(api: Api, query: str) -> None:
    """The list, the form of the one that is changed, and the form for a new one."""
    with guarded():
        kind, name = asking.opened()
        if kind == "sender-change":
            _change(api, name)
    _listed(api, query)
    with guarded():
        _make(api)


@live
def _listed(api: Api, query: str) -> None:
    items: list[dict[str, Any]] = api.get("/v1/senders").get("items") or []
    if not items:
        st.info(
            "A sender is whose mail it is: a tenant, or one of your own systems. Its mail is known by a login, an "
            "address or a domain, and leaves by the IPs of its pool. There is none yet; make the first one below."
        )
        return
    shown = [one for one in items if query.lower() in _searched(one)]
    if not shown:
        st.info("No sender matches. Clear the search.")
        return
    pager = paging.Pager("senders", query)
    page, following = paging.part(shown, pager)
    for one in page:
        name, pool, known, press = st.columns([2.5, 2, 5, 1.3], vertical_alignment="center")
        name.markdown(f"**{one['name']}**")
        pool.markdown(f"pool {one.get('pool')}")
        known.markdown(_told(one.get("matches") or []))
        with press:
            asking.button("Edit", "sender-change", str(one["name"]), key=f"sender:{one['name']}", width="stretch")
    pager.buttons(following, lambda: pd.DataFrame([_row(one) for one in shown]).to_csv(index=False), "senders.csv")


def _searched(one: dict[str, Any]) -> str:
    return " ".join([str(one.get("name")), str(one.get("pool")), *(one.get("matches") or [])]).lower()


def _told(matches: list[str]) -> str:
    if not matches:
        return ":orange[△ Known by its name alone]: add a login, an address or a domain."
    more = f" and {len(matches) - TOLD} more" if len(matches) > TOLD else ""
    # As code, so that an address does not become a link.
    return ", ".join(f"`{one.replace('`', '')}`" for one in matches[:TOLD]) + more


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sender": one.get("name"),
        "Pool": one.get("pool"),
        "Known by": " ".join(one.get("matches") or []),
        "Made (UTC)": words.exact(one.get("created_at")).removesuffix(" UTC"),
    }


def _pools(api: Api) -> list[str]:
    return [str(one["name"]) for one in (api.find("/v1/pools") or {}).get("items") or []]


def _matches(text: str) -> list[str]:
    """What was typed, one a line; commas part as well."""
    return [one.strip() for one in text.replace(",", "\n").splitlines() if one.strip()]


def _fault_of_matches(refused: Problem | None, typed: list[str]) -> None:
    """A refusal of one line names the line."""
    for field, said in (refused.fields if refused else {}).items():
        head, _, place = field.rpartition(".")
        if field == "matches":
            st.markdown(f":red[✕ {said}]")
        elif head.endswith("matches") and place.isdigit():
            line = f" “{words.literal(typed[int(place)])}”" if int(place) < len(typed) else ""
            st.markdown(f":red[✕ Line {int(place) + 1}{line}: {said}]")


def _make(api: Api) -> None:
    """The form for a new sender, folded away until it is wanted."""
    refused: Problem | None = st.session_state.get("sender_problem")
    known = _pools(api)
    why = session.barred() or (None if known else "Make a pool first, under Pools above.")
    with (
        st.expander("New sender", expanded=refused is not None),
        st.form("sender_new", border=False, enter_to_submit=False),
    ):
        left, right = st.columns(2, gap="medium")
        with left:
            name = st.text_input("Name", key="sender_name", placeholder="acme", max_chars=100).strip()
            fault(refused, "name")
            pool = st.selectbox("Pool", known, key="sender_pool", placeholder="No pool yet")
            fault(refused, "pool")
        with right:
            typed = _matches(
                st.text_area(
                    "Logins, addresses and domains", key="sender_matches", height=124, help=MATCHES_HELP,
                    placeholder="acme.example\nsmtp-17\napp@acme.example",
                )
            )  # fmt: skip
            _fault_of_matches(refused, typed)
        if refused and not refused.fields:
            trouble(refused)
        pressed = st.form_submit_button("Make sender", type="primary", disabled=why is not None, help=why)
    if not pressed:
        return
    try:
        if not name:
            raise Problem(422, "Incomplete", "A field is missing.", {"name": "Enter a name."})
        present = [str(one["name"]) for one in api.get("/v1/senders").get("items") or []]
        if name in present:
            raise Problem(409, "Not now", "It is there already.", {"name": f"{name} is there already; press Edit."})
        api.post("/v1/senders", {"name": name, "pool": pool, "matches": typed})
    except Problem as problem:
        st.session_state["sender_problem"] = problem
        st.rerun()
    for one in ("sender_problem", "sender_name", "sender_matches"):
        st.session_state.pop(one, None)
    session.say(f"Sender {name} is made; its mail leaves by pool {pool}.")
    st.rerun()


def _forget() -> None:
    for one in [str(one) for one in st.session_state if str(one).startswith("sender_change")]:
        st.session_state.pop(one)


def _change(api: Api, name: str) -> None:
    """Another pool, or other logins, addresses and domains."""
    refused: Problem | None = st.session_state.get("sender_change_problem")
    found = next((one for one in api.get("/v1/senders").get("items") or [] if one["name"] == name), None)
    if found is None:
        asking.close()
        return
    pool_before = str(found.get("pool"))
    known = _pools(api)
    with (
        asking.question(f"Edit sender {name}", forget=_forget),
        st.form("sender_change", border=False, enter_to_submit=False),
    ):
        left, right = st.columns(2, gap="medium")
        with left:
            pool = st.selectbox(
                "Pool", known, index=known.index(pool_before) if pool_before in known else 0,
                key=f"sender_change_pool:{name}",
                help="Its mail leaves by the IPs of the new pool from the next question to the gate on; mail that "
                "waits in a queue asks again.",
            )  # fmt: skip
            fault(refused, "pool")
            reason = st.text_input("Reason", key="sender_change_reason", max_chars=500).strip()
            fault(refused, "reason")
        with right:
            typed = _matches(
                st.text_area(
                    "Logins, addresses and domains", value="\n".join(found.get("matches") or []), height=124,
                    key=f"sender_change_matches:{name}", help=MATCHES_HELP,
                )
            )  # fmt: skip
            _fault_of_matches(refused, typed)
        if refused and not refused.fields:
            trouble(refused)
        pressed = st.form_submit_button("Save sender", type="primary")
    if not pressed:
        return
    try:
        if not reason:
            raise Problem(422, "Incomplete", "A field is missing.", {"reason": "Give a reason, kept in the audit."})
        body = {"pool": pool, "matches": typed, "reason": reason}
        api.patch(path_of("/v1/senders/{name}", name=name), body)
    except Problem as problem:
        st.session_state["sender_change_problem"] = problem
        st.rerun()
    asking.close()
    _forget()
    session.say(f"Sender {name} is saved; its mail leaves by pool {pool}.")
    st.rerun()
