"""Repository of scores and listings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.blocklists import State, ZoneAnswer, echo_seconds
from domain.reputation import Score
from store.instants import now
from store.tables.events import Figure
from store.tables.ips import Ip
from store.tables.reputation import Listing, Reputation, ReputationPoint


async def get(session: AsyncSession, address: str) -> Reputation | None:
    """The present score, or None before the first look."""
    return await session.get(Reputation, address)


async def listings(session: AsyncSession, address: str, *, open_only: bool = True) -> Sequence[Listing]:
    """Stays on lists, newest first."""
    query = select(Listing).where(col(Listing.address) == address).order_by(col(Listing.first_seen).desc())
    if open_only:
        query = query.where(col(Listing.cleared_at).is_(None))
    return (await session.exec(query)).all()


async def listed(session: AsyncSession, addresses: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
    """The lists that each of these addresses stands on now, and whether that is confirmed; others are absent."""
    query = (
        select(Listing.address, Listing.zone, Listing.confirmed_at)
        .where(col(Listing.address).in_(addresses), col(Listing.cleared_at).is_(None))
        .order_by(col(Listing.first_seen))
    )
    found: dict[str, list[tuple[str, bool]]] = {}
    for address, zone, confirmed_at in await session.exec(query):
        found.setdefault(address, []).append((zone, confirmed_at is not None))
    return found


async def trend(session: AsyncSession, address: str, limit: int = 500) -> list[ReputationPoint]:
    """Scores over time, oldest first."""
    query = (
        select(ReputationPoint)
        .where(col(ReputationPoint.address) == address)
        .order_by(col(ReputationPoint.at).desc())
        .limit(limit)
    )
    return list(reversed((await session.exec(query)).all()))


async def see(
    session: AsyncSession, address: str, answers: list[ZoneAnswer], *, gap_seconds: float
) -> tuple[list[ZoneAnswer], float | None]:
    """Write down a look; the listings confirmed by two looks, and in how many seconds to look again.

    A second look counts once the first answer has left every cache, and ``gap_seconds`` have passed. None
    when no listing waits. A look that is unknown changes nothing: it neither lists nor clears.
    """
    moment = now()
    present = {row.zone: row for row in await listings(session, address)}
    again: list[float] = []
    for answer in answers:
        row = present.get(answer.zone)
        if answer.state is State.LISTED:
            if row is None:
                row = present[answer.zone] = Listing(address=address, zone=answer.zone, first_seen=moment)
                first = answer
            else:
                first = ZoneAnswer.model_validate(row.answer)
            if row.confirmed_at is None:
                left = max(gap_seconds, echo_seconds(first)) - (moment - row.first_seen).total_seconds()
                if left <= 0 and row.first_seen < moment:
                    row.confirmed_at = moment
                else:
                    # What a cache repeats in between says nothing of when the first answer ends.
                    answer = answer.model_copy(update={"ttl": first.ttl})
                    again.append(max(left, 0.0))
            row.answer, row.last_seen = answer.model_dump(mode="json"), moment
            session.add(row)
        elif row is not None and answer.state is not State.UNKNOWN:
            row.cleared_at = moment
            session.add(row)
    await session.flush()
    open_rows = [row for row in present.values() if row.cleared_at is None and row.confirmed_at is not None]
    return [ZoneAnswer.model_validate(row.answer) for row in open_rows], max(again, default=None)


async def figures_until(session: AsyncSession, address: str) -> int | None:
    """Start of the youngest slice of figures, epoch milliseconds; None before any mail."""
    query = select(sa.func.max(col(Figure.slice_ms))).where(col(Figure.address) == address)
    return (await session.exec(query)).one()


async def write(session: AsyncSession, address: str, answers: list[ZoneAnswer], result: Score) -> Reputation:
    """Write the score where lists, pages and the trend read it."""
    moment = now()
    row = await session.get(Reputation, address) or Reputation(address=address)
    latest = (await trend(session, address, 1))[-1:]
    if not latest or latest[0].score != result.score or moment - latest[0].at >= dt.timedelta(hours=1):
        session.add(ReputationPoint(address=address, at=moment, score=result.score, band=result.band))
    row.score, row.band, row.reason, row.checked_at = result.score, result.band, result.reason, moment
    row.components = [part.model_dump(mode="json") for part in result.components]
    row.answers = [one.model_dump(mode="json") for one in answers]
    row.lines = list(result.lines)
    session.add(row)
    ip = await session.get(Ip, address)
    if ip is not None:
        ip.score, ip.band, ip.scored_at = result.score, result.band, moment
        session.add(ip)
    await session.flush()
    return row
