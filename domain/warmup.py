"""The warm-up of an IP: plan, ladder, days, and the messages of its workflow."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field

from domain import presets
from domain.policy import RampPolicy
from domain.refusals import Refused
from domain.words import DEFAULT_POOL, MailboxProvider, Stage, source_named

MAX_DAYS = 400
REAL_DAY = 86_400.0
#: Share of a day within which addresses spread their ticks, so that a fleet does not tick at midnight together.
JITTER = 0.02
#: Most slices of a day that figures are kept in: 15 minutes of a real one.
SLICES_A_DAY = 96


@lru_cache(maxsize=64)
def slice_ms(day_seconds: float) -> int:
    """Milliseconds of a slice of figures: the longest that is at most a 96th of a day and divides it exactly.

    Days of a plan begin and end between slices, so that no mail is counted to the day before or after its own.
    """
    day = max(1, round(day_seconds * 1000))
    return next(length for length in range(max(1, day // SLICES_A_DAY), 0, -1) if day % length == 0)


class WarmupPlan(BaseModel):
    """What an operator sets; checked by :meth:`checked`, which names the field at fault."""

    initial: int = Field(50, description="Cap of the first day, mails.")
    growth: float = Field(0.25, description="Growth a step, 0.20 to 0.30 (sources: docs/configuration.md).")
    step_days: int = Field(1, description="Sending days a step lasts.")
    target: int = Field(2000, description="Safe limit, mails a day.")
    sending_days: list[int] = Field(default_factory=lambda: list(range(7)), description="0 is Monday.")
    shares: dict[MailboxProvider, float] = Field(
        default_factory=dict, description="Part of the cap a mailbox provider may get, 0 to 1."
    )
    preset: str | None = None
    time_zone: str = "UTC"
    day_seconds: float = REAL_DAY
    bounds: RampPolicy = Field(default_factory=RampPolicy, description="The installation's bounds and pace.")

    def checked(self) -> WarmupPlan:
        """This plan, when it can be run.

        Raises:
            Refused: names the field and the fix.
        """
        preset = presets.get(self.preset) if self.preset else None
        free = bool(preset and preset.ladder)
        bounds = self.bounds
        least, most = bounds.warmup_initial_least, bounds.warmup_initial_most
        if not free and not least <= self.initial <= most:
            _refuse(
                "initial", f"{self.initial:,} mails on the first day; give {least:,} to {most:,}, or choose a preset."
            )
        slow, fast = bounds.warmup_growth_least, bounds.warmup_growth_most
        if not slow <= self.growth <= fast:  # with a preset too: past its last step the ladder grows by it
            given = f"{100 * self.growth:.4g} %" if math.isfinite(self.growth) else f"{self.growth}"
            _refuse(
                "growth",
                f"Growth of {given} a step; give {100 * slow:g} % to {100 * fast:g} % ({slow:.2f} to {fast:.2f}).",
            )
        if not 1 <= self.step_days <= 30:
            _refuse("step_days", f"{self.step_days} days a step; give 1 to 30.")
        first = preset.ladder[0] if preset and preset.ladder else self.initial
        if self.target < first:
            _refuse("target", f"The target of {self.target:,} is under the initial cap of {first:,}; raise it.")
        if self.target > 10_000_000:
            _refuse("target", f"The target of {self.target:,} is past 10,000,000 mails a day; lower it.")
        if not self.sending_days or not set(self.sending_days) <= set(range(7)):
            _refuse("sending_days", "Name at least one sending day, 0 (Monday) to 6 (Sunday).")
        if any(not 0 <= share <= 1 for share in self.shares.values()):
            _refuse("shares", "Each provider's share lies between 0 and 1.")
        together, enough = sum(self.shares.values()), bounds.warmup_enough_sent
        if len(self.shares) == len(MailboxProvider) and together < enough:
            _refuse(
                "shares",
                f"The shares of all providers are {100 * together:g} % of the cap together: no day can send the "
                f"{100 * enough:g} % that it takes to go on; raise them, or leave one out.",
            )
        if not math.isfinite(self.day_seconds) or self.day_seconds <= 0:
            _refuse("day_seconds", "A day lasts longer than 0 seconds.")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            _refuse("time_zone", f"{self.time_zone!r} is no time zone; give one such as UTC or Europe/Berlin.")
        days = math.ceil(len(self.ladder()) * self.pace() * 7 / len(set(self.sending_days)))
        if days > MAX_DAYS:
            _refuse("step_days", f"This plan takes {days} days; at most {MAX_DAYS}: shorten the step.")
        return self

    def pace(self) -> int:
        """Sending days a step lasts, by the preset if that says more."""
        preset = presets.PRESETS.get(self.preset or "")
        return max(self.step_days, preset.step_days) if preset else self.step_days

    def ladder(self) -> list[int]:
        """Caps of the steps, ending at the target without a jump past one growth step."""
        return list(_ladder(self.initial, self.growth, self.target, self.preset or ""))

    def cap(self, step: int) -> int:
        """Cap of a step, mails a day; past the last it is the target."""
        ladder = _ladder(self.initial, self.growth, self.target, self.preset or "")
        return ladder[max(0, min(step, len(ladder) - 1))]

    def hourly_cap(self, step: int) -> int:
        """Mails of one hour: a fifth of the day's cap, or what an hourly ladder publishes."""
        preset = presets.PRESETS.get(self.preset or "")
        parts = 24 if preset and preset.hourly else self.bounds.warmup_hourly_part
        return -(-self.cap(step) // parts)

    def carried_step(self, step: int, idle_days: int) -> int:
        """The step whose cap holds from the end of a day until its decision is made.

        The lowest that the decision may lead to, so that mail granted before a late decision never passes the
        cap that it sets.
        """
        if idle_days + 1 >= self.bounds.warmup_idle_restart_days:
            return 0
        return max(0, step - 1)

    def by_provider(self, step: int, behind: dict[MailboxProvider, int] | None = None) -> dict[MailboxProvider, int]:
        """Caps by mailbox provider; one that stands ``behind`` gets its share of a lower step."""
        late = behind or {}
        return {
            one: math.ceil(self.cap(step - late.get(one, 0)) * self.shares.get(one, 1.0))
            for one in MailboxProvider
            if one in self.shares or late.get(one, 0)
        }

    def day_bounds(self, started: dt.datetime, day: int) -> tuple[dt.datetime, dt.datetime]:
        """First instant of the plan's day ``day`` (0 is the day it starts) and of the next.

        A real day is a calendar day of the time zone, so that it may last 23 or 25 hours; a short one
        counts from the slice of figures that the start lies in.
        """
        if self.day_seconds == REAL_DAY:
            zone = ZoneInfo(self.time_zone)
            date = started.astimezone(zone).date() + dt.timedelta(days=day)
            ends = dt.datetime.combine(date + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC)
            begins = dt.datetime.combine(date, dt.time(), zone).astimezone(dt.UTC)
            return begins, ends
        length, piece = max(1, round(self.day_seconds * 1000)), slice_ms(self.day_seconds)
        first = round(started.timestamp() * 1000) // piece * piece
        begins, ends = (
            dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=first + number * length)
            for number in (day, day + 1)
        )
        return begins, ends

    def day_at(self, started: dt.datetime, day: int, now: dt.datetime) -> int:
        """The day that an instant lies in, counted on from a day that is not after it."""
        while self.day_bounds(started, day)[1] <= now:
            day += max(1, int((now - started).total_seconds() / self.day_seconds) - day - 1)
        return day

    def date(self, started: dt.datetime, day: int) -> dt.date:
        """Calendar date of a day; short days are numbered on from the date of the start."""
        return started.astimezone(ZoneInfo(self.time_zone)).date() + dt.timedelta(days=day)

    def sends_on(self, started: dt.datetime, day: int) -> bool:
        """Whether mail is planned on that day."""
        return self.date(started, day).weekday() in self.sending_days


