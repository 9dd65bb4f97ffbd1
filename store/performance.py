"""Repository of what was sent: caps against what was granted of them, and sums of what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.figures import Figures
from domain.performance import By
from store.instants import now
from store.tables.events import Figure
from store.tables.ledger import LedgerWindow
from store.tables.warmup import WarmupDay


@dataclass(frozen=True)
class Window:
    """One window of an address: what it might send and what was granted of that. Times are epoch milliseconds.

    ``decision`` and ``reason`` are those of the warm-up that closed it; None where none did.
    """

    starts_ms: int
    ends_ms: int
    cap: int
    granted: int
    decision: str | None
    reason: str | None


async def windows(session: AsyncSession, addresses: Sequence[str], most: int) -> dict[str, list[Window]]:
    """The last ``most`` windows of each address that have begun, oldest first, in one query.

    The mark of a pause is no window. The day ahead stands there beforehand, at a lower cap that nobody enforces yet.
    """
    at_ms = int(now().timestamp() * 1000)
    rank = sa.func.row_number().over(
        partition_by=col(LedgerWindow.address), order_by=col(LedgerWindow.starts_ms).desc()
    )
    ranked = (
        sa.select(
            col(LedgerWindow.address),
            col(LedgerWindow.starts_ms),
            col(LedgerWindow.ends_ms),
            col(LedgerWindow.cap),
            col(LedgerWindow.granted),
            rank.label("rank"),
        )
        .where(
            col(LedgerWindow.address).in_(addresses),
            col(LedgerWindow.starts_ms) > 0,
            col(LedgerWindow.starts_ms) <= at_ms,
        )
        .subquery()
    )
    closed = sa.and_(col(WarmupDay.address) == ranked.c.address, col(WarmupDay.starts_ms) == ranked.c.starts_ms)
    query = (
        sa.select(
            *[column for column in ranked.c if column.name != "rank"], col(WarmupDay.decision), col(WarmupDay.reason)
        )
        .outerjoin_from(ranked, WarmupDay, closed)
        .where(ranked.c.rank <= most)
        .order_by(ranked.c.address, ranked.c.starts_ms)
    )
    found: dict[str, list[Window]] = {}
    for address, *figures in await (await session.connection()).execute(query):
        found.setdefault(address, []).append(Window(*figures))
    return found


#: The column of the sums that each way of taking them apart groups by.
_COLUMN = {
    By.IP: col(Figure.address),
    By.PROVIDER: col(Figure.provider),
    By.SENDER: col(Figure.sender),
    By.CAMPAIGN: col(Figure.campaign),
}
_COUNTS = tuple(Figures.model_fields)
#: Final answers, of which a recipient has one.
_RESULTS = ("delivered", "bounced", "blocked", "failed")


async def parts(
    session: AsyncSession, by: By, from_ms: int, to_ms: int, only: dict[By, str], most: int
) -> list[tuple[str, Figures]]:
    """Figures of a span taken apart, the largest volume first.

    Args:
        only: values that a column must have.
        most: parts at most.
    """
    summed = _summed(_COLUMN[by], from_ms=from_ms, to_ms=to_ms, only=only)
    query = summed.order_by(sa.desc("attempted"), sa.asc("part")).limit(most)
    rows = await (await session.connection()).execute(query)
    return [(name, _figures(counts)) for name, *counts in rows]


async def whole(session: AsyncSession, from_ms: int, to_ms: int, only: dict[By, str]) -> Figures:
    """Figures of a span in one sum."""
    by_ip = _summed(_COLUMN[By.IP], from_ms=from_ms, to_ms=to_ms, only=only).subquery()
    query = sa.select(*[sa.func.coalesce(sa.func.sum(by_ip.c[name]), 0) for name in _COUNTS])
    return _figures((await (await session.connection()).execute(query)).one())


async def line(
    session: AsyncSession, from_ms: int, to_ms: int, step_ms: int, only: dict[By, str]
) -> list[tuple[int, Figures]]:
    """Figures of a span in steps, oldest first: where a step begins, epoch milliseconds, and its sums.

    Steps without any mail are absent.
    """
    begin = col(Figure.slice_ms) - col(Figure.slice_ms) % step_ms
    query = _summed(begin, from_ms=from_ms, to_ms=to_ms, only=only).order_by(sa.asc("part"))
    rows = await (await session.connection()).execute(query)
    return [(int(at), _figures(counts)) for at, *counts in rows]


def _summed(
    part: sa.SQLColumnExpression[Any], *, from_ms: int, to_ms: int, only: dict[By, str]
) -> sa.Select[tuple[Any, ...]]:
    """Sums by ``part``, which is their first column, however they are taken apart.

    A source that reports results but no attempts has its results counted as attempts, and one that reports deferrals
    alone its deferrals, as :meth:`Figures.with_attempts` does: that is decided once for each IP and not for each part,
    so that parts and steps add up to the whole, whatever the IPs beside it report.
    """
    address = _COLUMN[By.IP]
    sums = [sa.func.sum(col(getattr(Figure, name))).label(name) for name in _COUNTS]
    wanted = [_COLUMN[by] == value for by, value in only.items()]
    split = (
        sa.select(part.label("part"), address.label("address"), *sums)
        .where(col(Figure.slice_ms) >= from_ms, col(Figure.slice_ms) < to_ms, *wanted)
        .group_by(*dict.fromkeys((address, part)))
        .subquery()
    )
    results = sum((split.c[name] for name in _RESULTS[1:]), split.c[_RESULTS[0]])

    def of_ip(counted: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
        return sa.func.sum(counted).over(partition_by=split.c.address)

    told, ended, deferred = (of_ip(counted) for counted in (split.c.attempted, results, split.c.deferred))
    attempts = sa.case(
        (sa.and_(told >= ended, told >= deferred), split.c.attempted),
        (ended >= deferred, results),
        else_=split.c.deferred,
    )
    rows = sa.select(
        split.c.part, attempts.label("attempted"), *[split.c[name] for name in _COUNTS if name != "attempted"]
    ).subquery()
    return sa.select(rows.c.part, *[sa.func.sum(rows.c[name]).label(name) for name in _COUNTS]).group_by(rows.c.part)


def _figures(counts: Sequence[int]) -> Figures:
    return Figures(**{name: int(count) for name, count in zip(_COUNTS, counts, strict=True)})
