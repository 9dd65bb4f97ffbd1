"""The journey of one IP as a line of steps with times, and what it waits for."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from ui.pieces import words

#: The journey of an IP as the README draws it, and the stages that each step covers.
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("IP Selection", ("selected",)),
    ("Purchase", ("purchasing",)),
    ("DNS Setup", ("awaiting_dns",)),
    ("Warmup", ("active", "warming")),
    ("Full Capacity", ("full_capacity",)),
    ("Monitoring", ()),
)

#: A look that is so much behind does not come by itself: no worker runs, or DNS does not answer at all.
LATE_SECONDS = 120

_LOOK = {
    "done": ("✓", "#2e9d5b"),
    "now": ("●", "#1f78d1"),
    "trouble": ("!", "#d1453b"),
    "ahead": ("○", "#8a94a3"),
}


def steps(stage: str, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The line's steps for an IP at a stage, each with the time it was reached.

    Args:
        stage: where the IP stands.
        history: ``{stage, at}`` for each stage it reached, oldest first.
    """
    at = next((index for index, (_, stages) in enumerate(STEPS) if stage in stages), None)
    trouble = stage in ("at_risk", "recovering", "quarantined", "failed_over")
    reached: dict[str, Any] = {}
    for entry in history:
        for name, stages in STEPS:
            if entry.get("stage") in stages:
                reached[name] = entry.get("at")
    if at is None:
        known = [index for index, (name, _) in enumerate(STEPS) if name in reached]
        # A trouble strikes where the IP stood; past full capacity that is the monitoring.
        at = min(5, max(known) + (max(known) == 4)) if trouble and known else 5 if trouble else 0
    if stage == "full_capacity":
        at = 5
    states = ["done" if i < at else "now" if i == at else "ahead" for i in range(len(STEPS))]
    if trouble:
        states[at] = "trouble"
    if stage == "retired":
        states = ["done"] * len(STEPS)
    return [
        {"name": name, "state": state, "at": reached.get(name) if state != "ahead" else None}
        for (name, _), state in zip(STEPS, states, strict=True)
    ]


def line(shown: list[dict[str, Any]]) -> None:
    """Draws the steps from left to right; each with a sign, its name and its time."""
    cells = []
    for step in shown:
        state = step["state"]
        sign, colour = _LOOK[state]
        time = words.when(step["at"]) if step.get("at") else ("now" if state == "now" else "&nbsp;")
        name = html.escape(step["name"])
        weight = 700 if state == "now" else 400
        cells.append(
            f'<div style="flex:1;min-width:90px;border-top:4px solid {colour};padding:6px 4px 0 2px">'
            f'<div style="font-weight:{weight}"><span style="color:{colour}">{sign}</span> {name}</div>'
            f'<div style="opacity:.7;font-size:.85em">{time}</div></div>'
        )
    st.html(f'<div style="display:flex;gap:6px;flex-wrap:wrap">{"".join(cells)}</div>')


def waits(ip: dict[str, Any], *stages: str) -> None:
    """One sentence: what this IP waits for and who must act; with ``stages``, only while it is at one of them."""
    if stages and ip.get("stage") not in stages:
        return
    text, actor = words.literal(words.now(ip)), ip.get("waiting_on")
    if not ip.get("waiting_for"):
        return
    since = f" Since {words.duration_since(ip['waiting_since'])}." if ip.get("waiting_since") else ""
    if actor in ("operator", "registrar", "vendor"):
        # Where mail is stopped it is no news but a trouble.
        troubled = ip.get("stage") in words.TROUBLED
        (st.error if troubled else st.info)(
            f"{'! ' if troubled else ''}**{text}.** Who must act: **{words.who(actor)}**.{since}"
        )
    else:
        st.info(f"**{text}.** Nobody must act.")


def next_look(dns: dict[str, Any]) -> str:
    """When the servers of an IP's records are asked next, as a sentence; empty while nobody asks."""
    at = words.moment(dns.get("next_look_at"))
    if at is None:
        return ""
    ahead = (at - datetime.now(UTC)).total_seconds()
    if ahead < -LATE_SECONDS:
        return f"A look was due {words.duration(ahead)} ago, at {at:%H:%M:%S} UTC, and has not come."
    due = f"in {words.duration(ahead)}" if ahead > 0 else "now"
    by = "by the sweep" if dns.get("verified_at") or not dns.get("deadline") else "when caches may have run out (TTL)"
    return f"Next look {due}, at {at:%H:%M:%S} UTC, {by}."


def workflow_link(resource: dict[str, Any]) -> None:
    """The link to the journey in the Temporal UI, if the API names one."""
    if url := _url(resource):
        st.link_button("Open this journey in Temporal", url)


def linked(answer: object) -> str:
    """The same link at the end of a sentence, in markdown; empty where what was answered has no journey."""
    url = _url(answer) if isinstance(answer, dict) else None
    return f" [Open this journey in Temporal]({url})" if url else ""


def _url(resource: dict[str, Any]) -> str | None:
    return (resource.get("workflow") or {}).get("url")
