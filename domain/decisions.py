"""What one day's figures mean for the ramp: grow, hold, step back or stop, with a reason in words.

Limits and windows are POLICY's (Daily figures). A rate counts only with evidence: enough mail, enough
events and a lower confidence bound above the limit. Absence of evidence grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel

from domain.evidence import clopper_pearson, wilson
from domain.figures import Figures
from domain.warmup import Progress
from domain.words import MailboxProvider

WARN, STOP = 1.96, 2.58
ENOUGH_SENT = 0.90  # SparkPost: a day that sent less does not advance the ramp
IDLE_RESTART_DAYS = 30  # SendGrid
IDLE_DECAY_DAYS = 7  # one step for each idle week, after SES's managed warm-up
CLEAN_DAYS = 7
MIN_SAMPLE = 100


class Decision(StrEnum):
    """What a day leads to."""

    GROW = "grow"
    HOLD = "hold"
    STEP_BACK = "step_back"
    STOP = "stop"
    GRADUATE = "graduate"
    DECAY = "decay"
    RESTART = "restart"


class Verdict(BaseModel):
    """A decision with its reason, and the progress that follows from it."""

    decision: Decision
    reason: str
    progress: Progress


class Limit(BaseModel):
    """One rate with its limits."""

    name: str
    hold: float
    back: float
    window: int


LIMITS = (
    Limit(name="bounce", hold=0.03, back=0.05, window=7),
    Limit(name="complaint", hold=0.001, back=0.002, window=30),
    Limit(name="deferral", hold=0.05, back=0.15, window=7),
)

Day = Mapping[MailboxProvider, Figures]


def total(days: Sequence[Day], only: MailboxProvider | None = None) -> Figures:
    """Sum of days, of all mailbox providers or of one."""
    attempted = delivered = bounced = blocked = deferred = complained = 0
    for day in days:
        for provider, one in day.items():
            if only is None or only is provider:
                attempted += one.attempted
                delivered += one.delivered
                bounced += one.bounced
                blocked += one.blocked
                deferred += one.deferred
                complained += one.complained
    return Figures(
        attempted=attempted,
        delivered=delivered,
        bounced=bounced,
        blocked=blocked,
        deferred=deferred,
        complained=complained,
    )


def counts(name: str, of: Figures) -> tuple[int, int]:
    """Events and sample of a rate by POLICY's definitions."""
    if name == "bounce":
        return of.bounced, of.delivered + of.bounced
    if name == "complaint":
        return of.complained, of.delivered
    return of.deferred, of.attempted


def bounds(name: str, of: Figures, z: float) -> tuple[float, float]:
    """Confidence bounds of a rate; complaints are rare, so theirs are exact."""
    k, n = counts(name, of)
    k = min(k, n)
    return clopper_pearson(k, n, z) if name == "complaint" else wilson(k, n, z)


def above(name: str, of: Figures, limit: float, z: float) -> bool:
    """Whether evidence shows a rate above a limit."""
    k, n = counts(name, of)
    enough = n >= MIN_SAMPLE and k >= (2 if name == "complaint" else 3)
    return enough and bounds(name, of, z)[0] > limit


def decide(progress: Progress, history: Sequence[Day], sending_day: bool = True) -> Verdict:
    """Close the day ``progress.day``.

    Args:
        progress: state of the day that ends.
        history: figures of the days so far, oldest first, the day that ends last; at most 30 are read.
        sending_day: mail was planned on that day.
    """
    now = progress.model_copy(update={"behind": dict(progress.behind)})
    today = total(history[-1:])
    fresh = max(0, progress.day + 1 - progress.fresh_from)
    recent = list(history)[len(history) - min(fresh, len(history)) :]
    stopped = _stop(history, recent, today)
    if stopped:
        return _verdict(now, Decision.STOP, stopped)
    slow = _rate(recent, "back")
    if slow:
        now.step, now.held_days, now.fresh_from = max(0, now.step - 1), 0, now.day + 1
        return _verdict(now, Decision.STEP_BACK, f"{slow[1]} One step down to {now.cap} a day.")
    late = _providers(now, recent)
    if today.attempted == 0:
        return _idle(now, sending_day)
    now.idle_days = 0
    held = _holding(now, recent)
    if held:
        return _verdict(now, Decision.HOLD, held)
    if today.attempted < ENOUGH_SENT * progress.cap:
        why = f"{today.attempted} of {progress.cap} were sent; a day under 90 % does not advance the ramp."
        return _verdict(now, Decision.HOLD, why)
    now.held_days += 1
    if now.held_days < now.plan.pace():
        why = f"Day {now.held_days} of {now.plan.pace()} on this step went well."
        return _verdict(now, Decision.HOLD, why)
    now.held_days = 0
    if now.step >= len(now.plan.ladder()) - 1:
        why = f"A full day at the target of {now.plan.target} went well: the IP is warm."
        return _verdict(now, Decision.GRADUATE, why)
    now.step += 1
    return _verdict(now, Decision.GROW, f"No rate is shown to be too high; the cap grows to {now.cap}.{late}")


