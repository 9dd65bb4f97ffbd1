"""Repository of pools and senders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import Conflict, NotFound, Refused
from domain.routing import circle
from domain.words import Stage
from store.tables.ips import Ip
from store.tables.senders import Campaign, Pool, Sender, SenderMatch

#: Names that a refusal lists.
MOST_NAMED = 10
_Named = TypeVar("_Named", Pool, Sender, Campaign)


async def put_pool(
    session: AsyncSession, name: str, overflow: str | None, *, keep: bool = False
) -> tuple[Pool, dict[str, str | None] | None]:
    """Make a pool or change where it overflows to; answers it, and what it was, None for a new one.

    Args:
        keep: a pool that is there keeps its overflow.

    Raises:
        NotFound: there is no such overflow pool.
        Refused: pools would overflow in a circle.
    """
    pools = dict((await session.exec(select(Pool.name, Pool.overflow))).all())
    if path := circle(pools, name, overflow):
        raise Refused(f"Pools would overflow in a circle: {' -> '.join(path)}.", field="overflow", code="cycle")
    if overflow is not None and overflow not in pools:
        await _pool(session, overflow, "overflow")
    present = await session.get(Pool, name)
    was = {"overflow": present.overflow} if present else None
    row = present or Pool(name=name)
    if present is None or not keep:
        row.overflow = overflow
    session.add(row)
    await session.flush()
    return row, was


async def change_pool(session: AsyncSession, name: str, overflow: str | None) -> tuple[Pool, str | None]:
    """Change where a pool overflows to; answers the pool, and where it overflowed to before.

    Raises:
        NotFound: there is no such pool, or no such overflow pool.
        Refused: pools would overflow in a circle.
    """
    before = (await _pool(session, name, "name")).overflow
    row, _ = await put_pool(session, name, overflow)
    return row, before


async def _pool(session: AsyncSession, name: str, field: str) -> Pool:
    # Shared, so that nobody deletes it before what now names it is written; SQLite has one writer.
    row = await session.get(Pool, name, with_for_update={"read": True})
    if row is None:
        raise NotFound(f"There is no pool {name!r}; make it first.", field=field, code="unknown_pool")
    return row


async def check_known(session: AsyncSession, *, pool: str | None = None, sender: str | None = None) -> None:
    """Whether a pool and a sender were made: a misspelt one would be a place that no mail ever leaves from.

    Raises:
        Refused: names the field, and what there is.
    """
    if pool is not None and await session.get(Pool, pool, with_for_update={"read": True}) is None:
        raise Refused(
            f"There is no pool {pool[:60]!r}; choose from {await _some(session, col(Pool.name))}, or make it first "
            "on the page Campaigns or with POST /v1/pools.",
            field="pool",
            code="unknown_pool",
        )
    if sender is not None and await session.get(Sender, sender, with_for_update={"read": True}) is None:
        raise Refused(
            f"There is no sender {sender[:60]!r}; choose from {await _some(session, col(Sender.name))}, or make it "
            "first on the page Campaigns or with POST /v1/senders.",
            field="sender",
            code="unknown_sender",
        )


async def _some(session: AsyncSession, names: Mapped[str]) -> str:
    found = (await session.exec(select(names).order_by(names).limit(MOST_NAMED + 1))).all()
    return ", ".join(found[:MOST_NAMED]) + (" and others" if len(found) > MOST_NAMED else "") or "none yet"


async def add_sender(session: AsyncSession, name: str, pool: str, matches: Sequence[str] | None = None) -> Sender:
    """Make a sender, or change how its mail is known; the same again changes nothing.

    Args:
        matches: logins, addresses and domains of its mail, all of them; None leaves them as they are.

    Raises:
        NotFound: there is no such pool.
        Conflict: the sender uses another pool, or a match belongs to another sender.
    """
    await _pool(session, pool, "pool")
    row = await session.get(Sender, name)
    if row is not None and row.pool != pool:
        raise Conflict(
            f"Sender {name!r} already uses pool {row.pool!r}; PATCH /v1/senders/{name} moves it.",
            field="name",
            code="duplicate",
        )
    row = row or Sender(name=name, pool=pool)
    session.add(row)
    if matches is not None:
        await _set_matches(session, name, {one.strip().lower() for one in matches})
    await session.flush()
    return row


@dataclass(frozen=True)
class SenderState:
    """A sender's pool and what tells its mail, as before or after a change."""

    pool: str
    matches: Sequence[str]


