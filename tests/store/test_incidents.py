"""One trouble is one incident, whoever sees it and how many see it at once."""

from __future__ import annotations

import asyncio

from domain.words import Severity
from store import incidents
from store.database import Database


async def test_two_that_see_a_trouble_first_in_the_same_moment_hold_one_incident(db: Database) -> None:
    begun = asyncio.Event()

    async def see(by: str, reason: str, *, first: bool) -> bool:
        if not first:
            await begun.wait()
        async with db.write() as session:
            _, new = await incidents.hold(session, "dns_drift", "acme.example", by, Severity.WARNING, reason)
            if first:
                begun.set()
                # The other one waits for this transaction: on PostgreSQL at its insert, on SQLite for the turn.
                await asyncio.sleep(0.2)
            return new

    async with asyncio.timeout(20):
        new = await asyncio.gather(
            see("198.51.100.1", "a record is gone", first=True), see("198.51.100.2", "a record is wrong", first=False)
        )
    async with db.read() as session:
        (opened,) = await incidents.listing(session)
    assert new == [True, False]
    assert set(opened.causes) == {"198.51.100.1", "198.51.100.2"}
    assert (opened.title, opened.detail) == ("a record is gone", "a record is wrong")
