"""Whether the domains of an order or import exist, before anything is kept or paid."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from domain.refusals import Refused
from providers.dns.observer import Observer
from providers.dns.zones import ZoneNotFound
from settings import Settings

#: Seconds that DNS has to say that one domain does not exist, and for all domains of one import.
DNS_SECONDS, ALL_SECONDS = 5.0, 20.0
#: Domains asked for at the same time.
AT_ONCE = 50


async def check(domain: str, settings: Settings) -> None:
    """Nobody pays for a domain that is not there; servers that do not answer now prove nothing.

    Raises:
        Refused: DNS says that the domain does not exist.
    """
    with contextlib.suppress(ZoneNotFound, TimeoutError):
        async with asyncio.timeout(DNS_SECONDS):
            await Observer.from_settings(settings).zone(domain)


async def missing(domains: Iterable[str], settings: Settings) -> dict[str, Refused]:
    """Of many domains those that DNS says do not exist, each with its refusal.

    What is not answered in time is let through here; DNS set-up asks again.
    """
    found: dict[str, Refused] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def look(domain: str) -> None:
        async with room:
            try:
                await check(domain, settings)
            except Refused as refusal:
                found[domain] = refusal

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ALL_SECONDS), asyncio.TaskGroup() as asking:
            for domain in dict.fromkeys(domains):
                asking.create_task(look(domain))
    return found
