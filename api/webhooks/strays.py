"""Events that nobody can act on: kept as dead letters, told to whoever sent them and to a person."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import ALERTS, Kind, MailEvent
from domain.replies import Class
from store import ips, strays
from store.database import Database


async def keep(session: AsyncSession, new: Sequence[MailEvent]) -> None:
    """Leave a dead letter for each: a type that is not known, an IP that is none of ours, a block by hearsay."""
    odd = [event for event in new if event.kind is Kind.UNKNOWN or (event.address and _would_act(event))]
    if not odd:
        return
    ours = await ips.among(session, {event.address for event in odd})
    found: list[tuple[str, strays.Why, str]] = []
    for event in odd:
        if event.kind is Kind.UNKNOWN:
            found.append((event.source, "type", event.detail))
        elif event.address not in ours:
            found.append((event.source, "ip", event.address))
        elif event.hearsay:
            found.append((event.source, "hearsay", event.address))
    await strays.add(session, found, now_ms=time.time_ns() // 1_000_000)


def _would_act(event: MailEvent) -> bool:
    by_hearsay = event.hearsay and not event.local and event.reply_class == Class.IP_BLOCKED
    return event.stops_mail or by_hearsay


async def strangers(db: Database, events: Sequence[MailEvent]) -> list[str]:
    """IPs of critical alerts, none of them ours, of a request that holds nothing but alerts about such IPs; else none.

    A request with anything for us in it is taken: mail systems would send the whole of it again, for hours.
    """
    if any(event.kind not in ALERTS for event in events):
        return []  # Nearly always the first one says so.
    named = {event.address for event in events}
    if "" in named or not any(event.stops_mail for event in events):
        return []
    async with db.read() as session:
        ours = await ips.among(session, named)
    return [] if ours else sorted(named)
