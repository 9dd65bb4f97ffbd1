"""What drives mail systems tries again what failed, and tells them again what they may have forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from domain.routing import Routes, Scope
from domain.sources import Source
from domain.words import MailboxProvider
from gate import mail_systems
from gate.mail_systems import Follower
from providers.senders.port import MailSystemError
from settings import Settings
from store import pauses
from store.database import Database
from store.tables.ips import Ip
from tests.gate.conftest import inventory, until

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


class Recorder:
    """A mail system that notes what it is told, and refuses while it is told to."""

    name = "recorder"

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.pauses: list[set[tuple[str, str]]] = []
        self.refuses = False
        self.error: Exception = MailSystemError("not now")

    async def apply(self, sources: Sequence[Source]) -> list[str]:
        self.sources = list(sources)
        return []

    async def follow(self, routes: Routes, changed_at: float) -> list[str]:
        self.pauses.append(set(routes.pauses))
        if self.refuses:
            raise self.error
        return []


async def followed(db: Database, settings: Settings, system: Recorder) -> asyncio.Task[None]:
    await inventory(db, {"198.51.100.7": 50})
    return asyncio.create_task(Follower(settings, db, [system]).run())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_systems, "AFTERWARDS_SECONDS", 0.1)
    monkeypatch.setattr(mail_systems, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(mail_systems, "AGAIN_SECONDS", 0.02)


async def test_a_pause_that_was_refused_is_told_until_it_is_taken(
    db: Database, gate_settings: Callable[..., Settings]
) -> None:
    system = Recorder()
    running = await followed(db, gate_settings(mail_systems_follow_seconds=3600), system)
    await until(lambda: bool(system.pauses))
    system.refuses = True
    async with db.write() as session:
        await pauses.pause(session, Scope.ALL, "", "bad luck")
    await until(lambda: system.pauses.count({("all", "")}) > 12)
    system.refuses = False
    # Taken once, it is let alone.
    told = len(system.pauses)
    await until(lambda: len(system.pauses) > told)
    told = len(system.pauses)
    await asyncio.sleep(0.2)
    assert len(system.pauses) == told
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_mail_system_that_fails_in_an_unforeseen_way_is_told_again(
    db: Database, gate_settings: Callable[..., Settings]
) -> None:
    system = Recorder()
    system.refuses, system.error = True, KeyError("unforeseen")
    running = await followed(db, gate_settings(mail_systems_follow_seconds=3600), system)
    await until(lambda: len(system.pauses) > 5)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_mail_system_is_told_again_without_a_change(
    db: Database, gate_settings: Callable[..., Settings]
) -> None:
    system = Recorder()
    more = {"mail_systems_follow_seconds": 0.05, "mail_systems_apply_seconds": 0.02}
    running = await followed(db, gate_settings(**more), system)
    await until(lambda: len(system.pauses) > 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_sources_carry_the_day_and_the_safe_limit(db: Database, gate_settings: Callable[..., Settings]) -> None:
    await inventory(db, {"198.51.100.7": 50}, by_provider={MailboxProvider.GMAIL: 20})
    async with db.write() as session:
        row = await session.get(Ip, "198.51.100.7")
        assert row is not None
        row.hostname, row.safe_limit = "mail7.acme.example", 2000
    (one,) = await Follower(gate_settings(), db, []).wanted()
    assert (one.cap, one.safe_limit, one.warmed_percent) == (50, 2000, 2)
    assert one.provider_caps == ((MailboxProvider.GMAIL, 20),)
