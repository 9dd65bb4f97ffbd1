"""What one day's figures mean for the ramp: grow, hold, step back or stop, with a reason in words.

Limits and windows (``settings.py`` has their sources) come as :class:`domain.policy.DecisionPolicy`. A rate counts
only with evidence: enough mail, enough events and a lower confidence bound above the limit. Absence of evidence
grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import BaseModel

from domain.evidence import clopper_pearson, wilson
from domain.figures import Figures
from domain.policy import DecisionPolicy
from domain.warmup import Progress
from domain.words import MailboxProvider

DEFAULTS = DecisionPolicy()


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
    """One rate with its limits and the days it is taken over."""

    name: str
    hold: float
    back: float
    window: int


Day = Mapping[MailboxProvider, Figures]


def limits(policy: DecisionPolicy) -> tuple[Limit, Limit, Limit]:
    """The three rates that hold a ramp or take a step back."""
    return (
        Limit(
            name="bounce",
            hold=policy.decision_bounce_hold,
            back=policy.decision_bounce_back,
            window=policy.decision_days,
        ),
        Limit(
            name="complaint",
            hold=policy.decision_complaint_hold,
            back=policy.decision_complaint_back,
            window=policy.decision_complaint_days,
        ),
        Limit(
            name="deferral",
            hold=policy.decision_deferral_hold,
            back=policy.decision_deferral_back,
            window=policy.decision_days,
        ),
    )


def total(days: Sequence[Day], only: MailboxProvider | None = None) -> Figures:
    """Sum of days, of all mailbox providers or of one."""
    sums = dict.fromkeys(Figures.model_fields, 0)
    for day in days:
        for provider, one in day.items():
            if only is None or only is provider:
                for name in sums:
                    sums[name] += getattr(one, name)
    return Figures(**sums)


def counts(name: str, of: Figures) -> tuple[int, int]:
    """Events and sample of a rate: bounces of what was delivered or bounced, and so on."""
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


def above(name: str, of: Figures, limit: float, z: float, policy: DecisionPolicy = DEFAULTS) -> bool:
    """Whether evidence shows a rate above a limit."""
    k, n = counts(name, of)
    least = policy.evidence_complaints if name == "complaint" else policy.evidence_events
    return n >= policy.evidence_sample and k >= least and bounds(name, of, z)[0] > limit


def decide(
    progress: Progress, history: Sequence[Day], sending_day: bool = True, policy: DecisionPolicy = DEFAULTS
) -> Verdict:
    """Close the day ``progress.day``.

    Args:
        progress: state of the day that ends.
        history: figures of the days so far, one entry a day, also of days at rest; oldest first, the day that ends
            last; at most 30 are read.
        sending_day: mail was planned on that day.
        policy: limits and evidence.
    """
    return _Close(progress, list(history), sending_day, policy).verdict()


class _Close:
    """One day that ends, with the days that still count against the ramp."""

    def __init__(self, progress: Progress, history: list[Day], sending_day: bool, policy: DecisionPolicy) -> None:
        self._before = progress
        self._now = progress.model_copy(update={"behind": dict(progress.behind)})
        self._policy = policy
        self._limits = limits(policy)
        self._sending_day = sending_day
        self._told = ""
        self._today = total(history[-1:])
        self._recent = _since(history, progress.day, progress.fresh_from)
        self._unjudged = _since(history, progress.day, progress.judged_until)

    def verdict(self) -> Verdict:
        now, plan = self._now, self._now.plan
        stopped = self._stop()
        if stopped:
            now.fresh_from = now.judged_until = now.day + 1
            return self._say(Decision.STOP, stopped)
        slow = self._back()
        if slow:
            lowest = now.step == 0
            now.step, now.held_days, now.fresh_from = max(0, now.step - 1), 0, now.day + 1
            then = (
                f"It stays on the first step, {now.cap:,} a day." if lowest else f"One step down to {now.cap:,} a day."
            )
            return self._say(Decision.STEP_BACK, f"{slow} {then}")
        holding = self._providers_fall_behind()
        if self._today.attempted == 0:
            return self._idle()
        now.idle_days = 0
        held = self._holding()
        if held:
            return self._say(Decision.HOLD, held)
        if self._today.attempted < plan.bounds.warmup_enough_sent * self._before.cap:
            enough = f"{plan.bounds.warmup_enough_sent:.0%}".replace("%", " %")
            why = (
                f"{self._today.attempted:,} of {self._before.cap:,} were sent; "
                f"a day under {enough} does not advance the ramp."
            )
            return self._say(Decision.HOLD, why)
        now.held_days += 1
        if now.held_days < plan.pace():
            return self._say(Decision.HOLD, f"Day {now.held_days} of {plan.pace()} on this step went well.")
        now.held_days = 0
        if now.step >= len(plan.ladder()) - 1:
            why = f"A full day at the target of {plan.target:,} went well: the IP is warm."
            return self._say(Decision.GRADUATE, why)
        now.step += 1
        told = self._providers_hold(holding)
        return self._say(
            Decision.GROW, f"No rate is shown to be too high; the cap grows to {now.cap:,}.{self._told}{told}"
        )

    def _say(self, decision: Decision, reason: str) -> Verdict:
        self._now.decision, self._now.reason = decision, reason
        return Verdict(decision=decision, reason=reason, progress=self._now)

    def _stop(self) -> str:
        """Deterministic signs and the two stop lines, on days that nobody has judged yet."""
        policy, z = self._policy, self._policy.evidence_z_stop
        today = self._today if self._unjudged else Figures()
        if today.blocked:
            return f"A mailbox provider blocked the IP ({today.blocked:,} replies)."
        if above("bounce", today, policy.decision_bounce_stop_day, z, policy):
            limit = _percent(policy.decision_bounce_stop_day)
            return f"{_words('bounce', today)} in a day, shown to be above {limit}."
        few = total(self._unjudged[-policy.decision_bounce_stop_days :])
        if above("bounce", few, policy.decision_bounce_stop, z, policy):
            limit, days = _percent(policy.decision_bounce_stop), policy.decision_bounce_stop_days
            return f"{_words('bounce', few)} over {days} days, shown to be above {limit}."
        month = total(self._unjudged[-policy.decision_complaint_days :])
        if above("complaint", month, policy.decision_complaint_stop, z, policy):
            return f"{_words('complaint', month)}, shown to be above {_percent(policy.decision_complaint_stop)}."
        return ""

    def _back(self) -> str:
        limited = total(self._recent[-1:]).limited
        if limited:
            return f"A mailbox provider limits the rate of the IP ({limited:,} replies)."
        slow = self._rate("back")
        return slow[1] if slow else ""

    def _rate(self, kind: str, only: MailboxProvider | None = None) -> tuple[str, str] | None:
        sums = {window: total(self._recent[-window:], only) for window in {limit.window for limit in self._limits}}
        for limit in self._limits:
            figures = sums[limit.window]
            bar = limit.back if kind == "back" else limit.hold
            if above(limit.name, figures, bar, self._policy.evidence_z_warn, self._policy):
                return limit.name, f"{_words(limit.name, figures)}, shown to be above {bar:.1%}."
        return None

    def _holding(self) -> str:
        """Hysteresis: a hold ends when the upper bound is under its limit, or after 7 clean days."""
        now, days = self._now, self._policy.decision_clean_days
        found = self._rate("hold")
        if found:
            now.holding = found[0]
            return f"{found[1]} The cap stays."
        limit = next((one for one in self._limits if one.name == now.holding), None)
        if limit is None:
            return ""
        rates = [counts(limit.name, total([day])) for day in self._recent[-days:]]
        clean = len(rates) == days and all(n > 0 and k / n <= limit.hold for k, n in rates)
        figures = total(self._recent[-limit.window :])
        if clean or bounds(limit.name, figures, self._policy.evidence_z_warn)[1] < limit.hold:
            now.holding = ""
            return ""
        return f"{_words(limit.name, figures)}; it held the ramp and is not shown to be under {limit.hold:.1%} yet."

    def _providers_fall_behind(self) -> list[MailboxProvider]:
        """A provider with too high a rate of its own falls behind alone; a clean one catches up.

        Answers those that are neither: their own rate holds them where they are.
        """
        now, held = self._now, []
        self._told = ""
        seen = {provider for day in self._recent for provider in day}
        for provider in MailboxProvider:
            found = self._rate("back", provider) if provider in seen else None
            if found:
                now.behind[provider] = min(now.behind.get(provider, 0) + 1, max(1, now.step))
                self._told += f" {provider}: {found[1]} Its cap is one step lower."
            elif provider in seen and self._rate("hold", provider):
                held.append(provider)
            elif now.behind.get(provider):
                now.behind[provider] -= 1
        now.behind = {one: steps for one, steps in now.behind.items() if steps}
        return held

    def _providers_hold(self, held: list[MailboxProvider]) -> str:
        """The ramp grew: a provider whose rate holds it stays at its level, one step further behind."""
        for provider in held:
            self._now.behind[provider] = self._now.behind.get(provider, 0) + 1
        return "".join(f" {provider} stays at its level: its own rate is in the holding band." for provider in held)

    def _idle(self) -> Verdict:
        """No mail: missing data keeps the state, long rest loses the level."""
        now, bounds_ = self._now, self._now.plan.bounds
        now.idle_days += 1
        if now.idle_days >= bounds_.warmup_idle_restart_days:
            now.step, now.idle_days, now.held_days = 0, 0, 0
            now.fresh_from = now.day + 1
            why = f"No mail for {bounds_.warmup_idle_restart_days} days: the warm-up starts again."
            return self._say(Decision.RESTART, why)
        if now.idle_days % bounds_.warmup_idle_decay_days == 0 and now.step:
            now.step, now.held_days = now.step - 1, 0
            return self._say(Decision.DECAY, f"No mail for {now.idle_days} days: one step down to {now.cap:,}.")
        why = "No figures came in; the state is unknown and stays." if self._sending_day else "No sending day."
        return self._say(Decision.HOLD, why)


def _since(history: list[Day], day: int, first: int) -> list[Day]:
    """The days of a history that ends with ``day``, from day number ``first`` on."""
    count = max(0, day + 1 - first)
    return history[len(history) - min(count, len(history)) :]


def _words(name: str, of: Figures) -> str:
    k, n = counts(name, of)
    return f"The {name} rate is {k / n:.1%} ({k:,} of {n:,})" if n else f"The {name} rate is unknown"


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"
