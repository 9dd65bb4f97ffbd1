"""Repository side of granted against sent: windows of the ledger with the figures of the same time."""

from __future__ import annotations

from collections import defaultdict

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.overrun import CARRIED_DAYS, Booked, overrun
from domain.warmup import slice_ms
from domain.words import Severity
from store import events, incidents, ledger
from store.tables.ledger import LedgerWindow

KIND = "overrun"


async def check(session: AsyncSession, at_ms: int, day_seconds: float) -> dict[str, int]:
    """Open an incident for each IP that sent more than it was granted, close it when that is over.

    Returns:
        Mails beyond what was granted, by IP; without those that kept to it.
    """
    found = {}
    for address, windows in (await _windows(session, at_ms, day_seconds)).items():
        booked = [await _booked(session, one, following, at_ms, day_seconds) for one, following in windows]
        # The running window and the one before it: what was reported late still counts.
        over = max(overrun(booked), overrun(booked[:-1]))
        if over:
            found[address] = over
            last = booked[-1]
            await incidents.open_incident(
                session, KIND, address, Severity.CRITICAL, f"{address} sent {over} mails more than it was granted",
                f"This window: {last.sent} sent, {last.granted} granted. Look for mail that does not ask the gate: "
                "a transport used without its policy service, or another system on the same IP.",
            )  # fmt: skip
        else:
            await incidents.close_incident(session, KIND, address, "What was sent is covered by what was granted.")
    return found


async def _windows(session: AsyncSession, at_ms: int, day_seconds: float) -> dict[str, list[tuple[LedgerWindow, int]]]:
    """Windows of the last days by address, oldest first, each with the start of the one after it."""
    since = at_ms - int((CARRIED_DAYS + 2) * day_seconds * 1000)
    query = (
        select(LedgerWindow)
        .where(
            col(LedgerWindow.starts_ms) != ledger.MARK,
            col(LedgerWindow.starts_ms) >= since,
            col(LedgerWindow.starts_ms) <= at_ms,
        )
        .order_by(col(LedgerWindow.address), col(LedgerWindow.starts_ms))
    )
    rows = (await session.exec(query)).all()
    found: dict[str, list[tuple[LedgerWindow, int]]] = defaultdict(list)
    for place, row in enumerate(rows):
        after = rows[place + 1] if place + 1 < len(rows) else None
        following = after.starts_ms if after is not None and after.address == row.address else row.ends_ms
        found[row.address].append((row, min(row.ends_ms, following)))
    return found


async def _booked(session: AsyncSession, row: LedgerWindow, ends_ms: int, at_ms: int, day_seconds: float) -> Booked:
    # Figures come in slices; one that lies across an edge is of neither side rather than of the wrong one.
    length = slice_ms(day_seconds)
    first, last = -(-row.starts_ms // length) * length, ends_ms // length * length
    sums = await events.sums(session, row.address, first, max(first, last if ends_ms < at_ms else ends_ms))
    return Booked(row.starts_ms, row.granted, sum(one.attempted for one in sums.values()))
