"""The IPs that mail systems have to know: those that send, and those that are about to."""

from __future__ import annotations

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.sources import Source
from domain.words import MailboxProvider, Stage
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
        select(LedgerWindow)
        .where(col(LedgerWindow.starts_ms) <= at_ms, col(LedgerWindow.ends_ms) > at_ms)
        .order_by(col(LedgerWindow.starts_ms))
        .execution_options(populate_existing=True)
    )
    days = {row.address: row for row in (await session.exec(open_)).all()}
    return [
        Source(
            address=one.address,
            bind_address=one.bind_address or one.address,
            hostname=one.hostname,
            pool=one.pool,
            warm=Stage.FULL_CAPACITY in (one.stage, one.stage_before),
            cap=day.cap if (day := days.get(one.address)) else None,
            safe_limit=one.safe_limit,
            hourly_cap=day.hourly_cap if day else 0,
            provider_caps=_provider_caps(day) if day else (),
        )
        for one in ips
        if one.hostname
    ]


def _provider_caps(day: LedgerWindow) -> tuple[tuple[MailboxProvider, int], ...]:
    caps = ((one, getattr(day, f"cap_{one}")) for one in MailboxProvider)
    return tuple((one, cap) for one, cap in caps if cap is not None)
