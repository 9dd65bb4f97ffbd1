"""Repository side of granted against sent: windows of the ledger with the figures of the same time."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.overrun import CARRIED_DAYS, Booked, overrun
from domain.warmup import slice_ms
from domain.words import Severity
from store import events, incidents, ledger
from store.database import Database
from store.tables.incidents import Incident
from store.tables.ledger import LedgerWindow

KIND = "overrun"


#: IPs whose last two windows have more sent than granted, which few have. What a grant of a day before may cover is
#: looked up for those alone: a whole fleet's figures of a week are millions of rows.
_SUSPECTS = sa.text(
    "SELECT DISTINCT address FROM (SELECT w.address AS address FROM ledger_window w "
    "JOIN figure f ON f.address = w.address AND f.slice_ms >= w.starts_ms AND f.slice_ms < w.ends_ms "
    "WHERE w.starts_ms > 0 AND w.starts_ms <= :at AND w.ends_ms > :since "
    "GROUP BY w.address, w.starts_ms, w.granted "
    "HAVING SUM(CASE WHEN f.attempted > f.delivered + f.bounced + f.blocked THEN f.attempted "
    "ELSE f.delivered + f.bounced + f.blocked END) > w.granted) suspects"
)


async def check(db: Database, at_ms: int, day_seconds: float) -> dict[str, int]:
    """Open an incident for each IP that sent more than it was granted, close it when that is over.

    Returns:
        Mails beyond what was granted, by IP; without those that kept to it.
    """
    async with db.read() as session:
        found = await _overruns(session, at_ms, day_seconds)
        query = select(Incident.address).where(col(Incident.kind) == KIND, col(Incident.closed_at).is_(None))
        over_now = set((await session.exec(query)).all()) - set(found)
    if found or over_now:
        async with db.write() as session:
            for address, (over, last) in found.items():
                await incidents.open_incident(
                    session, KIND, address, Severity.CRITICAL,
                    f"{address} sent {over:,} mails more than it was granted",
                    f"This window: {last.sent:,} sent, {last.granted:,} granted. "
                    "Look for mail that does not ask the gate: "
                    "a transport used without its policy service, or another system on the same IP.",
                )  # fmt: skip
            for address in over_now:
                await incidents.close_incident(session, KIND, address, "What was sent is covered by what was granted.")
    return {address: over for address, (over, _) in found.items()}


async def _overruns(session: AsyncSession, at_ms: int, day_seconds: float) -> dict[str, tuple[int, Booked]]:
    since = at_ms - int(2 * day_seconds * 1000)
    suspects = (await (await session.connection()).execute(_SUSPECTS, {"at": at_ms, "since": since})).scalars().all()
    found = {}
    for address in suspects:
        booked = await _booked(session, address, at_ms, day_seconds)
        # The running window and the one before it: what was reported late still counts.
        if over := max(overrun(booked), overrun(booked[:-1])):
            found[address] = (over, booked[-1])
    return found


async def _booked(session: AsyncSession, address: str, at_ms: int, day_seconds: float) -> list[Booked]:
    """Windows of the last days, oldest first, with what was sent in them."""
    query = (
        select(LedgerWindow)
        .where(
            col(LedgerWindow.address) == address,
            col(LedgerWindow.starts_ms) > max(ledger.MARK, at_ms - int((CARRIED_DAYS + 2) * day_seconds * 1000)),
            col(LedgerWindow.starts_ms) <= at_ms,
        )
        .order_by(col(LedgerWindow.starts_ms))
    )
    rows = (await session.exec(query)).all()
    # Figures come in slices; one that lies across an edge is of neither side rather than of the wrong one.
    length = slice_ms(day_seconds)
    spans = []
    for row in rows:
        first, last = -(-row.starts_ms // length) * length, row.ends_ms // length * length
        spans.append((first, max(first, last if row.ends_ms < at_ms else row.ends_ms)))
    sums = await events.sums_of_spans(session, address, spans)
    return [
        Booked(row.starts_ms, row.granted, sum(one.attempted for one in sent.values()))
        for row, sent in zip(rows, sums, strict=True)
    ]
