"""Senders: whose mail it is, how their mail is known, and by which pool it leaves."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, path_of
from ui.pieces import asking, forms, paging, words
from ui.pieces.guard import live

POOL_HELP = (
    "Its mail leaves by the IPs of its pool, from the next question to the gate on; mail that waits in a queue asks "
    "again."
)
MATCHES_HELP = (
    "How mail is known to be this sender's, one a line: the login it signs in with, an envelope sender's address, or a "
    "sending domain. The first one that fits counts, in this order."
)
#: Matches told in a row of the list; the rest is in the form.
TOLD = 3


@live
def listed(api: Api, query: str) -> None:
    """Every one, as searched for."""
    items = api.all("/v1/senders")
    if not items:
        st.info(
            "A sender is whose mail it is: a tenant, or one of your own systems. Its mail is known by a login, an "
            "address or a domain, and leaves by the IPs of its pool. There is none yet; make the first one below."
        )
        return
    paging.whole("sender", items, query, _searched, _one, _row)


def _searched(one: dict[str, Any]) -> str:
    return " ".join([str(one.get("name")), str(one.get("pool")), *(one.get("matches") or [])])


def _one(one: dict[str, Any]) -> None:
    name, pool, known, press, end = st.columns([2.5, 2, 4, 1.3, 1.3], vertical_alignment="center")
    name.markdown(f"**{one['name']}**")
    pool.markdown(f"pool {one.get('pool')}")
    known.markdown(_told(one.get("matches") or []))
    with press:
        asking.button("Edit", "sender-change", str(one["name"]), key=f"sender:{one['name']}", width="stretch")
    with end:
        asking.button("Delete", "sender-delete", str(one["name"]), key=f"delete:{one['name']}", width="stretch")


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


def _pool(form: forms.Form, known: list[str], present: str = "") -> str:
    chosen = st.selectbox(
        "Pool", known, index=known.index(present) if present in known else 0, key=form.key("pool"), help=POOL_HELP,
        placeholder="No pool yet",
    )  # fmt: skip
    form.fault("pool")
    return str(chosen)


def _matches(form: forms.Form, present: list[str]) -> list[str]:
    """The field, one a line, commas part as well; a refusal of one line names the line."""
    text = st.text_area(
        "Logins, addresses and domains", value="\n".join(present), key=form.key("matches"), height=124,
        help=MATCHES_HELP, placeholder="acme.example\nsmtp-17\napp@acme.example",
    )  # fmt: skip
    typed = [one.strip() for one in text.replace(",", "\n").splitlines() if one.strip()]
    form.fault("matches")
    for place, one in enumerate(typed):
        form.fault(f"matches.{place}", before=f"Line {place + 1} “{words.literal(one)}”: ")
    return typed


def make(api: Api) -> None:
    """The form for a new sender."""
    form, known = forms.Form("sender"), api.names("/v1/pools")
    with forms.folded("New sender", form):
        left, right = st.columns(2, gap="medium")
        with left:
            name = form.name_field("acme")
            pool = _pool(form, known)
        with right:
            matches = _matches(form, [])
        pressed = form.button("Make sender", None if known else "Make a pool first, under Pools above.")
    if pressed:
        form.new_name(name, api.names("/v1/senders"))
        form.send(
            lambda: api.post("/v1/senders", {"name": name, "pool": pool, "matches": matches}),
            f"Sender {name} is made; its mail leaves by pool {pool}.",
        )


def change(api: Api, name: str) -> None:
    """Another pool, or other logins, addresses and domains."""
    found = next((one for one in api.all("/v1/senders") if one["name"] == name), None)
    if found is None:
        asking.close()
        return
    form = forms.Form(f"sender_change:{name}")
    with forms.editing(f"Edit sender {name}", form):
        left, right = st.columns(2, gap="medium")
        with left:
            pool = _pool(form, api.names("/v1/pools"), str(found.get("pool")))
            reason = form.reason()
        with right:
            matches = _matches(form, found.get("matches") or [])
        pressed = form.button("Save sender")
    if pressed:
        form.reasoned(reason)
        body = {"pool": pool, "matches": matches, "reason": reason}
        form.send(
            lambda: api.patch(path_of("/v1/senders/{name}", name=name), body),
            f"Sender {name} is saved; its mail leaves by pool {pool}.",
            answers=True,
        )


def delete(api: Api, name: str) -> None:
    """The open question whether a sender ends."""
    with asking.question(f"Delete sender {name}?"):
        st.write(
            f"Sender {name} leaves this list for good, with its logins, addresses and domains and its finished "
            "campaigns; a pause of it ends. Mail that still comes is nobody's: the gate defers it, or sends it by the "
            "pool that this installation has for unknown senders. Figures and the audit stay."
        )
        forms.Form("sender_delete").command(
            "Delete now",
            lambda reason: api.delete(path_of("/v1/senders/{name}", name=name), reason),
            f"Sender {name} is deleted.",
        )