def _verdict(progress: Progress, decision: Decision, reason: str) -> Verdict:
    progress.decision, progress.reason = decision, reason
    return Verdict(decision=decision, reason=reason, progress=progress)


def _words(name: str, of: Figures) -> str:
    k, n = counts(name, of)
    return f"The {name} rate is {k / n:.1%} ({k} of {n})" if n else f"The {name} rate is unknown"


def _stop(history: Sequence[Day], recent: Sequence[Day], today: Figures) -> str:
    if today.blocked:
        return f"A mailbox provider blocked the IP ({today.blocked} replies)."
    three = total(history[-3:])
    if above("bounce", today, 0.10, STOP):
        return f"{_words('bounce', today)} in a day, shown to be above 10 %."
    if above("bounce", three, 0.08, STOP):
        return f"{_words('bounce', three)} over 3 days, shown to be above 8 %."
    month = total(recent[-30:])
    if above("complaint", month, 0.005, STOP):
        return f"{_words('complaint', month)}, shown to be above 0.5 %."
    return ""


def _rate(days: Sequence[Day], kind: str, only: MailboxProvider | None = None) -> tuple[str, str] | None:
    sums = {window: total(days[-window:], only) for window in {limit.window for limit in LIMITS}}
    for limit in LIMITS:
        figures = sums[limit.window]
        bar = limit.back if kind == "back" else limit.hold
        if above(limit.name, figures, bar, WARN):
            return limit.name, f"{_words(limit.name, figures)}, shown to be above {bar:.1%}."
    return None


def _holding(now: Progress, recent: Sequence[Day]) -> str:
    """Hysteresis: a hold ends when the upper bound is under its limit, or after 7 clean days."""
    found = _rate(recent, "hold")
    if found:
        now.holding = found[0]
        return f"{found[1]} The cap stays."
    limit = next((one for one in LIMITS if one.name == now.holding), None)
    if limit is None:
        return ""
    week = [total([day]) for day in recent[-CLEAN_DAYS:]]
    rates = [counts(limit.name, day) for day in week]
    clean = len(rates) == CLEAN_DAYS and all(n > 0 and k / n <= limit.hold for k, n in rates)
    figures = total(recent[-limit.window :])
    if clean or bounds(limit.name, figures, WARN)[1] < limit.hold:
        now.holding = ""
        return ""
    return f"{_words(limit.name, figures)}; it held the ramp and is not shown to be under {limit.hold:.1%} yet."


def _providers(now: Progress, recent: Sequence[Day]) -> str:
    """A provider with too high a rate of its own falls behind alone; a clean one catches up."""
    told = ""
    seen = {provider for day in recent for provider in day}
    for provider in MailboxProvider:
        found = _rate(recent, "back", provider) if provider in seen else None
        if found:
            now.behind[provider] = min(now.behind.get(provider, 0) + 1, max(1, now.step))
            told += f" {provider}: {found[1]} Its cap is one step lower."
        elif now.behind.get(provider):
            now.behind[provider] -= 1
    now.behind = {one: steps for one, steps in now.behind.items() if steps}
    return told


def _idle(now: Progress, sending_day: bool) -> Verdict:
    """No mail: missing data keeps the state, long rest loses the level."""
    now.idle_days += 1
    if now.idle_days >= IDLE_RESTART_DAYS:
        now.step, now.idle_days, now.held_days = 0, 0, 0
        now.fresh_from = now.day + 1
        return _verdict(now, Decision.RESTART, "No mail for 30 days: the warm-up starts again.")
    if now.idle_days % IDLE_DECAY_DAYS == 0 and now.step:
        now.step, now.held_days = now.step - 1, 0
        return _verdict(now, Decision.DECAY, f"No mail for {now.idle_days} days: one step down to {now.cap}.")
    why = "No figures came in; the state is unknown and stays." if sending_day else "No sending day."
    return _verdict(now, Decision.HOLD, why)
