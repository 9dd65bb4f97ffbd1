"""Rates of what happened to mail, by the definitions that the daily decision uses, too."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

from domain.figures import Figures


class By(StrEnum):
    """What figures are taken apart by."""

    IP = "ip"
    PROVIDER = "provider"
    SENDER = "sender"
    CAMPAIGN = "campaign"


class Rates(BaseModel):
    """Parts of one; null where there is nothing to take a part of."""

    delivery: float | None = Field(description="Delivered of attempted.")
    bounce: float | None = Field(description="Address-hard bounces of recipients with a final answer.")
    block: float | None = Field(description="Replies that block the IP, of attempts.")
    deferral: float | None = Field(description="Recipients deferred at least once, of attempts.")
    complaint: float | None = Field(description="Spam complaints of delivered.")


def rates(figures: Figures) -> Rates:
    """The rates of some figures; none is past the whole, also where a result stands apart from its attempt."""
    figures = figures.with_attempts()
    return Rates(
        delivery=_part(figures.delivered, figures.attempted),
        bounce=_part(figures.bounced, figures.delivered + figures.bounced),
        block=_part(figures.blocked, figures.attempted),
        deferral=_part(figures.deferred, figures.attempted),
        complaint=_part(figures.complained, figures.delivered),
    )


def _part(part: int, whole: int) -> float | None:
    return part / whole if whole else None


#: Points of a line over time; a screen shows no more.
POINTS = 60


class Step(StrEnum):
    """How long one point of a line over time is, when whoever asks wants it so."""

    HOUR = "hour"
    DAY = "day"


_A_DAY = {Step.HOUR: 24, Step.DAY: 1}


def asked_ms(step: Step, day_seconds: float) -> int:
    """Length of a step; an hour is the 24th part of a day, however long that is."""
    return max(1, round(day_seconds * 1000) // _A_DAY[step])


def step_ms(from_ms: int, to_ms: int, slice_ms: int) -> int:
    """Length of one point of a line over a span: whole slices, at most :data:`POINTS` of them."""
    least = -(-(to_ms - from_ms) // POINTS)
    return max(1, -(-least // slice_ms)) * slice_ms
