"""A spender as tests like it: how many it got and until when."""

from __future__ import annotations

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.words import MailboxProvider
from store import ledger


async def spend(
    session: AsyncSession, address: str, provider: MailboxProvider, count: int, at_ms: int
) -> tuple[int, int]:
    """Book up to ``count`` mails; 0 and 0 when nothing is granted."""
    booked = await ledger.book(session, address, provider, count, at_ms)
    return (booked.count, booked.ends_ms) if booked else (0, 0)
