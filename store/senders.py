"""Repository of pools and senders."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import Conflict, NotFound, Refused
from store.tables.senders import Pool, Sender


async def put_pool(session: AsyncSession, name: str, overflow: str | None) -> Pool:
    """Make a pool or change where it overflows to.

    Raises:
        NotFound: there is no such overflow pool.
        Refused: pools would overflow in a circle.
    """
    step, path = overflow, [name]
    while step is not None:
        path.append(step)
        if step in path[:-1]:
            circle = " -> ".join(path)
            raise Refused(
                f"Pools would overflow in a circle: {circle}.",
                field="overflow",
                code="cycle",
            )
        following = await session.get(Pool, step)
        if following is None:
            raise NotFound(
                f"There is no pool {step!r} to overflow to.",
                field="overflow",
                code="unknown_pool",
            )
        step = following.overflow
    row = await session.get(Pool, name) or Pool(name=name)
    row.overflow = overflow
    session.add(row)
    await session.flush()
    return row


async def add_sender(session: AsyncSession, name: str, pool: str) -> Sender:
    """Make a sender; the same again changes nothing.

    Raises:
        NotFound: there is no such pool.
        Conflict: the sender uses another pool.
    """
    if await session.get(Pool, pool) is None:
        raise NotFound(
            f"There is no pool {pool!r}; make it first.",
            field="pool",
            code="unknown_pool",
        )
    row = await session.get(Sender, name)
    if row is not None and row.pool != pool:
        raise Conflict(
            f"Sender {name!r} already uses pool {row.pool!r}.",
            field="name",
            code="duplicate",
        )
    row = row or Sender(name=name, pool=pool)
    session.add(row)
    await session.flush()
    return row


async def pools(session: AsyncSession) -> Sequence[Pool]:
    """Every pool by name."""
    return (await session.exec(select(Pool).order_by(col(Pool.name)))).all()


async def senders(session: AsyncSession) -> Sequence[Sender]:
    """Every sender by name."""
    return (await session.exec(select(Sender).order_by(col(Sender.name)))).all()
