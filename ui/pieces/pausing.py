"""**Pause All Campaigns**: its button beside the title, its question, and the banner while all mail stands still."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, Problem
from ui.pieces import asking, places, words
from ui.pieces.forms import Form
from ui.pieces.guard import guarded

#: What is typed to stop mail: long enough that nobody types it by accident.
TYPED = "PAUSE"
#: Counting what mail is concerned must not stand in the way of stopping it.
UNCOUNTED = "How much mail this concerns could not be counted just now; it works all the same."
#: What a pause may cover, as an operator calls it.
SCOPES = {"all": "All mail", "ip": "One IP", "pool": "One pool", "sender": "One sender"}


def everything(api: Api) -> dict[str, Any] | None:
    """The pause of all mail; None when there is none."""
    items = api.items("/v1/campaigns/pauses")
    return next((one for one in items if (one.get("scope") or {}).get("all")), None)


def button(api: Api) -> None:
    """In reach from every page; disabled with the reason where it may not be pressed."""
    with guarded():
        try:
            paused = everything(api)
        except Problem:
            paused = None  # the strip says that the API does not answer, and so does the disabled button
        st.session_state["all_paused"] = paused is not None
        why = "All campaigns are paused already. Resume them in the banner on top of the page." if paused else None
        asking.button("Pause All Campaigns", "pause-mail", "", why, icon=":material/pause_circle:")


def question(api: Api) -> None:
    """The open question, on top of whatever page it was asked from."""
    kind, subject = asking.opened()
    with guarded():
        if kind == "pause-mail":
            _pause(api)
        elif kind == "resume-mail":
            scope, _, name = subject.partition(" ")
            _resume(api, scope, name)


@st.fragment(run_every=6)
def banner(api: Api) -> None:
    """Who paused all mail, why and since when, with the way back; nothing while mail may go."""
    with guarded():
        try:
            paused = everything(api)
        except Problem:
            return
        if st.session_state.get("all_paused", paused is not None) != (paused is not None):
            # Somebody else paused or resumed: the button beside the title must say so, too. A fresh session has none.
            st.session_state["all_paused"] = paused is not None
            st.rerun()
        if paused is None:
            return
        with (
            st.container(border=True, key="all_paused_banner"),
            st.container(horizontal=True, vertical_alignment="center", gap="small", key="beside_all_paused"),
        ):
            st.markdown(
                f":red[**‖ All campaigns are paused**] {told(paused)} · since "
                f"{words.lasting(paused.get('since'))}. No mail leaves by any IP.",
                unsafe_allow_html=True,
                width="stretch",
            )
            asking.button("Resume All Campaigns", "resume-mail", "all ")


def resume_button(scope: dict[str, Any]) -> None:
    """Ends the pause of an IP, a pool, a sender or a campaign."""
    ((kind, name),) = scope.items()
    asking.button("Resume", "resume-mail", f"{kind} {name}", key=f"resume:{kind}:{name}", width="stretch")


def named(scope: dict[str, Any]) -> str:
    """What a pause covers, in words: ``all mail``, ``198.51.100.7``, ``pool bulk``."""
    ((kind, name),) = scope.items()
    return "all mail" if kind == "all" else str(name) if kind == "ip" else f"{kind} {name}"


def told(pause: dict[str, Any]) -> str:
    """Who paused it and why: ``by ada: stolen login``."""
    return f"by {words.literal(pause.get('who') or 'an operator')}: {words.literal(pause.get('reason') or 'no reason')}"


def counted(number: int, noun: str) -> str:
    """``1 campaign``, ``12 campaigns``."""
    return f"**{words.number(number)}** {noun}{'' if number == 1 else 's'}"


def reach(found: dict[str, Any]) -> str:
    """What a pause stops or its end lets go, in numbers: ``3 campaigns, 2 senders and 5 IPs``; empty for none."""
    parts = [
        counted(int(found[name]), noun)
        for name, noun in (("campaigns", "campaign"), ("senders", "sender"), ("ips", "IP"))
        if found.get(name)
    ]
    if not parts:
        return ""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _subject(api: Api, form: Form) -> tuple[str, str]:
    """What shall stop: everything, or one thing by its name."""
    scope = str(
        st.segmented_control(
            "What stops",
            list(SCOPES),
            default="all",
            format_func=SCOPES.__getitem__,
            key=form.key("scope"),
            required=True,
        )
        or "all"
    )
    if scope == "all":
        return scope, ""
    if scope == "ip":
        usual = str(st.query_params.get("ip") or st.session_state.get("ip") or "")
        return scope, st.text_input("IP", value=usual, placeholder="198.51.100.7", key=form.key("ip")).strip()
    try:
        known = api.names(f"/v1/{scope}s")
    except Problem:  # mail can be stopped by a typed name, too
        return scope, st.text_input(words.spoken(scope), key=form.key(f"{scope}_typed")).strip()
    chosen = st.selectbox(
        words.spoken(scope), known, index=None, placeholder=f"Name of the {scope}", key=form.key(scope)
    )
    return scope, str(chosen or "")


def _consequence(api: Api, scope: str, name: str) -> str:
    """What happens, in words and numbers."""
    if scope != "all" and not name:
        return ""
    stops = reach(api.get("/v1/campaigns/reach", scope=scope, name=name))
    if scope == "all":
        return (
            (f"This stops {stops}, and all other mail as well" if stops else "Nothing sends now. This stops all mail")
            + ": at the gate, within a second. Mail waits in your mail systems until somebody presses **Resume All "
            "Campaigns**. Warm-ups stand still."
        )
    elsewhere = " Mail that another pool takes over goes on from there." if scope in ("ip", "pool") else ""
    return (
        f"This stops {stops or 'nothing that sends now'}: at the gate, within a second.{elsewhere} It lasts until "
        "somebody presses Resume."
    )


def _pause(api: Api) -> None:
    form = Form("pause")
    with asking.question("Pause All Campaigns?", forget=form.forget):
        scope, name = _subject(api, form)
        try:
            said = _consequence(api, scope, name)
        except Problem:
            said = UNCOUNTED
        if said:
            st.markdown(said)
        with st.form("pause_mail", border=False, enter_to_submit=False):
            left, right = st.columns(2, gap="medium")
            with left:
                reason = form.reason(told="Shown to everybody, kept in the audit")
            with right:
                typed = st.text_input(f"Type {TYPED} to confirm", key=form.key("typed"), autocomplete="off").strip()
                form.fault("typed")
            form.fault("scope", f"scope.{scope}")
            covers = "all campaigns" if scope == "all" else (name or f"the {SCOPES[scope].removeprefix('One ')}")
            pressed = form.button(f"Pause {covers} now")
    if pressed:
        form.incomplete(_missing(scope, name, reason, typed))
        form.send(
            lambda: api.post(
                "/v1/campaigns/pause", {"scope": {scope: True if scope == "all" else name}, "reason": reason}
            ),
            "All campaigns are paused: no mail leaves by any IP."
            if scope == "all"
            else f"Mail of {named({scope: name})} is paused.",
            answers=True,
        )


def _missing(scope: str, name: str, reason: str, typed: str) -> dict[str, str]:
    """What is missing, by field, before anything is sent."""
    missing = {}
    if scope != "all" and not name:
        missing["scope"] = f"Choose the {SCOPES[scope].removeprefix('One ')} to pause."
    if not reason:
        missing["reason"] = "Give a reason; everybody sees it, and it is kept in the audit."
    if typed.upper() != TYPED:
        missing["typed"] = f"Type {TYPED}, so that mail is not stopped by a slip."
    return missing


def _release(found: dict[str, Any]) -> str:
    """What the end of a pause lets go, in words and numbers."""
    kept = int(found.get("kept") or 0)
    stays = "stays" if kept == 1 else "stay"
    return (
        f"This lets {stops} go on, up to today's caps of the IPs. What waited in your mail systems is tried again."
        if (stops := reach(found))
        else "Nothing would send at once: other pauses hold it, or no IP is warming or at full capacity."
    ) + (f" {counted(kept, 'campaign')} {stays} stopped for another reason." if kept else "")


def _resume(api: Api, scope: str, name: str) -> None:
    everything_ = scope == "all"
    what = "All Campaigns" if everything_ else named({scope: name})
    with asking.question(f"Resume {what}?"):
        try:
            said = _release(api.get("/v1/campaigns/reach", scope=scope, name=name))
        except Problem:
            said = UNCOUNTED
        st.markdown(said)
        body = {"scope": {scope: True if everything_ else name}}
        Form("resume_mail").command(
            f"Resume {what} now",
            lambda reason: api.post("/v1/campaigns/resume", body | {"reason": reason}),
            "All campaigns may send again." if everything_ else f"Mail of {what} may go again.",
        )


def of_ip(api: Api, ip: dict[str, Any]) -> None:
    """What an operator has paused about one IP: itself, its pool or its sender; the banner tells of all mail."""
    concerned = {"ip": ip.get("address"), "pool": ip.get("pool"), "sender": ip.get("sender")}
    for one in api.items("/v1/campaigns/pauses"):
        ((kind, name),) = (one.get("scope") or {"": None}).items()
        if name is not None and concerned.get(kind) == name:
            st.markdown(
                f":red[**‖ Paused**] {named(one['scope'])} {told(one)} · {words.when(one.get('since'))}. "
                "No mail leaves by this IP.",
                unsafe_allow_html=True,
            )
            places.link(places.CAMPAIGNS, "Resume it on Campaigns")
