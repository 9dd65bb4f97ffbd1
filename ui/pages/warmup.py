"""Warmup Dashboard: plan with a forecast, start, watch each day's decision, and steer."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.client import Api, JsonValue, Problem, path_of
from ui.pieces import asking, charts, journey, paging, picking, places, session, words
from ui.pieces.forms import OPTIONAL, Form
from ui.pieces.guard import guarded, live, trouble

#: Columns of the table of decisions: counts, and rates with what each is a part of.
COUNTS = ("Cap", "Sent", "Delivered", "Blocked")
SHARES = {
    "Bounce %": "Addresses that do not exist, of final answers.",
    "Complaint %": "Spam complaints of delivered.",
    "Deferral %": "Deferred at least once, of attempts.",
}
WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
STARTABLE = ("active", "full_capacity", "at_risk", "quarantined")
WHY_NOT = {
    "selected": "The IP is not bought yet.",
    "purchasing": "The IP is being bought.",
    "awaiting_dns": "DNS is not verified yet; the warm-up can start when the status is Active.",
    "retired": "The IP is retired.",
}


def presets(api: Api) -> list[dict[str, Any]]:
    """Published ladders of peers."""
    return api.items("/v1/warmup/presets")


def controls(api: Api, prefix: str, start: dict[str, Any], safe_limit: int) -> dict[str, Any]:
    """The sliders of a plan; returns the plan in the API's words."""
    preset = _preset(api, prefix)
    plan = _ramp(prefix, start, safe_limit, free=not preset) | {"sending_days": _sending_days(prefix, start)}
    if shares := _shares(prefix, start.get("shares") or {}):
        plan["shares"] = shares
    if preset:
        plan["preset"] = preset
    return plan


def _preset(api: Api, prefix: str) -> str | None:
    ladders = {str(one["name"]): one for one in presets(api)}
    return st.selectbox(
        "Preset",
        [None, *ladders],
        format_func=lambda name: (
            "None: grow by the sliders" if name is None else str(ladders[name].get("title") or words.spoken(name))
        ),
        key=f"{prefix}_preset",
    )


def _ramp(prefix: str, start: dict[str, Any], safe_limit: int, *, free: bool) -> dict[str, Any]:
    """From the first day's volume to the target; a preset has a first step and a growth of its own."""
    initial = st.slider(
        "Initial volume a day",
        20,
        50,
        min(50, max(20, int(start.get("initial") or 50))),
        format="%d mails",
        key=f"{prefix}_initial",
        disabled=not free,
    )
    growth = float(start.get("growth") or 25)
    percent = growth * 100 if growth <= 1 else growth
    grow = st.slider(
        "Growth a step (%)",
        20,
        30,
        min(30, max(20, round(percent))),
        key=f"{prefix}_growth",
        disabled=not free,
    )
    step_days = st.slider("Step length (sending days)", 1, 7, int(start.get("step_days") or 1), key=f"{prefix}_step")
    target = st.number_input(
        "Target a day (mails)",
        50,
        10_000_000,
        int(start.get("target") or safe_limit),
        step=100,
        key=f"{prefix}_target",
    )
    return {"initial": initial, "growth": grow / 100, "step_days": step_days, "target": int(target)}


def _sending_days(prefix: str, start: dict[str, Any]) -> list[int]:
    """Days of the week that mail goes on; 0 is Monday."""
    given = start.get("sending_days")
    days = st.pills(
        "Sending days",
        list(range(7)),
        selection_mode="multi",
        default=[_weekday(day) for day in given] if given else list(range(7)),
        format_func=lambda day: WEEK[day],
        wrap=True,
        key=f"{prefix}_days",
    )
    return sorted(days)


def _weekday(day: JsonValue) -> int:
    if isinstance(day, int):
        return day % 7
    return next((number for number, name in enumerate(WEEK) if str(day).lower().startswith(name.lower())), 0)