@lru_cache(maxsize=1024)
def _ladder(initial: int, growth: float, target: int, preset: str) -> tuple[int, ...]:
    """A preset's published steps as far as they go, then growth; asked for many times a day, so kept."""
    published = presets.PRESETS[preset].ladder if preset in presets.PRESETS else []
    caps = [cap for cap in published if cap < target]
    if caps and len(caps) < len(published):
        return (*caps, target)
    cap = caps[-1] * (1 + growth) if caps else float(initial)
    while cap < target and len(caps) <= MAX_DAYS:
        caps.append(math.floor(cap))
        cap *= 1 + growth
    return (*caps, target)


def _refuse(field: str, detail: str) -> None:
    raise Refused(detail, field=field, code="out_of_bounds")


def jitter_seconds(address: str, day_seconds: float) -> float:
    """How long after the end of a day an address ticks; the same every day."""
    part = int.from_bytes(hashlib.sha256(address.encode()).digest()[:4]) / 2**32
    return part * JITTER * day_seconds


class WarmupState(StrEnum):
    """Where a warm-up stands."""

    WARMING = "warming"
    PAUSED = "paused"
    STOPPED = "stopped"
    GRADUATED = "graduated"
    COMPLETED = "completed"


class WarmupInput(BaseModel):
    """What a warm-up starts from."""

    address: str
    plan: WarmupPlan
    step: int = Field(0, ge=0, description="Step to start at; a repair starts from a remembered level.")
    pool: str = DEFAULT_POOL
    sender: str | None = None
    troubled: bool = Field(False, description="The IP was at risk when it was told to start.")


class WarmupResult(BaseModel):
    """How a warm-up ended."""

    address: str
    outcome: WarmupState
    reason: str
    step: int
    cap: int
    stage: Stage = Stage.FULL_CAPACITY


class StopSignal(BaseModel):
    """A deterministic alarm: mail of the IP stops at once."""

    reason: str
    source: str = "alert"

    def told(self) -> str:
        """The reason with who raised it, named once."""
        named = source_named(self.source)
        told = self.source in self.reason or named in self.reason
        return self.reason if told else f"{self.reason} (from {named})"


class Pause(BaseModel):
    """Rest; the level stays and decays after 30 days."""

    reason: str = ""


class Resume(BaseModel):
    """Go on after a pause or a stop."""

    reason: str = ""


class Complete(BaseModel):
    """Declare the IP warm: the cap becomes the target."""

    reason: str = ""


class Restart(BaseModel):
    """Go on from a step, also after a stop."""

    step: int = 0
    reason: str = ""


class Adjust(BaseModel):
    """Another plan from the next cap on; the level is kept as near as the new ladder allows."""

    plan: WarmupPlan
    reason: str = ""


class Progress(BaseModel):
    """The whole state of a warm-up; what queries answer and what one day hands to the next."""

    plan: WarmupPlan
    state: WarmupState = WarmupState.WARMING
    started: dt.datetime
    day: int = 0
    step: int = 0
    held_days: int = Field(0, description="Full sending days on this step.")
    idle_days: int = 0
    fresh_from: int = Field(0, description="First day that counts: the same mail is not held against it twice.")
    judged_until: int = Field(0, description="Days before this one led to a stop; who resumes has judged them.")
    holding: str = Field("", description="The rate that holds the ramp, until it is cleared.")
    behind: dict[MailboxProvider, int] = Field(default_factory=dict)
    decision: str = "start"
    reason: str = "The warm-up starts."

    @property
    def cap(self) -> int:
        """Cap of the present step."""
        return self.plan.cap(self.step)