async def change_sender(
    session: AsyncSession, name: str, pool: str | None, matches: Sequence[str] | None
) -> tuple[Sender, SenderState, SenderState]:
    """Move a sender to another pool, or change how its mail is known; None leaves a part as it is.

    Returns:
        The sender, and its state before and after.

    Raises:
        NotFound: there is no such sender, or no such pool.
        Conflict: a match belongs to another sender.
    """
    row = await session.get(Sender, name)
    if row is None:
        raise NotFound(f"There is no sender {name!r}.", field="name", code="unknown_sender")
    before = SenderState(row.pool, await matches_of(session, name))
    if pool is not None:
        row.pool = (await _pool(session, pool, "pool")).name
        session.add(row)
    if matches is not None:
        await _set_matches(session, name, {one.strip().lower() for one in matches})
    await session.flush()
    return row, before, SenderState(row.pool, await matches_of(session, name))


async def _set_matches(session: AsyncSession, name: str, wanted: set[str]) -> None:
    rows = (await session.exec(select(SenderMatch).where(col(SenderMatch.sender) == name))).all()
    for row in rows:
        if row.match not in wanted:
            await session.delete(row)
    for match in sorted(wanted):
        known = await session.get(SenderMatch, match)
        if known is None:
            session.add(SenderMatch(match=match, sender=name))
        elif known.sender != name:
            raise Conflict(
                f"{match!r} already tells mail of sender {known.sender!r}.", field="matches", code="duplicate"
            )


async def matches(session: AsyncSession, names: Collection[str]) -> dict[str, list[str]]:
    """The logins, addresses and domains of these senders, where they have any, in order."""
    found: dict[str, list[str]] = {}
    query = select(SenderMatch).where(col(SenderMatch.sender).in_(names)).order_by(col(SenderMatch.match))
    for row in (await session.exec(query)).all():
        found.setdefault(row.sender, []).append(row.match)
    return found


async def matches_of(session: AsyncSession, name: str) -> Sequence[str]:
    """The logins, addresses and domains of a sender, in order."""
    query = select(SenderMatch.match).where(col(SenderMatch.sender) == name).order_by(col(SenderMatch.match))
    return (await session.exec(query)).all()


async def add_campaign(session: AsyncSession, name: str, sender: str) -> Campaign:
    """Make a campaign; the same again changes nothing.

    Raises:
        NotFound: there is no such sender.
        Conflict: the campaign belongs to another sender.
    """
    if await session.get(Sender, sender, with_for_update={"read": True}) is None:
        raise NotFound(f"There is no sender {sender!r}; make it first.", field="sender", code="unknown_sender")
    row = await session.get(Campaign, name)
    if row is not None and row.sender != sender:
        raise Conflict(f"Campaign {name!r} already belongs to sender {row.sender!r}.", field="name", code="duplicate")
    row = row or Campaign(name=name, sender=sender)
    session.add(row)
    await session.flush()
    return row


async def campaigns(
    session: AsyncSession, *, after: str | None = None, limit: int
) -> tuple[Sequence[Campaign], str | None]:
    """A page of campaigns by name, and the cursor of the next."""
    return await _page(session, Campaign, after, limit)


async def _page(
    session: AsyncSession, table: type[_Named], after: str | None, limit: int
) -> tuple[Sequence[_Named], str | None]:
    """Rows by name; the cursor is the last name of the page before."""
    query = select(table).order_by(col(table.name)).limit(limit + 1)
    if after:
        query = query.where(col(table.name) > after)
    rows = (await session.exec(query)).all()
    return rows[:limit], rows[limit - 1].name if len(rows) > limit else None


@dataclass(frozen=True)
class PoolState:
    """A pool with its IPs in service."""

    name: str
    overflow: str | None
    created_at: dt.datetime
    ips: int


async def pools(session: AsyncSession, *, after: str | None = None, limit: int) -> tuple[list[PoolState], str | None]:
    """A page of pools by name, and the cursor of the next."""
    made, following = await _page(session, Pool, after, limit)
    alive = (
        select(Ip.pool, sa.func.count())
        .where(col(Ip.stage) != Stage.RETIRED, col(Ip.pool).in_([row.name for row in made]))
        .group_by(col(Ip.pool))
    )
    counts = dict((await session.exec(alive)).all())
    return [PoolState(row.name, row.overflow, row.created_at, counts.get(row.name, 0)) for row in made], following


async def ips_of_pool(session: AsyncSession, name: str) -> int:
    """How many IPs in service a pool has."""
    query = select(sa.func.count()).where(col(Ip.pool) == name, col(Ip.stage) != Stage.RETIRED)
    return (await session.exec(query)).one()


async def senders(
    session: AsyncSession, *, after: str | None = None, limit: int
) -> tuple[Sequence[Sender], str | None]:
    """A page of senders by name, and the cursor of the next."""
    return await _page(session, Sender, after, limit)
