"""Where a plan leads: the cap of each day and when the target is reached, with a range."""

from __future__ import annotations

import datetime as dt
import random

from pydantic import BaseModel

from domain.warmup import MAX_DAYS, Progress, WarmupPlan
from domain.words import MailboxProvider

#: Chance that a sending day holds the step. An assumption, not a published number: senders fall short of
#: 90 % of the cap about one day in ten, and more than three in ten stop being a warm-up.
HOLD_LOW, HOLD_HIGH = 0.0, 0.25
RUNS = 200


class ForecastDay(BaseModel):
    """One day of the plan, when no day holds it."""

    day: int
    date: dt.date
    cap: int
    by_provider: dict[MailboxProvider, int]


class Finish(BaseModel):
    """Dates on which the target is reached: at best, most likely, with setbacks."""

    p10: dt.date
    p50: dt.date
    p90: dt.date


class Forecast(BaseModel):
    """A plan day by day."""

    days: list[ForecastDay]
    finish: Finish


def forecast(plan: WarmupPlan, begin: dt.datetime, now: Progress | None = None) -> Forecast:
    """The future of a plan from ``begin``, or of a warm-up from where it stands."""
    started = now.started if now else begin
    day, step = (now.day, now.step) if now else (0, 0)
    last, pace, days = len(plan.ladder()) - 1, plan.pace(), []
    held, at, level = now.held_days if now else 0, day, step
    while at - day <= 2 * MAX_DAYS:
        sends = plan.sends_on(started, at)
        days.append(
            ForecastDay(
                day=at + 1, date=plan.date(started, at), cap=plan.cap(level) if sends else 0,
                by_provider=plan.by_provider(level) if sends else {},
            )
        )  # fmt: skip
        if sends:
            if level == last:
                break
            held += 1
            if held >= pace:
                level, held = level + 1, 0
        at += 1
    ends = sorted(_finish(plan, started, day, (last - step) * pace, seed) for seed in range(RUNS))
    p10, p50, p90 = (plan.date(started, ends[int(part * (RUNS - 1))]) for part in (0.1, 0.5, 0.9))
    return Forecast(days=days, finish=Finish(p10=p10, p50=p50, p90=p90))


def _finish(plan: WarmupPlan, started: dt.datetime, day: int, needed: int, seed: int) -> int:
    chance = random.Random(seed)
    hold = chance.uniform(HOLD_LOW, HOLD_HIGH)
    while needed > 0 or not plan.sends_on(started, day):
        if plan.sends_on(started, day) and chance.random() >= hold:
            needed -= 1
        day += 1
    return day