def _shares(prefix: str, start: dict[str, Any]) -> dict[str, float]:
    """Shares of the mailbox providers, adding up to one; empty when the defaults are kept."""
    with st.expander("Shares of the mailbox providers"):
        own = st.checkbox("Set shares myself", value=bool(start), key=f"{prefix}_own_shares")
        usual = {"gmail": 0.45, "microsoft": 0.25, "yahoo": 0.12, "apple": 0.06, "other": 0.12}
        values = {
            name: st.slider(
                words.spoken(name),
                0,
                100,
                round(100 * float(start.get(name, usual[name]))),
                key=f"{prefix}_share_{name}",
                disabled=not own,
            )
            for name in charts.PROVIDERS
        }
        whole = sum(values.values())
        if not own or not whole:
            return {}
        st.caption(f"They add up to {whole} %; they are scaled to 100 %.")
        return {name: round(value / whole, 4) for name, value in values.items()}


def draw_forecast(api: Api, plan: dict[str, Any]) -> bool:
    """The fan to full capacity for a plan; returns whether the plan is one the API accepts."""
    try:
        forecast = api.post("/v1/warmup/forecast", plan)
    except Problem as problem:
        trouble(problem)
        for field, said in problem.fields.items():
            st.markdown(f":red[✕ {words.spoken(field)}: {said}]")
        return False
    days = forecast.get("days") or []
    finish = forecast.get("finish") or {}
    if days:
        short = session.short_days()
        likely, best, late = (_end(finish.get(part), days, short=short) for part in ("p50", "p10", "p90"))
        st.altair_chart(charts.forecast(days, finish, dated=not short), width="stretch", key="forecast")
        st.caption(f"Full capacity: most likely {likely}, at best {best}, with setbacks {late}.")
    return True


def _end(value: JsonValue, days: list[dict[str, Any]], *, short: bool) -> str:
    """When a plan is at its end: on a date, or on a day of the plan where days are short."""
    number = charts.day_number(value, days) if short and days else None
    if number is not None:
        return f"on day {number + int(days[0].get('day') or 1) - 1}"
    if isinstance(value, dict):
        value = value.get("date") or value.get("day")
    if isinstance(value, (int, float)):
        return f"on day {int(value)}"
    read = words.moment(value)
    return f"on {read:%Y-%m-%d}" if read else "not within the horizon"


def start(api: Api, ip: dict[str, Any]) -> None:
    """Plan and start."""
    address = str(ip["address"])
    safe = int(ip.get("safe_limit") or 2000)
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown("**Plan**")
        plan = controls(api, f"plan:{address}", {}, safe)
    with right:
        st.markdown("**Forecast**")
        sound = draw_forecast(api, plan)
    why = WHY_NOT.get(str(ip.get("stage")))
    if why:
        st.info(why)
        places.link(places.DNS, ip=address)
    why = session.barred() or why or (None if sound else "The plan is not accepted; see what the forecast says.")
    # Above the button, which may stand at the lower end of the window.
    told = st.container()
    if st.button("Start Warmup", type="primary", disabled=why is not None, help=why):
        try:
            with told, st.spinner("Starting the warm-up ..."):
                key = session.key(f"warmup:{address}")
                begun = api.post(path_of("/v1/ips/{ip}/warmup", ip=address), plan, key=key)
        except Problem as problem:
            session.spent(f"warmup:{address}")
            with told:
                trouble(problem)
            return
        session.spent(f"warmup:{address}")
        session.say(f"The warm-up of {address} started. Each day closes by itself; you need not stay.", about=begun)
        st.rerun()


