"""Drives mail systems: what they know of the inventory, and what a pause or a switch means for mail they hold.

A process of its own beside the mail system, because it may need rights there that a gate does not have
(Postfix's queue belongs to root). Several may run; what is done already is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Sequence

import structlog

from domain.queued import transports
from domain.routing import Routes
from domain.sources import Source
from providers.senders.port import MailSystem, MailSystemError
from settings import Settings
from store import changes, sources
from store import gate as repository
from store.database import Database
from store.patience import within

log = structlog.get_logger()

#: Seconds that one reading of the store may take.
READ_SECONDS = 10.0
#: Seconds until the store is watched, or a mail system asked, again after it failed.
AGAIN_SECONDS = 1.0
#: Seconds after a change in which the queue is looked through again and again: a mail that was being delivered
#: then, or was accepted a moment before the gates heard, shows up in it only later.
AFTERWARDS_SECONDS, LOOK_SECONDS = 3.0, 0.5


class Follower:
    """Follows the store for one or more mail systems."""

    def __init__(self, settings: Settings, db: Database, systems: Sequence[MailSystem]) -> None:
        self._settings, self._db, self._systems = settings, db, systems
        self._routes: Routes | None = None
        self._known: dict[str, list[Source]] = {}
        self._changed = {system.name: asyncio.Event() for system in systems}
        self._changed_at, self._until = 0.0, 0.0
        #: When each mail system last heard of the routes and took them; absent after it failed.
        self._followed: dict[str, float] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            for system in self._systems:
                group.create_task(self._drive(system))

    async def _watch(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(changes.watch(self._db, self._settings.database_url)) as watched:
                    async for _ in watched:
                        routes = await within(READ_SECONDS, self._read())
                        if routes != self._routes:
                            self._routes, self._changed_at = routes, time.time()
                            self._until = time.monotonic() + AFTERWARDS_SECONDS
                            log.info("mail_systems.routes_changed", open=sorted(transports(routes).values()))
                            for event in self._changed.values():
                                event.set()
            except Exception as error:  # noqa: BLE001 - whatever it is, the store is watched again
                log.warning("mail_systems.no_store", reason=f"{type(error).__name__}: {error}"[:200])
                with contextlib.suppress(Exception):
                    await self._db.renew()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self) -> Routes:
        async with self._db.snapshot() as session:
            return await repository.routes(session, self._settings.gate_default_pool)

    async def _drive(self, system: MailSystem) -> None:
        changed = self._changed[system.name]
        while True:
            changed.clear()
            # Sources first: mail must not be put back to an IP that the mail system does not know yet.
            await self._apply(system)
            busy = time.monotonic() < self._until
            failed = False
            if self._routes is not None and (busy or self._due(system)):
                failed = not await self._follow(system, self._routes)
            wait = LOOK_SECONDS if busy else AGAIN_SECONDS if failed else self._settings.mail_systems_apply_seconds
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), wait)

    def _due(self, system: MailSystem) -> bool:
        """Whether a mail system is looked at without a change: it failed, or may have forgotten (a restart)."""
        last = self._followed.get(system.name)
        return last is None or time.monotonic() - last >= self._settings.mail_systems_follow_seconds

    async def _follow(self, system: MailSystem, routes: Routes) -> bool:
        self._followed.pop(system.name, None)
        if taken := await self._told(system, system.follow(routes, self._changed_at)):
            self._followed[system.name] = time.monotonic()
        return taken

    async def _apply(self, system: MailSystem) -> None:
        try:
            wanted = await self.wanted()
        except Exception as error:  # noqa: BLE001 - the store may answer the next time
            log.warning("mail_systems.no_store", reason=f"{type(error).__name__}: {error}"[:200])
            return
        if wanted != self._known.get(system.name) and await self._told(system, system.apply(wanted)):
            self._known[system.name] = wanted

    async def wanted(self) -> list[Source]:
        """The sources that every mail system has to know now."""
        return await within(READ_SECONDS, _read(self._db, round(time.time() * 1000)))

    async def _told(self, system: MailSystem, doing: Awaitable[list[str]]) -> bool:
        try:
            done = await doing
        except MailSystemError as error:
            log.error("mail_systems.refused", system=system.name, reason=str(error))
            return False
        except Exception as error:  # noqa: BLE001 - one mail system must not keep the others from being told
            log.error("mail_systems.failed", system=system.name, reason=f"{type(error).__name__}: {error}"[:200])
            return False
        for one in done:
            log.info("mail_systems.changed", system=system.name, what=one)
        return True


async def follow(settings: Settings, systems: Sequence[MailSystem]) -> None:
    """Follow until SIGTERM or SIGINT."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous, pool_size=3)
    running = asyncio.create_task(Follower(settings, db, systems).run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    (ended,) = await asyncio.gather(running, return_exceptions=True)
    stopping.cancel()
    await db.close()
    if isinstance(ended, Exception):
        raise ended  # a service that ends by itself must not look like one that was stopped


async def read_sources(settings: Settings, at_ms: int) -> list[Source]:
    """The sources of an installation at an instant."""
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous, pool_size=1)
    try:
        return await _read(db, at_ms)
    finally:
        await db.close()


async def _read(db: Database, at_ms: int) -> list[Source]:
    async with db.read() as session:
        return await sources.sending(session, at_ms)
