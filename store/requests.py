"""Repository of used idempotency keys: which request came with each, and what it made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.database import Database, upsert
from store.events_retention import CHUNK
from store.instants import now
from store.tables.accounts import RequestKey


async def find(session: AsyncSession, key: str) -> RequestKey | None:
    """The request that a key was used for."""
    return await session.get(RequestKey, key)


async def claim(
    session: AsyncSession, key: str, request: str, digest: str, made: Sequence[str]
) -> tuple[RequestKey, bool]:
    """Take a key in the transaction of what it makes; another request that took it before is answered, and False.

    Two at once take turns: the second waits until the first has committed or was rolled back.
    """
    row = RequestKey(key=key, request=request, digest=digest, made=list(made), at=now())
    insert = upsert(session.get_bind().dialect.name, RequestKey).values(**row.model_dump()).on_conflict_do_nothing()
    new = (await session.exec(insert.returning(col(RequestKey.key)))).first() is not None
    return (await session.exec(select(RequestKey).where(col(RequestKey.key) == key))).one(), new


async def drop(db: Database, *, before_ms: int) -> int:
    """Take away one chunk of the keys that were used before an instant; answers how many."""
    old = (
        select(RequestKey.key)
        .where(col(RequestKey.at) < dt.datetime.fromtimestamp(before_ms / 1000, dt.UTC))
        .limit(CHUNK)
    )
    async with db.write() as session:
        return (await session.exec(sa.delete(RequestKey).where(col(RequestKey.key).in_(old)))).rowcount


async def set_line(session: AsyncSession, key: str, line: int | None) -> None:
    """Say which line of the audit is the request's."""
    await session.exec(sa.update(RequestKey).where(col(RequestKey.key) == key).values(line=line))
