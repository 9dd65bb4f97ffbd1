"""Performance: caps against what was granted of them, and what became of the mail."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.deps import AppSettings, Store, Viewer
from api.names import Address
from domain.figures import Figures
from domain.performance import By, Rates, Step, asked_ms, rates, step_ms
from domain.refusals import Refused
from domain.warmup import slice_ms
from domain.words import MailboxProvider
from store import performance

router = APIRouter(prefix="/v1/metrics", tags=["performance"])


class WindowOut(BaseModel):
    """One day of an IP: what it might send, what was granted of it, and what its warm-up made of the day."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    cap: int
    granted: int
    decision: str | None
    reason: str | None


class IpWindows(BaseModel):
    """The last days of an IP, oldest first."""

    address: str
    windows: list[WindowOut]


class CapsOut(BaseModel):
    """One entry for each IP asked for, in that order."""

    items: list[IpWindows]
    next: str | None = None


@router.get("/caps")
async def caps(
    _: Viewer,
    db: Store,
    ip: Annotated[list[Address], Query(min_length=1, max_length=500, description="IPs to show.")],
    days: Annotated[int, Query(ge=1, le=400, description="Most days of each.")] = 14,
) -> CapsOut:
    """Cap and granted of each day; an IP that never sent has none."""
    async with db.read() as session:
        found = await performance.windows(session, ip, days)
    return CapsOut(
        items=[
            IpWindows(
                address=address,
                windows=[
                    WindowOut(
                        starts_at=_at(one.starts_ms),
                        ends_at=_at(one.ends_ms),
                        cap=one.cap,
                        granted=one.granted,
                        decision=one.decision,
                        reason=one.reason,
                    )
                    for one in found.get(address, [])
                ],
            )
            for address in dict.fromkeys(ip)
        ]
    )


#: The longest span of figures that is summed at once.
LONGEST = dt.timedelta(days=400)


class PartOut(Figures):
    """Figures of one IP, mailbox provider, sender or campaign; the name is empty where the mail named none."""

    name: str
    rates: Rates


class PointOut(Figures):
    """Figures of one step of time."""

    at: dt.datetime


class WholeOut(Figures):
    """Figures of the whole span."""

    rates: Rates


class MetricsOut(BaseModel):
    """What became of the mail of a span: parts with the largest volume first, the whole, and its course."""

    since: dt.datetime
    until: dt.datetime
    by: By
    total: WholeOut
    items: list[PartOut]
    points: list[PointOut]
    step_seconds: float
    next: str | None = None


@router.get("")
async def overview(
    _: Viewer,
    db: Store,
    settings: AppSettings,
    by: By = By.IP,
    since: Annotated[dt.datetime | None, Query(description="Default: seven days before `until`.")] = None,
    until: Annotated[dt.datetime | None, Query(description="Default: now.")] = None,
    ip: Address | None = None,
    provider: MailboxProvider | None = None,
    sender: str | None = None,
    campaign: str | None = None,
    step: Annotated[
        Step | None,
        Query(
            description="Length of a point. Default: what makes at most 60 points. Of days that were "
            "summed up, all mail stands in the first hour."
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> MetricsOut:
    """What became of the mail of a span: taken apart one way, filtered by others."""
    begin, end = _span(since, until)
    given = {By.IP: ip, By.PROVIDER: provider, By.SENDER: sender, By.CAMPAIGN: campaign}
    only = {key: str(value) for key, value in given.items() if value is not None}
    from_ms, to_ms = round(begin.timestamp() * 1000), round(end.timestamp() * 1000)
    day = settings.day_seconds
    length = asked_ms(step, day) if step else step_ms(from_ms, to_ms, slice_ms(day))
    async with db.read() as session:
        parts = await performance.parts(session, by, from_ms, to_ms, only, limit)
        total = await performance.whole(session, from_ms, to_ms, only)
        line = await performance.line(session, from_ms, to_ms, length, only)
    return MetricsOut(
        since=begin,
        until=end,
        by=by,
        total=WholeOut(**total.model_dump(), rates=rates(total)),
        items=[PartOut(**figures.model_dump(), name=name, rates=rates(figures)) for name, figures in parts],
        points=[PointOut(**figures.model_dump(), at=_at(at)) for at, figures in line],
        step_seconds=length / 1000,
    )


def _span(since: dt.datetime | None, until: dt.datetime | None) -> tuple[dt.datetime, dt.datetime]:
    try:
        end = _utc(until) or dt.datetime.now(dt.UTC)
        begin = _utc(since) or end - dt.timedelta(days=7)
    except OverflowError as error:
        raise Refused("The span lies outside the calendar.", field="since", code="span") from error
    if begin >= end:
        raise Refused("`since` must lie before `until`.", field="since", code="span")
    if end - begin > LONGEST:
        raise Refused(f"At most {LONGEST.days} days are summed at once.", field="since", code="span")
    return begin, end


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    """A time without a zone is taken as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _at(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
