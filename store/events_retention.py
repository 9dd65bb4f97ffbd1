"""What is kept of events, and how long: slices become days, events go, then their keys; and what followed of them.

Every step is a short transaction of its own and may be stopped and begun again anywhere: rows are moved and
taken away in one statement or one transaction, never counted twice and never lost. A late event finds its
place whatever was rolled up before: it makes a slice again, and the next run adds that to its day.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.warmup import WarmupState
from store import warmup
from store.database import Database
from store.events_writing import COUNTS

#: Rows that one transaction takes away: a lock of some ten milliseconds.
CHUNK = 5_000

_KEY = ("address", "provider", "sender", "campaign")
_FOLDED = (
    f"SELECT {', '.join(_KEY)}, slice_ms - slice_ms % :day AS day_ms, {', '.join(f'SUM({name})' for name in COUNTS)} "
    f"FROM {{}} GROUP BY {', '.join(_KEY)}, day_ms"
)
_INTO = f"INSERT INTO figure ({', '.join(_KEY)}, slice_ms, {', '.join(COUNTS)}) "
_ADDED = "ON CONFLICT (address, slice_ms, provider, sender, campaign) DO UPDATE SET " + ", ".join(
    f"{name} = figure.{name} + excluded.{name}" for name in COUNTS
)
_OLD = "address = :address AND slice_ms < :edge AND slice_ms % :day <> 0"


async def next_address(db: Database, after: str) -> str | None:
    """The next address that has figures, in order."""
    async with db.read() as session:
        found = await (await session.connection()).execute(
            sa.text("SELECT MIN(address) FROM figure WHERE address > :after"), {"after": after}
        )
        address: str | None = found.scalar()
        return address


async def roll_up(db: Database, address: str, *, edge_ms: int, day_ms: int) -> int:
    """Add the slices of an address that lie before an instant to the rows of their days.

    A warm-up that still runs sums its last days again, and its days need not be those of UTC: nothing of
    them is rolled up.

    Args:
        edge_ms: epoch milliseconds, cut to a whole day.
        day_ms: length of a day; days count from 1970 in UTC.

    Returns:
        How many slices were taken away.
    """
    async with db.read() as session:
        edge = min(edge_ms, await _needed_from(session, address, edge_ms))
        given = {"address": address, "edge": edge - edge % day_ms, "day": day_ms}
        seen = await (await session.connection()).execute(sa.text(f"SELECT 1 FROM figure WHERE {_OLD} LIMIT 1"), given)
        if seen.first() is None:
            return 0
    async with db.write() as session:
        connection = await session.connection()
        if db.dialect == "postgresql":
            # One statement: an event that comes in between is either moved with its slice or makes a new one.
            gone = f"WITH gone AS (DELETE FROM figure WHERE {_OLD} RETURNING *), "
            folded = f"folded AS ({_FOLDED.format('gone')}), added AS ({_INTO} SELECT * FROM folded {_ADDED}) "
            moved = await connection.execute(sa.text(f"{gone}{folded}SELECT COUNT(*) FROM gone"), given)
            return int(moved.scalar_one())
        old = f"figure WHERE {_OLD}"
        await connection.execute(sa.text(f"{_INTO}{_FOLDED.format(old)} {_ADDED}"), given)
        return (await connection.execute(sa.text(f"DELETE FROM {old}"), given)).rowcount


async def _needed_from(session: AsyncSession, address: str, edge_ms: int) -> int:
    found = await warmup.get(session, address)
    if found is None or found[0].state in (WarmupState.GRADUATED, WarmupState.COMPLETED):
        return edge_ms
    days = await warmup.history(session, address, limit=30)
    return days[0].starts_ms if days else edge_ms


async def drop_events(db: Database, *, before_day: int) -> int:
    """Take away one chunk of the events stored before a day (days since 1970); answers how many."""
    async with db.write() as session:
        done = await (await session.connection()).execute(
            sa.text(
                "DELETE FROM mail_event WHERE id IN "
                "(SELECT id FROM mail_event WHERE received_day < :day ORDER BY received_day LIMIT :chunk)"
            ),
            {"day": before_day, "chunk": CHUNK},
        )
        return done.rowcount


async def waiting_edge(db: Database, *, most: int) -> int | None:
    """The instant (epoch milliseconds) up to which events that wait are beyond ``most``; None while they are not."""
    newest = "SELECT since_ms FROM unplaced_event ORDER BY since_ms DESC LIMIT 1 OFFSET :most"
    async with db.read() as session:
        edge: int | None = (await (await session.connection()).execute(sa.text(newest), {"most": most})).scalar()
        return edge


async def drop_waiting(db: Database, *, before_ms: int) -> int:
    """Give up one chunk of the events that wait for their mail since an instant or longer; answers how many.

    They stay stored and counted as far as they were.
    """
    old = "SELECT source, event_id FROM unplaced_event WHERE since_ms <= :before LIMIT :chunk"
    return await _drop(db, f"DELETE FROM unplaced_event WHERE (source, event_id) IN ({old})", before_ms)


async def drop_messages(db: Database, *, before_ms: int) -> int:
    """Take away one chunk of the outbox's messages that were done before an instant; answers how many."""
    old = "SELECT id FROM outbox WHERE done_ms < :before ORDER BY done_ms LIMIT :chunk"
    return await _drop(db, f"DELETE FROM outbox WHERE id IN ({old})", before_ms)


async def drop_windows(db: Database, *, before_ms: int) -> int:
    """Take away one chunk of the ledger's windows that ended before an instant; answers how many."""
    old = (
        "SELECT address, starts_ms FROM ledger_window WHERE starts_ms > 0 AND ends_ms < :before "
        "ORDER BY address, starts_ms LIMIT :chunk"
    )
    return await _drop(db, f"DELETE FROM ledger_window WHERE (address, starts_ms) IN ({old})", before_ms)


async def _drop(db: Database, statement: str, before_ms: int) -> int:
    async with db.write() as session:
        given = {"before": before_ms, "chunk": CHUNK}
        return (await (await session.connection()).execute(sa.text(statement), given)).rowcount


async def drop_keys(db: Database, *, before_us: int, after: tuple[str, str]) -> tuple[int, tuple[str, str] | None]:
    """Take away the keys stored before an instant among the next chunk of them.

    Keys are walked through in their order: an index by time would double what they take.

    Args:
        before_us: epoch microseconds.
        after: last key of the chunk before; two empty texts at the start.

    Returns:
        How many were taken away, and the last key of the chunk; None after the last chunk.
    """
    walk = (
        "SELECT source, event_id FROM event_key WHERE (source, event_id) > (:source, :event) "
        "ORDER BY source, event_id LIMIT 1 OFFSET :chunk"
    )
    given = {"source": after[0], "event": after[1], "chunk": CHUNK - 1, "before": before_us}
    async with db.read() as session:
        last = (await (await session.connection()).execute(sa.text(walk), given)).first()
        span = "(source, event_id) > (:source, :event)"
        if last is not None:
            span += " AND (source, event_id) <= (:last_source, :last_event)"
            given |= {"last_source": last[0], "last_event": last[1]}
        old = f"event_key WHERE {span} AND received_us < :before"
        if (await (await session.connection()).execute(sa.text(f"SELECT 1 FROM {old} LIMIT 1"), given)).first() is None:
            return 0, None if last is None else (last[0], last[1])
    async with db.write() as session:
        done = await (await session.connection()).execute(sa.text(f"DELETE FROM {old}"), given)
    return done.rowcount, None if last is None else (last[0], last[1])
