"""Repository of what was sent: caps against what was granted of them, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

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
    """The last ``most`` windows of each address, oldest first, in one query; the mark of a pause is no window."""
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
        .where(col(LedgerWindow.address).in_(addresses), col(LedgerWindow.starts_ms) > 0)
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
