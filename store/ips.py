"""Repository of IPs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain.addresses import is_address, sort_key
from domain.lifecycle import Disposal, Standing
from domain.refusals import Conflict, NotFound
from domain.words import Actor, Stage
from store import ordering
from store.instants import now
from store.paging import no_cursor
from store.tables.dns import DnsSetup
from store.tables.ips import Ip, JourneyStep
from store.tables.ledger import LedgerWindow
from store.tables.reputation import Reputation
from store.tables.warmup import WarmupRow


async def get(session: AsyncSession, address: str) -> Ip:
    """One IP.

    Raises:
        NotFound: Warmpath does not know the address.
    """
    row = await session.get(Ip, address)
    if row is None:
        raise NotFound(f"{address} is not one of this installation's IPs.", field="address", code="unknown_ip")
    return row


async def lock(session: AsyncSession, address: str) -> bool:
    """Hold an IP until the transaction ends; who writes its ledger and its stage takes this first.

    SQLite has one writer and needs no lock of a row. False when the address is none of ours.
    """
    held = await session.exec(select(Ip.address).where(col(Ip.address) == address).with_for_update())
    return held.first() is not None


async def among(session: AsyncSession, addresses: Collection[str]) -> set[str]:
    """Which of some addresses are ours, retired ones too."""
    return set((await session.exec(select(Ip.address).where(col(Ip.address).in_(addresses)))).all())


async def insert(session: AsyncSession, ip: Ip) -> bool:
    """Add an IP; False when the same order or import added it before.

    A retired address that came to rest may begin a new life; what is known of the old one stays in its journey.

    Raises:
        Conflict: the address belongs to another order, or its retirement is not over.
    """
    present = await session.get(Ip, ip.address)
    if present is not None:
        if present.order_id == ip.order_id and ip.order_id is not None:
            return False
        if not present.disposal:
            raise Conflict(f"{ip.address} is already in the inventory.", field="address", code="duplicate")
        for table in (DnsSetup, WarmupRow, Reputation, LedgerWindow):
            await session.exec(sa.delete(table).where(col(table.address) == ip.address))
        await session.delete(present)
        await session.flush()
        session.expunge(present)
    if ip.waiting_for and ip.waiting_since is None:
        ip.waiting_since = now()
    session.add(ip)
    session.add(JourneyStep(address=ip.address, stage=ip.stage, note=ip.waiting_for))
    await session.flush()
    return True


async def set_stage(
    session: AsyncSession,
    address: str,
    stage: Stage,
    *,
    waiting_for: str = "",
    waiting_on: Actor = Actor.NOBODY,
) -> Ip:
    """Move an IP to a stage, and say what it waits for; the same again changes nothing.

    A retired IP stays retired: what ended late must not bring it back.

    Raises:
        NotFound: Warmpath does not know the address.
    """
    row = await get(session, address)
    if row.stage == Stage.RETIRED and stage is not Stage.RETIRED:
        return row
    moment = now()
    if row.stage != stage:
        session.add(JourneyStep(address=address, stage=stage, at=moment, note=waiting_for))
        row.stage = stage
        if stage is Stage.RETIRED:
            row.retired_at = moment
    if (row.waiting_for, row.waiting_on) != (waiting_for, waiting_on):
        row.waiting_for, row.waiting_on = waiting_for, waiting_on
        row.waiting_since = moment if waiting_for else None
    row.updated_at = moment
    session.add(row)
    await session.flush()
    return row


async def put_right(session: AsyncSession, address: str, stands: Standing, *, seen: dt.datetime) -> bool:
    """Write what the journey says over what the row says; False when the row was written since it was ``seen``."""
    moment = now()
    changed = await session.exec(
        sa.update(Ip)
        .where(col(Ip.address) == address, col(Ip.updated_at) == seen)
        .values(**stands.model_dump(), waiting_since=moment if stands.waiting_for else None, updated_at=moment)
        .returning(col(Ip.address))
    )
    return changed.first() is not None


async def dispose(session: AsyncSession, address: str, disposal: Disposal, said: str) -> None:
    """Write what became of a retired address; the same again changes nothing."""
    row = await get(session, address)
    if row.disposal != disposal:
        session.add(JourneyStep(address=address, stage=Stage.RETIRED, note=said))
    stuck = disposal is Disposal.STUCK
    row.disposal, row.updated_at = disposal, now()
    row.waiting_for, row.waiting_on = (said, Actor.OPERATOR) if stuck else ("", Actor.NOBODY)
    row.waiting_since = now() if stuck else None
    session.add(row)
    await session.flush()


async def list_page(
    session: AsyncSession,
    *,
    stage: str | None = None,
    pool: str | None = None,
    band: str | None = None,
    q: str | None = None,
    after: str | None = None,
    limit: int = 50,
    order: ordering.Order = ordering.Order.ADDRESS,
) -> tuple[Sequence[Ip], str | None]:
    """A page of IPs in the order asked for, and the cursor of the next page.

    Args:
        q: part of an address, a domain or a hostname.
        after: the cursor, which is the last address of the page before.
        limit: rows a page, 1 to 500.

    Raises:
        Refused: the cursor is none.
    """
    query = _filtered(select(Ip), stage=stage, pool=pool, band=band, q=q)
    first = ordering.key(order, int(now().timestamp() * 1000))
    if after:
        beyond = col(Ip.sort_key) > sort_key(after)
        if first is None:
            # An IP that left the list since is as good a cursor as any.
            known = is_address(after)
            query = query.where(beyond)
        else:
            last = (await session.exec(select(first).where(col(Ip.address) == after))).first()
            known = last is not None
            query = query.where(first >= last, sa.or_(first > last, beyond)) if known else query
        if not known:
            raise no_cursor()
    if first is not None:
        query = query.order_by(first)
    query = query.order_by(col(Ip.sort_key)).limit(limit + 1)
    rows = (await session.exec(query)).all()
    following = rows[limit - 1].address if len(rows) > limit else None
    return rows[:limit], following


def _filtered(
    query: SelectOfScalar[Ip], *, stage: str | None, pool: str | None, band: str | None, q: str | None
) -> SelectOfScalar[Ip]:
    if stage:
        query = query.where(col(Ip.stage) == stage)
    if pool:
        query = query.where(col(Ip.pool) == pool)
    if band:
        query = query.where(col(Ip.band) == band)
    if q:
        # Without capitals on both sides: PostgreSQL tells them apart, SQLite does not.
        named = (col(Ip.address), col(Ip.domain), col(Ip.hostname))
        query = query.where(sa.or_(*(one.icontains(q, autoescape=True) for one in named)))
    return query


async def count_by_band(session: AsyncSession) -> dict[str, int]:
    """How many IPs that are not retired have each reputation."""
    query = select(Ip.band, sa.func.count()).where(col(Ip.stage) != Stage.RETIRED).group_by(col(Ip.band))
    return dict((await session.exec(query)).all())


async def count_by_stage(session: AsyncSession) -> dict[str, int]:
    """How many IPs stand at each stage."""
    rows = await session.exec(select(Ip.stage, sa.func.count()).group_by(col(Ip.stage)))
    return dict(rows.all())


async def addresses(session: AsyncSession, *, after: str, limit: int, stages: Sequence[str]) -> Sequence[str]:
    """The next addresses at these stages, for sweeps in chunks."""
    query = (
        select(Ip.address)
        .where(col(Ip.address) > after, col(Ip.stage).in_(stages))
        .order_by(col(Ip.address))
        .limit(limit)
    )
    return (await session.exec(query)).all()


async def domains_first_used_by(
    session: AsyncSession, addresses: Sequence[str], stages: Sequence[str]
) -> dict[str, str]:
    """Sending domains whose first IP in service is one of these, with that IP: each domain has one."""
    domain = sa.func.lower(col(Ip.domain))
    first = sa.func.min(col(Ip.address))
    query = (
        select(domain, first)
        .where(col(Ip.domain) != "", col(Ip.stage).in_(stages))
        .group_by(domain)
        .having(first.in_(addresses))
    )
    return {str(name).rstrip("."): str(address) for name, address in (await session.exec(query)).all()}


async def using_domain(session: AsyncSession, domain: str) -> Sequence[str]:
    """Addresses that send for a domain."""
    query = (
        select(Ip.address).where(sa.func.lower(col(Ip.domain)).in_((domain, f"{domain}."))).order_by(col(Ip.sort_key))
    )
    return (await session.exec(query)).all()


async def steps(session: AsyncSession, address: str) -> Sequence[JourneyStep]:
    """The life of an IP so far, oldest first."""
    query = select(JourneyStep).where(col(JourneyStep.address) == address).order_by(col(JourneyStep.at))
    return (await session.exec(query)).all()
