"""Repository of warm-ups: the state for lists and pages, and the closed days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.figures import Figures
from domain.warmup import Progress, WarmupState
from domain.words import MailboxProvider
from store import events, ledger
from store.tables.warmup import WarmupDay, WarmupRow

#: What stands in place of a decision for a day that was never closed, and why it was not.
REST = "rest"
AT_REST = "Nothing was decided: the warm-up stood still when this day ended, or was restarted just after it."


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


async def with_rests(session: AsyncSession, address: str, at: dt.datetime, limit: int) -> Sequence[WarmupDay]:
    """:func:`history` of all runs, with the days that were never closed because the warm-up stood still.

    Nothing of them is stored. What was sent on them stands as their cap.
    """
    rows = list(await history(session, address, limit=limit))
    found = await get(session, address)
    runs = {row.run: Progress.model_validate(row.after) for row in rows}
    ends = {row.run: row.day for row in rows}
    if found is not None:
        now, run = found
        still = now.state in (WarmupState.PAUSED, WarmupState.STOPPED)
        runs[run], ends[run] = now, now.plan.day_at(now.started, now.day, at) if still else now.day
    rests: list[WarmupDay] = []
    for run, progress in runs.items():
        closed_ = {row.day: row for row in rows if row.run == run}
        begins = min(closed_) if closed_ and len(rows) == limit else 0
        open_ = [day for day in range(begins, ends[run]) if day not in closed_][-limit:]
        spans = [tuple(map(_ms, progress.plan.day_bounds(progress.started, day))) for day in open_]
        caps = await ledger.granted_from(session, address, [starts for starts, _ in spans])
        sums = await events.sums_of_spans(session, address, [(starts, end) for starts, end in spans])
        for day, (starts, end), figures in zip(open_, spans, sums, strict=True):
            before = [row.step for number, row in closed_.items() if number < day]
            granted = caps.get(starts, 0)
            rests.append(
                WarmupDay(
                    address=address, run=run, day=day, starts_ms=starts, ends_ms=end,
                    date=progress.plan.date(progress.started, day).isoformat(),
                    step=before[-1] if before else progress.step, cap=granted, granted=granted,
                    figures={str(one): found.model_dump() for one, found in figures.items()},
                    decision=REST, reason=AT_REST, after={},
                )
            )  # fmt: skip
    return sorted([*rows, *rests], key=lambda row: row.starts_ms)[-limit:]


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


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
