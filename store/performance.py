"""Repository of what was sent: caps against what was granted of them, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables.ledger import LedgerWindow


@dataclass(frozen=True)
class Window:
    """One window of an address: what it might send and what was granted of that. Times are epoch milliseconds."""

    starts_ms: int
    ends_ms: int
    cap: int
    granted: int


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
    query = sa.select(ranked).where(ranked.c.rank <= most).order_by(ranked.c.address, ranked.c.starts_ms)
    found: dict[str, list[Window]] = {}
    for address, *figures, _ in await (await session.connection()).execute(query):
        found.setdefault(address, []).append(Window(*figures))
    return found