@live
def watch(api: Api, address: str) -> None:
    """What the warm-up does: today's cap and spend, the chart, the decisions with their reasons."""
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    warmup = api.find(path_of("/v1/ips/{ip}/warmup", ip=address)) or {}
    history: list[dict[str, Any]] = sorted(warmup.get("history") or [], key=lambda day: str(day.get("date")))
    if session.short_days():
        history = [day | {"date": f"Day {day.get('day')}"} for day in history]
    state = str(warmup.get("state") or warmup.get("status") or "")
    if state == "stopped":  # the API calls a warm-up that stands still paused as well
        why = words.literal(words.sentence(str(warmup.get("reason") or "No reason given").rstrip(".")))
        st.error(f"! Stopped. {why}. No mail leaves by this IP until you press Resume or Restart from a stage.")
    elif warmup.get("paused") or state == "paused":
        st.warning(
            f"△ Paused. {words.literal(words.sentence(str(warmup.get('reason') or 'No reason given').rstrip('.')))}. "
            "Mail of this IP waits until you press Resume."
        )
    else:
        journey.waits(ip)
    figures = st.columns(4)
    held = "The step of the plan that it stands on; a day that holds stays on its step."
    of = f" of {words.number(warmup['steps'])}" if warmup.get("steps") else ""
    figures[0].metric("Step", f"{words.number(int(warmup.get('step') or 0) + 1)}{of}", border=True, help=held)
    figures[1].metric("Cap today", words.number(warmup.get("cap", ip.get("daily_cap"))), border=True)
    figures[2].metric("Sent today", words.number(ip.get("sent_today")), border=True)
    finish = (warmup.get("forecast") or {}).get("finish") or {}
    likely = _likely(finish.get("p50"), (warmup.get("forecast") or {}).get("days") or [])
    reached = ip.get("stage") == "full_capacity"
    figures[3].metric("Full capacity", "reached" if reached else likely, border=True)
    if history:
        st.markdown("**Cap against sent**")
        st.altair_chart(charts.cap_against_sent(history[-60:]), width="stretch", key="warmup_cap")
    elif not reached:
        st.caption("The first day is not closed yet; the chart of cap against sent appears with it.")
    caps = warmup.get("by_provider") or {}
    if caps:
        st.markdown("**Mailbox providers today**")
        st.altair_chart(
            charts.by_provider(caps, warmup.get("sent_by_provider")), width="stretch", key="warmup_providers"
        )
    if history:
        st.markdown("**Decisions**")
        rows = [_row(day) for day in reversed(history)]
        st.dataframe(
            paging.frame(rows, *COUNTS, *SHARES),
            hide_index=True,
            width="stretch",
            placeholder="–",
            column_config={
                **dict.fromkeys(COUNTS, paging.grouped()),
                **{name: paging.per_cent(meaning) for name, meaning in SHARES.items()},
            },
        )
        paging.export(rows, f"warmup-{address}.csv")
    journey.workflow_link(warmup if warmup.get("workflow") else ip)


def _likely(p50: JsonValue, days: list[dict[str, Any]]) -> str:
    """When full capacity is most likely: in days from now; in an installation with short days, the day of the plan."""
    if session.short_days() or not isinstance(p50, str):
        return _end(p50, days, short=session.short_days()).removeprefix("on ")
    return words.ago(p50)


def _row(day: dict[str, Any]) -> dict[str, Any]:
    delivered, bounced = day.get("delivered") or 0, day.get("bounced") or 0
    return {
        "Day": day.get("date"),
        "Decision": words.decision(day.get("decision")),
        "Reason": day.get("reason") or "–",
        "Cap": day.get("cap"),
        "Sent": max(day.get("granted") or 0, day.get("attempted") or 0),
        "Delivered": delivered,
        "Bounce %": words.hundredth(bounced, delivered + bounced),
        "Complaint %": words.hundredth(day.get("complained") or 0, delivered),
        "Deferral %": words.hundredth(day.get("deferred") or 0, day.get("attempted")),
        "Blocked": day.get("blocked"),
    }


def _command(
    api: Api, address: str, name: str, press: str, done: str, usual: str = "", more: dict[str, Any] | None = None
) -> None:
    path = path_of("/v1/ips/{ip}/warmup/{name}", ip=address, name=name)
    Form(f"warmup_{name}").command(press, lambda reason: api.post(path, {"reason": reason} | (more or {})), done, usual)


def pause(api: Api, address: str) -> None:
    """Stopping mail asks once."""
    with asking.question("Pause the warm-up?"):
        st.write(
            f"Mail from {address} stops at the gate until you press Resume. "
            "The level is kept, and decays when idle for long."
        )
        _command(api, address, "pause", "Pause now", f"{address} is paused; no mail leaves from it.")


def resume(api: Api, address: str) -> None:
    """Mail flows again."""
    with asking.question("Resume the warm-up?"):
        st.write(f"{address} sends again up to its cap.")
        _command(api, address, "resume", "Resume now", f"{address} sends again.", "Cause removed")


