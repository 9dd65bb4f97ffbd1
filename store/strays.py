"""What sources told that this installation can make nothing of: dead letters, summed up for a person to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import storable

#: ``type``: a type of event that is not known; ``ip``: an alert or a block of an IP that is none of ours; ``hearsay``:
#: a block of an IP that only a mail tells which anybody could have written.
Why = Literal["type", "ip", "hearsay"]

_ADD = sa.text(
    "INSERT INTO stray_event (source, why, name, count, first_ms, last_ms) "
    "VALUES (:source, :why, :name, :count, :now, :now) ON CONFLICT (source, why, name) DO UPDATE SET "
    "count = stray_event.count + excluded.count, last_ms = excluded.last_ms"
)


#: How long one is kept that does not come again.
KEPT_MS = 30 * 86_400_000


async def add(session: AsyncSession, found: Iterable[tuple[str, Why, str]], *, now_ms: int) -> None:
    """Count what was found, as (source, why, name), and take away what has not come for long."""
    counted = Counter((source, why, storable(name)[:100]) for source, why, name in found)
    rows = [
        {"source": source, "why": why, "name": name, "count": count, "now": now_ms}
        for (source, why, name), count in sorted(counted.items())
    ]
    if rows:
        connection = await session.connection()
        await connection.execute(_ADD, rows)
        await connection.execute(sa.text("DELETE FROM stray_event WHERE last_ms < :old"), {"old": now_ms - KEPT_MS})


@dataclass(frozen=True)
class Stray:
    """One of them: how often it came, and when (epoch milliseconds)."""

    source: str
    why: Why
    name: str
    count: int
    first_ms: int
    last_ms: int


async def latest(session: AsyncSession, limit: int) -> list[Stray]:
    """Those that came last."""
    query = sa.text(
        "SELECT source, why, name, count, first_ms, last_ms FROM stray_event "
        "ORDER BY last_ms DESC, source, why, name LIMIT :limit"
    )
    return [Stray(*row) for row in await (await session.connection()).execute(query, {"limit": limit})]
