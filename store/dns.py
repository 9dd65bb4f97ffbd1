"""Repository of DNS set-ups and their evidence."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import NotFound
from domain.words import Stage
from store.database import upsert
from store.instants import now
from store.tables.dns import DnsDomain, DnsEvidence, DnsSetup
from store.tables.ips import Ip

#: Looks kept per IP: two days at the longest pause, and then some.
KEPT = 300


async def find(session: AsyncSession, address: str) -> DnsSetup | None:
    """The set-up of an IP, if it has begun."""
    return await session.get(DnsSetup, address)


async def get(session: AsyncSession, address: str) -> DnsSetup:
    """The set-up of an IP.

    Raises:
        NotFound: it has not begun.
    """
    row = await find(session, address)
    if row is None:
        raise NotFound(f"The DNS set-up of {address} has not begun.", field="address", code="no_dns")
    return row


async def save(session: AsyncSession, row: DnsSetup) -> None:
    """Write a set-up."""
    session.add(row)
    await session.flush()


async def domain(session: AsyncSession, name: str, *, lock: bool = False) -> DnsDomain | None:
    """What the IPs of a domain share; ``lock`` keeps others from changing it until the transaction ends."""
    return await session.get(DnsDomain, name, with_for_update=lock or None)


async def begin_domain(session: AsyncSession, dialect: str, row: DnsDomain) -> DnsDomain:
    """Add a domain; the row that is there already wins, so that two IPs at once get one key."""
    await session.exec(upsert(dialect, DnsDomain).values(**row.model_dump()).on_conflict_do_nothing())
    found = await domain(session, row.domain)
    assert found is not None
    return found


async def siblings(session: AsyncSession, name: str, address: str) -> Sequence[DnsSetup]:
    """The set-ups of the other living IPs of a domain, by address."""
    query = (
        select(DnsSetup)
        .join(Ip, col(Ip.address) == col(DnsSetup.address))
        .where(
            sa.func.lower(col(Ip.domain)) == name,
            col(Ip.stage) != Stage.RETIRED,
            col(DnsSetup.address) != address,
        )
        .order_by(col(DnsSetup.address))
    )
    return (await session.exec(query)).all()


async def add_evidence(session: AsyncSession, row: DnsSetup) -> None:
    """Keep what the set-up shows now as one look; the oldest beyond :data:`KEPT` go."""
    session.add(DnsEvidence(address=row.address, at=row.checked_at or now(), views=row.views, checks=row.checks))
    await session.flush()
    oldest = (
        select(DnsEvidence.id)
        .where(col(DnsEvidence.address) == row.address)
        .order_by(col(DnsEvidence.id).desc())
        .offset(KEPT)
        .limit(1)
    )
    limit = (await session.exec(oldest)).first()
    if limit is not None:
        gone = sa.delete(DnsEvidence).where(col(DnsEvidence.address) == row.address, col(DnsEvidence.id) <= limit)
        await session.execute(gone)


async def evidence(session: AsyncSession, address: str) -> Sequence[DnsEvidence]:
    """Every kept look at an IP's DNS, oldest first."""
    query = select(DnsEvidence).where(col(DnsEvidence.address) == address).order_by(col(DnsEvidence.id))
    return (await session.exec(query)).all()
