"""What the gates take from the store: routes in one reading, blocks of allowance, and their way back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from sqlite3 import Cursor

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allowance import Allowance
from domain.blocks import Block
from domain.routing import Exit, Party, Routes, spilling
from domain.words import MailboxProvider, Stage
from store import ledger
from store.pauses import present
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow
from store.tables.senders import Campaign, Pool, Sender, SenderMatch


@dataclass(frozen=True)
class Refusal:
    """Nothing was taken; the reason in words, and until when it may be believed."""

    reason: str
    until_ms: int


async def routes(session: AsyncSession, default_pool: str = "") -> Routes:
    """Inventory, assignments and pauses; of one instant in a :meth:`~store.database.Database.snapshot`."""
    matches = (await session.exec(select(SenderMatch))).all()
    campaigns = (await session.exec(select(Campaign))).all()
    senders = (await session.exec(select(Sender))).all()
    exits, held = await _exits(session, sa.true())
    return Routes(
        exits=exits,
        overflow=await _overflow(session),
        senders={one.name: one.pool for one in senders},
        matches={one.match: one.sender for one in matches},
        campaigns={one.name: one.sender for one in campaigns},
        pauses=await present(session),
        held=held,
        default_pool=default_pool,
    )


async def routes_for(session: AsyncSession, party: Party) -> Routes:
    """As much of :func:`routes` as decides about one party: its sender and the pools that its mail may come to."""
    overflow = {} if party.ip is not None else await _overflow(session)
    senders: dict[str, str] = {}
    belongs = col(Ip.address) == party.ip
    pool = party.pool
    if party.sender is not None:
        known = await session.get(Sender, party.sender)
        belongs = col(Ip.sender) == party.sender
        if known is not None:
            pool = senders[known.name] = known.pool
        else:
            first = select(Ip.pool).where(belongs, col(Ip.stage).in_(ledger.SENDING_STAGES)).order_by(col(Ip.address))
            pool = (await session.exec(first.limit(1))).first()
    if pool is not None:
        belongs = sa.or_(belongs, col(Ip.pool).in_(spilling(overflow, pool)))
    exits, held = await _exits(session, belongs)
    return Routes(
        exits=exits,
        overflow=overflow,
        senders=senders,
        pauses=await present(session),
        held=held,
    )


async def _exits(session: AsyncSession, which: sa.ColumnElement[bool]) -> tuple[dict[str, Exit], dict[str, str]]:
    """IPs that send, and why those of them do not whose ledger is paused."""
    mark = sa.and_(
        col(LedgerWindow.address) == col(Ip.address),
        col(LedgerWindow.starts_ms) == ledger.MARK,
        col(LedgerWindow.paused),
    )
    # Columns and not objects: a large fleet is read at every change.
    query = (
        sa.select(
            col(Ip.address), col(Ip.pool), col(Ip.sender), col(Ip.domain),
            col(Ip.stage), col(Ip.stage_before), col(Ip.safe_limit), col(LedgerWindow.reason),
        )
        .outerjoin(LedgerWindow, mark)
        .where(col(Ip.stage).in_(ledger.SENDING_STAGES), which)
    )  # fmt: skip
    exits, held = {}, {}
    rows = await (await session.connection()).execute(query)
    for address, pool, sender, domain, stage, before, limit, reason in rows:
        # Trouble that is not critical takes its safe limit from no IP.
        exits[address] = Exit(
            address, pool, sender, domain.lower(),
            warm=Stage.FULL_CAPACITY in (stage, before), safe_limit=limit, at_risk=stage == Stage.AT_RISK,
        )  # fmt: skip
        if reason is not None:
            held[address] = reason
    return exits, held


async def _overflow(session: AsyncSession) -> dict[str, str | None]:
    return dict((await session.exec(select(Pool.name, Pool.overflow))).all())


async def outdated(session: AsyncSession, blocks: Iterable[Block], at_ms: int) -> set[str]:
    """Addresses whose blocks must go back: a new day has begun, or a cap was cut below what is granted."""
    held: dict[str, set[int]] = {}
    for one in blocks:
        held.setdefault(one.address, set()).add(one.starts_ms)
    newest = await ledger.newest(session, held, at_ms)
    return {
        address
        for address, starts in held.items()
        if (row := newest.get(address)) is None or starts != {row.starts_ms} or row.paused or _over(row)
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
        until = ledger.part_ends(row, at_ms) if row else at_ms
        return Refusal(ledger.why(exit_.address, provider, row, at_ms), until)
    return _block(exit_.address, provider, booked)


def take_on_file(
    cursor: Cursor, wanted: Mapping[tuple[str, MailboxProvider], int], at_ms: int
) -> dict[tuple[str, MailboxProvider], Block]:
    """Blocks of an SQLite file, as :func:`take`; whoever is absent from the answer has to ask there."""
    found = {}
    for (address, provider), count in wanted.items():
        booked = ledger.book_on_file(cursor, address, provider, count, at_ms)
        if booked is not None:
            found[address, provider] = _block(address, provider, booked)
    return found


def _block(address: str, provider: MailboxProvider, booked: ledger.Booking) -> Block:
    part = max(1, (booked.ends_ms - booked.starts_ms) // ledger.HOURS)
    ends = min(booked.ends_ms, booked.starts_ms + (booked.hour + 1) * part)
    return Block(
        address, provider, booked.starts_ms, booked.hour, booked.count, booked.count, ends,
        room=booked.left.room, share=booked.left.share,
    )  # fmt: skip


async def allowances(
    session: AsyncSession, addresses: Collection[str], provider: MailboxProvider, at_ms: int
) -> dict[str, tuple[Allowance, int]]:
    """What each IP has left for a provider, and until when that may be believed; without a window it is absent."""
    rows = await ledger.newest(session, addresses, at_ms)
    return {
        address: (ledger.allowance(row, provider, at_ms), ledger.part_ends(row, at_ms)) for address, row in rows.items()
    }


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
