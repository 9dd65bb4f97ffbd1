"""The score of an IP, 0-100, from components that each say how much they know.

A component without enough sample or without an answer has no value: it lowers what is known, it is never
shown as good. Thresholds come from the settings, which name their sources.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from pydantic import BaseModel, Field

from domain.blocklists import MATTERS, State, Weight, ZoneAnswer
from domain.evidence import clopper_pearson, wilson
from domain.figures import Figures
from domain.policy import RiskPolicy
from domain.words import Band

DEFAULTS = RiskPolicy()
#: Share of the weights that must be known before a score is called green or yellow.
MIN_KNOWN = 0.5
#: Rates at which blocks leave 80 and 0 of their component, and at which deferrals, which stop no mail, leave 0: choices
#: of this project.
BLOCKS, WORST_DEFERRAL = (0.001, 0.05), 0.30
#: Highest score that a confirmed listing of a weight leaves.
CEILING = {Weight.CRITICAL: 10, Weight.HIGH: 40, Weight.MEDIUM: 65, Weight.LOW: 90}


class Line(StrEnum):
    """A line over which an IP is at risk."""

    CRITICAL_LISTING = "critical_listing"
    LISTING = "listing"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    BLOCK = "block"
    ENGAGEMENT = "engagement"


class Engagement(BaseModel):
    """How mail is read: one day, the three days before it, and the week before it."""

    today: Figures = Figures()
    before: Figures = Figures()
    week_before: Figures = Figures()


class Component(BaseModel):
    """One part of a score."""

    name: str
    value: int | None = Field(None, description="0-100; null is unknown.")
    weight: int
    sample: int = Field(0, description="Lists that answered, or recipients counted.")
    age: float | None = Field(None, description="Seconds since the youngest datum; null without any.")
    note: str = ""


class Score(BaseModel):
    """What is known of an IP's reputation."""

    score: int | None
    band: Band
    components: list[Component]
    lines: list[Line] = []
    reason: str = ""


def _graded(rate: float, hold: float, stop: float) -> int:
    """100 at no trouble, 80 where the daily decision holds, 0 where it stops."""
    if rate <= hold:
        return round(100 - 20 * rate / hold)
    return max(0, round(80 * (stop - rate) / (stop - hold)))


def _rate(
    name: str, weight: int, hits: int, total: int, hold: float, stop: float, age: float | None, least: int
) -> Component:
    if total < least:
        return Component(
            name=name, weight=weight, sample=total, age=age, note=f"Fewer than {least} recipients: unknown."
        )
    rate = hits / total
    return Component(
        name=name, value=_graded(rate, hold, stop), weight=weight, sample=total, age=age, note=f"{rate:.2%}"
    )


def _lists(answers: list[ZoneAnswer], confirmed: list[ZoneAnswer], age: float | None) -> Component:
    answers = [one for one in answers if one.weight is not Weight.ALLOW]  # a silent allow list hides no listing
    answered = [one for one in answers if one.state is not State.UNKNOWN]
    acting = [one for one in confirmed if one.acts]
    component = Component(name="blocklists", weight=40, sample=len(answered), age=age)
    if acting:
        component.value = min(CEILING.get(one.weight, 100) for one in acting)
        component.note = " ".join(one.reason for one in acting)
    elif any(one.state is State.UNKNOWN and one.weight is Weight.CRITICAL for one in answers) or (
        2 * len(answered) < len(answers) or not answers
    ):
        component.note = "The lists that matter gave no answer: unknown."
    else:
        component.value, component.note = 100, "No confirmed listing."
    return component


def score(
    answers: list[ZoneAnswer],
    confirmed: list[ZoneAnswer],
    week: Figures,
    month: Figures,
    three_days: Figures,
    *,
    lists_age: float | None = 0.0,
    figures_age: float | None = None,
    standing: Collection[str] = (),
    engagement: Engagement | None = None,
    policy: RiskPolicy = DEFAULTS,
) -> Score:
    """The score of one IP.

    Args:
        answers: what the lists said at the last look.
        confirmed: listings seen by two looks.
        week: figures of 7 days; ``month``: of 30 days (complaints); ``three_days``: for At risk.
        lists_age: seconds since the lists were read.
        figures_age: seconds since the last figure.
        standing: lines that held at the look before; they take more evidence to go than to stay away.
        engagement: opens and replies, where a source reports them.
    """
    least = policy.evidence_sample
    final = week.delivered + week.bounced
    bounce = policy.decision_bounce_hold, policy.decision_bounce_stop_day
    complaint = policy.decision_complaint_hold, policy.decision_complaint_stop
    deferral = policy.decision_deferral_hold, max(WORST_DEFERRAL, 2 * policy.decision_deferral_hold)
    parts = [
        _lists(answers, confirmed, lists_age),
        _rate("bounces", 20, week.bounced, final, *bounce, figures_age, least),
        _rate("complaints", 20, month.complained, month.delivered, *complaint, figures_age, least),
        _rate("blocks", 10, week.blocked, week.attempted, *BLOCKS, figures_age, least),
        _rate("deferrals", 10, week.deferred, week.attempted, *deferral, figures_age, least),
    ]
    lines = lines_over(confirmed, week, month, three_days, standing=standing, engagement=engagement, policy=policy)
    known = [(part.value, part.weight) for part in parts if part.value is not None]
    weight = sum(one for _, one in known)
    ceiling = min([CEILING.get(one.weight, 100) for one in confirmed if one.acts], default=100)
    if lines:
        ceiling = min(ceiling, 59)
    total = sum(part.weight for part in parts)
    if not lines and (weight < MIN_KNOWN * total or parts[0].value is None):
        return Score(score=None, band=Band.UNKNOWN, components=parts, reason="Too little is known to score.")
    mean = sum(value * one for value, one in known) / weight if weight else 0
    result = min(ceiling, round(mean))
    band = Band.RED if result < 60 else Band.YELLOW if result < 80 else Band.GREEN
    return Score(score=result, band=band, components=parts, lines=lines, reason=describe(lines, confirmed, policy))


