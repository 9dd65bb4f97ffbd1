"""The IPs that mail systems have to know: those that send, and those that are about to."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.sources import Source
from domain.words import Stage
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow

#: From the day its DNS is verified until it is retired: a mail system that knows an IP early loses no mail to it.
KNOWN_STAGES = tuple(
    stage for stage in Stage if stage not in (Stage.SELECTED, Stage.PURCHASING, Stage.AWAITING_DNS, Stage.RETIRED)
)


async def sending(session: AsyncSession, at_ms: int) -> list[Source]:
    """The IPs, by address; ``cap`` is None for those without an open day.

    An IP without a hostname has no HELO to send with and is left out.
    """
    ips = (await session.exec(select(Ip).where(col(Ip.stage).in_(KNOWN_STAGES)).order_by(col(Ip.address)))).all()
    open_ = (
        select(LedgerWindow.address, LedgerWindow.cap)
        .where(col(LedgerWindow.starts_ms) <= at_ms, col(LedgerWindow.ends_ms) > at_ms)
        .order_by(col(LedgerWindow.starts_ms))
    )
    caps = dict((await session.exec(open_)).all())
    return [
        Source(
            address=one.address,
            bind_address=one.bind_address or one.address,
            hostname=one.hostname,
            pool=one.pool,
            warm=Stage.FULL_CAPACITY in (one.stage, one.stage_before),
            cap=caps.get(one.address),
        )
        for one in ips
        if one.hostname
    ]
