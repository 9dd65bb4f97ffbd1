"""Repository of warm-ups: the state for lists and pages, and the closed days."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.figures import Figures
from domain.warmup import Progress
from domain.words import MailboxProvider
from store import events
from store.tables.warmup import WarmupDay, WarmupRow


async def get(session: AsyncSession, address: str) -> tuple[Progress, str] | None:
    """The state of an IP's newest warm-up and the run that wrote it, or None before the first."""
    row = await session.get(WarmupRow, address)
    return (Progress.model_validate(row.progress), row.run) if row else None


async def save(session: AsyncSession, address: str, run: str, progress: Progress) -> None:
    """Write the state; the same again changes nothing."""
    row = await session.get(WarmupRow, address)
    if row is None:
        row = WarmupRow(address=address, progress={})
    row.run, row.progress = run, progress.model_dump(mode="json")
    session.add(row)
    await session.flush()


async def closed(session: AsyncSession, address: str, run: str, day: int) -> WarmupDay | None:
    """A day that was closed before."""
    return await session.get(WarmupDay, (address, run, day))


async def add_day(session: AsyncSession, day: WarmupDay) -> None:
    """Write down a closed day."""
    session.add(day)
    await session.flush()


async def history(
    session: AsyncSession, address: str, *, run: str | None = None, limit: int = 30
) -> Sequence[WarmupDay]:
    """The last closed days, oldest first."""
    query = select(WarmupDay).where(col(WarmupDay.address) == address)
    if run is not None:
        query = query.where(col(WarmupDay.run) == run)
    rows = (await session.exec(query.order_by(col(WarmupDay.starts_ms).desc()).limit(limit))).all()
    return rows[::-1]


async def freshen(session: AsyncSession, address: str, run: str, limit: int) -> Sequence[WarmupDay]:
    """The last closed days of a run with their figures as they are now, oldest first.

    What is booked on the day that mail was sent (a complaint, a late result) comes after that day was closed:
    the days are summed again and written down where they changed.
    """
    rows = await history(session, address, run=run, limit=limit)
    if not rows:
        return rows
    spans = [(row.starts_ms, row.ends_ms) for row in rows]
    for row, found in zip(rows, await events.sums_of_spans(session, address, spans), strict=True):
        figures = {str(provider): sums.model_dump() for provider, sums in found.items()}
        known: dict[MailboxProvider, Figures] = {
            MailboxProvider(name): Figures.model_validate(one) for name, one in row.figures.items()
        }
        if known != found:
            row.figures = figures
            session.add(row)
    await session.flush()
    return rows