def lines_over(
    confirmed: list[ZoneAnswer],
    week: Figures,
    month: Figures,
    three_days: Figures,
    *,
    standing: Collection[str] = (),
    engagement: Engagement | None = None,
    policy: RiskPolicy = DEFAULTS,
) -> list[Line]:
    """Which At risk lines hold, by evidence; the deterministic ones act at once.

    A line of ``standing`` goes only by evidence of its own: the upper bound under its limit, or mail for a
    whole week (complaints: 30 days) without one case. No mail at all proves nothing and keeps it.
    """
    lines: list[Line] = []
    acting = [one for one in confirmed if one.acts and one.weight in MATTERS]
    if any(one.weight is Weight.CRITICAL for one in acting):
        lines.append(Line.CRITICAL_LISTING)
    elif acting:
        lines.append(Line.LISTING)
    if _bounces(week, three_days, policy, held=Line.BOUNCE in standing):
        lines.append(Line.BOUNCE)
    if _complaints(month, policy, held=Line.COMPLAINT in standing):
        lines.append(Line.COMPLAINT)
    cleared = week.attempted > 0 and week.blocked == 0
    if three_days.blocked > 0 or (Line.BLOCK in standing and not cleared):
        lines.append(Line.BLOCK)
    if _fell(engagement or Engagement(), policy, held=Line.ENGAGEMENT in standing):
        lines.append(Line.ENGAGEMENT)
    return lines


def _bounces(week: Figures, three_days: Figures, policy: RiskPolicy, *, held: bool) -> bool:
    hits, final = three_days.bounced, three_days.delivered + three_days.bounced
    lower, upper = wilson(hits, final, policy.evidence_z_warn)
    if held:
        clean = week.delivered > 0 and week.bounced == 0
        return upper >= policy.risk_bounce and not clean
    enough = final >= policy.evidence_sample and hits >= policy.evidence_events
    return enough and lower > policy.risk_bounce


def _complaints(month: Figures, policy: RiskPolicy, *, held: bool) -> bool:
    # Two sources may count differently, and no interval exists for more cases than trials.
    hits = min(month.complained, month.delivered)
    # Complaints are rare, where Wilson's approximation is too bold: the exact bound (Clopper-Pearson).
    lower, upper = clopper_pearson(hits, month.delivered, policy.evidence_z_warn)
    if held:
        clean = month.delivered > 0 and hits == 0
        return upper >= policy.risk_complaint and not clean
    enough = month.delivered >= policy.evidence_sample and hits >= policy.evidence_complaints
    return enough and lower > policy.risk_complaint


def _fell(engagement: Engagement, policy: RiskPolicy, *, held: bool) -> bool:
    """Whether opens or replies are shown to have fallen; mail that nobody measures never falls.

    The bounds of both times must be apart, so that chance does not look like a fall. A fall that stands is
    measured against the week before, which forgets good days more slowly than the three days do.
    """
    today, z = engagement.today, policy.evidence_z_warn
    left = 1 - policy.risk_engagement_drop
    known = False
    for name in ("opened", "replied"):
        before = engagement.week_before if held else engagement.before
        hits, hits_before = (min(getattr(one, name), one.delivered) for one in (today, before))
        enough = min(today.delivered, before.delivered) >= policy.evidence_sample
        if not enough or hits_before < policy.risk_engagement_events:
            continue
        known = True
        if held and hits / today.delivered < left * hits_before / before.delivered:
            return True
        if not held and wilson(hits, today.delivered, z)[1] < left * wilson(hits_before, before.delivered, z)[0]:
            return True
    return held and not known


def describe(lines: list[Line], confirmed: list[ZoneAnswer], policy: RiskPolicy = DEFAULTS) -> str:
    """The lines in words, for people."""
    words = {
        Line.BOUNCE: f"More than {100 * policy.risk_bounce:g} % bounces over three days.",
        Line.COMPLAINT: f"More than {100 * policy.risk_complaint:g} % complaints.",
        Line.ENGAGEMENT: (
            f"Opens or replies fell by more than {100 * policy.risk_engagement_drop:g} % against the days before."
        ),
        Line.BLOCK: "A mailbox provider blocks the IP.",
    }
    listed = [one.reason for one in confirmed if one.acts and one.weight in MATTERS]
    return " ".join([*listed, *(words[line] for line in lines if line in words)])
