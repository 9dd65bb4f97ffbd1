"""What the gates take from the store: routes in one reading, blocks of allowance, and their way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.blocks import Block
from domain.routing import Exit, Routes
from domain.words import MailboxProvider, Stage
from store import ledger
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow
from store.tables.senders import Campaign, MailPause, Pool, Sender, SenderMatch


@dataclass(frozen=True)
class Refusal:
    """Nothing was taken; the reason in words."""

    reason: str


async def routes(session: AsyncSession, default_pool: str = "") -> Routes:
    """Inventory, assignments and pauses, as one transaction sees them."""
    # Columns and not objects: a large fleet is read at every change.
    ips = await (await session.connection()).execute(
        sa.select(
            col(Ip.address), col(Ip.pool), col(Ip.sender), col(Ip.domain), col(Ip.stage), col(Ip.safe_limit)
        ).where(col(Ip.stage).in_(ledger.SENDING_STAGES))
    )
    held = await session.exec(
        select(LedgerWindow.address, LedgerWindow.reason).where(
            col(LedgerWindow.starts_ms) == ledger.MARK, col(LedgerWindow.paused)
        )
    )
    pools = (await session.exec(select(Pool))).all()
    senders = (await session.exec(select(Sender))).all()
    matches = (await session.exec(select(SenderMatch))).all()
    campaigns = (await session.exec(select(Campaign))).all()
    pauses = (await session.exec(select(MailPause))).all()
    return Routes(
        exits={
            address: Exit(address, pool, sender, domain.lower(), stage == Stage.FULL_CAPACITY, safe_limit)
            for address, pool, sender, domain, stage, safe_limit in ips.all()
        },
        overflow={one.name: one.overflow for one in pools},
        senders={one.name: one.pool for one in senders},
        matches={one.match: one.sender for one in matches},
        campaigns={one.name: one.sender for one in campaigns},
        pauses={(one.scope, one.name): one.reason for one in pauses},
        held=dict(held.all()),
        default_pool=default_pool,
    )


def _warm(ip: Ip) -> bool:
    """Whether an IP sends its safe limit; trouble that is not critical takes it from no such IP."""
    return Stage.FULL_CAPACITY in (ip.stage, ip.stage_before)


async def outdated(session: AsyncSession, blocks: Iterable[Block], at_ms: int) -> set[str]:
    """Addresses whose blocks must go back: a new day has begun, or a cap was cut below what is granted."""
    held = {one.address: one.starts_ms for one in blocks}
    if not held:
        return set()
    query = (
        select(LedgerWindow)
        .where(
            col(LedgerWindow.address).in_(held), col(LedgerWindow.starts_ms) <= at_ms, col(LedgerWindow.ends_ms) > at_ms
        )
        .order_by(col(LedgerWindow.starts_ms))
        .execution_options(populate_existing=True)
    )
    newest = {row.address: row for row in (await session.exec(query)).all()}
    return {
        address
        for address, starts_ms in held.items()
        if (row := newest.get(address)) is None or row.starts_ms != starts_ms or row.paused or _over(row)
    }


def _over(row: LedgerWindow) -> bool:
    own = any(
        (cap := getattr(row, f"cap_{one}")) is not None and getattr(row, f"granted_{one}") > cap
        for one in MailboxProvider
    )
    return own or row.granted > row.cap or bool(row.hourly_cap and row.hour_granted > row.hourly_cap)


async def take(
    session: AsyncSession, exit_: Exit, provider: MailboxProvider, count: int, at_ms: int, day_seconds: float
) -> Block | Refusal:
    """Lease a block of up to ``count`` mails; one atomic statement books it."""
    limit = exit_.safe_limit if exit_.warm else None
    booked = await ledger.book_opening(session, exit_.address, limit, provider, count, at_ms, day_seconds)
    if booked is None:
        row = await ledger.window(session, exit_.address, at_ms)
        return Refusal(ledger.why(exit_.address, provider, row, at_ms))
    part = max(1, (booked.ends_ms - booked.starts_ms) // ledger.HOURS)
    ends = min(booked.ends_ms, booked.starts_ms + (booked.hour + 1) * part)
    return Block(
        exit_.address, provider, booked.starts_ms, booked.hour, booked.count, booked.count, ends,
        room=booked.room, share=booked.room / booked.cap if booked.cap else 0.0,
    )  # fmt: skip


async def give_back(session: AsyncSession, blocks: Iterable[Block]) -> int:
    """Return what is left of blocks; answers how many mails that was.

    Once for each block: who does not hear whether it was booked forgets the block. Lost allowance is
    never sent, allowance returned twice would be.
    """
    given = 0
    # One order of locks for every gate.
    for one in sorted(blocks, key=lambda block: (block.address, block.provider)):
        if one.left <= 0:
            continue
        booked = await (await session.connection()).execute(
            _GIVE_BACK[one.provider],
            {"count": one.left, "address": one.address, "starts": one.starts_ms, "hour": one.hour},
        )
        given += one.left if booked.rowcount else 0
    return given


_GIVE_BACK = {
    provider: sa.text(
        f"UPDATE ledger_window SET granted = granted - :count, granted_{provider} = granted_{provider} - :count, "
        "hour_granted = CASE WHEN hour = :hour THEN hour_granted - :count ELSE hour_granted END, "
        f"hour_{provider} = CASE WHEN hour = :hour THEN hour_{provider} - :count ELSE hour_{provider} END "
        "WHERE address = :address AND starts_ms = :starts "
        f"AND granted >= :count AND granted_{provider} >= :count"
    )
    for provider in MailboxProvider
}