def complete(api: Api, address: str) -> None:
    """Skipping steps can hurt, so it asks."""
    with asking.question("Complete the warm-up early?"):
        st.write(
            f"{address} gets its full target at once. Providers that have not seen that volume from it may block it."
        )
        _command(api, address, "complete", "Complete now", f"The warm-up of {address} is complete.")


def restart(api: Api, address: str, step: int, steps: int) -> None:
    """Back to an earlier step; the API counts them from 0, people from 1."""
    with asking.question("Restart from a stage?"):
        st.write(f"The cap of {address} goes to the level of the step you choose, and grows again from there.")
        chosen = int(st.number_input(f"Step, 1 to {steps}", 1, steps, min(max(1, step), steps), key="restart_step"))
        said = f"The warm-up of {address} restarted from step {chosen}."
        _command(api, address, "restart", "Restart now", said, more={"step": chosen - 1})


def adjust(api: Api, address: str, plan: dict[str, Any], safe: int) -> None:
    """Changes the plan from today on, with the forecast of the new one."""
    form = Form(f"adjust_why:{address}")
    with asking.question("Adjust the plan", forget=form.forget):
        left, right = st.columns([2, 3], gap="large")
        with left:
            new = controls(api, f"adjust:{address}", plan, safe)
        with right:
            sound = draw_forecast(api, new)
        reason = form.reason(told=OPTIONAL)
        if not st.button("Save the plan", type="primary", disabled=not sound):
            return
        try:
            with st.spinner("Telling the journey ..."):
                changed = api.patch(path_of("/v1/ips/{ip}/warmup", ip=address), new | {"reason": reason})
        except Problem as problem:
            trouble(problem)
            return
        form.forget()
        asking.close()
        session.say(f"The plan of {address} is changed from today on.", about=changed)
        st.rerun()


def steer(api: Api, ip: dict[str, Any], warmup: dict[str, Any]) -> None:
    """The buttons of a running warm-up; what may not be done now is disabled and says why."""
    address = str(ip["address"])
    still = bool(warmup.get("paused")) or str(warmup.get("state") or warmup.get("status")) in (
        "paused",
        "stopped",
    )
    running = ip.get("stage") in ("warming", "quarantined", "at_risk")
    idle = None if running else "No warm-up runs for this IP now."
    buttons: tuple[tuple[str, str, str | None], ...] = (
        ("Pause", "pause", idle or ("It is paused." if still else None)),
        ("Resume", "resume", idle or (None if still else "It is not paused.")),
        ("Adjust", "adjust", idle),
        ("Complete early", "complete", idle),
        ("Restart from a stage", "restart", idle),
    )
    with st.container(horizontal=True):
        for label, name, why in buttons:
            asking.button(label, name, address, why)
    if asking.is_open("pause", address):
        pause(api, address)
    elif asking.is_open("resume", address):
        resume(api, address)
    elif asking.is_open("adjust", address):
        adjust(api, address, warmup.get("plan") or {}, int(ip.get("safe_limit") or 2000))
    elif asking.is_open("complete", address):
        complete(api, address)
    elif asking.is_open("restart", address):
        restart(api, address, int(warmup.get("step") or 0), int(warmup.get("steps") or 1))


def main() -> None:
    """The warm-up of one IP."""
    api = session.api()
    address = picking.chosen_ip(api, "The warm-up of your IPs is planned and watched here.")
    if address is None:
        return
    ip = api.get(path_of("/v1/ips/{ip}", ip=address))
    st.badge(words.stage(ip.get("stage")), color=words.stage_colour(ip.get("stage")))
    warmup = api.find(path_of("/v1/ips/{ip}/warmup", ip=address)) or {}
    if ip.get("stage") == "warming" or warmup.get("plan"):
        steer(api, ip, warmup)
        watch(api, address)
        if ip.get("stage") in ("full_capacity", "active"):
            with st.expander("Warm it up again"):
                start(api, ip)
        _history_page_link(address)
    else:
        start(api, ip)


def _history_page_link(address: str) -> None:
    places.link(places.FLEET, f"Everything about {address}", ip=address)


with guarded():
    main()
