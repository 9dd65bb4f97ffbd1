"""The outbox: put in a transaction, claimed by one relay at a time, kept until done."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables.outbox import OutboxRow

#: How long a relay may hold a row before another one tries it (a relay that died holds nothing longer).
CLAIM_MS = 15_000
#: Longest pause between two tries.
MAX_PAUSE_MS = 60_000


def _now_ms() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1000)


async def put(
    session: AsyncSession,
    kind: Literal["signal", "start"],
    workflow_id: str,
    name: str,
    payload: dict[str, Any],
) -> int:
    """Write a message to a workflow; it leaves once the transaction is committed. Answers its id."""
    at = _now_ms()
    row = OutboxRow(
        kind=kind,
        workflow_id=workflow_id,
        name=name,
        payload=payload,
        created_ms=at,
        due_ms=at,
    )
    session.add(row)
    await session.flush()
    assert row.id is not None
    return row.id


async def any_due(session: AsyncSession) -> bool:
    """Whether a look for work is worth a write lock."""
    query = select(OutboxRow.id).where(col(OutboxRow.done_ms).is_(None), col(OutboxRow.due_ms) <= _now_ms()).limit(1)
    return (await session.exec(query)).first() is not None


async def starts(session: AsyncSession, workflow_id: str) -> bool:
    """Whether the start of a workflow is still on its way."""
    query = select(OutboxRow.id).where(
        col(OutboxRow.workflow_id) == workflow_id, col(OutboxRow.kind) == "start", col(OutboxRow.done_ms).is_(None)
    )
    return (await session.exec(query.limit(1))).first() is not None


async def claim(session: AsyncSession, *, limit: int = 50, at_ms: int | None = None) -> Sequence[OutboxRow]:
    """Take due rows for ``CLAIM_MS``, oldest first; two relays never hold the same row.

    A signal waits until its workflow is started: before that it would find nobody, and be done.
    """
    at = _now_ms() if at_ms is None else at_ms
    start = sa.orm.aliased(OutboxRow)
    unstarted = sa.exists().where(
        start.workflow_id == col(OutboxRow.workflow_id),  # type: ignore[arg-type]
        col(start.kind) == "start",
        col(start.done_ms).is_(None),
    )
    due = (
        sa.select(col(OutboxRow.id))
        .where(col(OutboxRow.done_ms).is_(None), col(OutboxRow.due_ms) <= at)
        .where(sa.or_(col(OutboxRow.kind) == "start", ~unstarted))
        .order_by(col(OutboxRow.id))
        .limit(limit)
        .with_for_update(skip_locked=True)  # SQLite has one writer and leaves this out
    )
    rows = await session.exec(
        sa.update(OutboxRow)
        .where(col(OutboxRow.id).in_(due), col(OutboxRow.due_ms) <= at)
        .values(due_ms=at + CLAIM_MS, attempts=OutboxRow.attempts + 1)
        .returning(OutboxRow)
        .execution_options(synchronize_session=False)
    )
    return sorted(rows.scalars().all(), key=lambda row: row.id or 0)


async def done(session: AsyncSession, row_id: int, note: str = "") -> None:
    """The message arrived, or never can (the note says why)."""
    await session.exec(sa.update(OutboxRow).where(col(OutboxRow.id) == row_id).values(done_ms=_now_ms(), note=note))


async def retry_later(session: AsyncSession, row: OutboxRow, note: str) -> None:
    """The try failed; the next one comes after 1, 2, 4 ... up to 60 seconds."""
    pause = min(MAX_PAUSE_MS, 500 * 2 ** min(row.attempts, 8))
    await session.exec(
        sa.update(OutboxRow).where(col(OutboxRow.id) == row.id).values(due_ms=_now_ms() + pause, note=note)
    )
