"""A gate as a process: listens, follows the store, gives back what it does not use, drains."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop

import logs
import settings as configuration
from domain.routing import Routes
from gate.connection import Connections
from gate.counter import Counter
from gate.desk import Desk, Need
from gate.lessor import Lessor
from gate.policy import Policy
from gate.providers import Providers
from gate.socketmap import Socketmap
from gate.status import HEAD_BYTES, Figures, Status
from settings import Settings
from store import changes, overruns
from store import gate as repository
from store.database import Database
from store.patience import within

log = structlog.get_logger()

#: Seconds between looks for blocks to give back, for silent connections, and for messages to forget.
UNUSED_SECONDS, SILENT_SECONDS, MESSAGES_SECONDS = 0.25, 5.0, 300.0
#: Seconds until the store is watched again after it failed, and that one reading may take.
AGAIN_SECONDS, READ_SECONDS = 0.2, 5.0
#: Longest pause between two readings while changes go on; a change is heard within a second.
MOST_REST_SECONDS = 0.25
#: Seconds after the last reading from which on nothing more is leased; one is due every five.
UNHEARD_SECONDS = 12.0
#: Seconds for answers under way, and for the way back of allowance, at the end.
DRAIN_SECONDS = 5.0
#: Gates side by side on one machine, and bursts of Postfix processes, queue here.
BACKLOG = 1024


class Gate:
    """One gate; :meth:`start`, then :meth:`stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous, pool_size=10)
        self.desk = Desk(
            filters=settings.gate_filter,
            next_hop=settings.gate_next_hop,
            most=settings.gate_block_most,
            ahead=self._ahead,
        )
        self._lessor = Lessor(self._db, self.desk, settings.day_seconds, self._unheard)
        providers = Providers(settings.gate_resolver, settings.gate_mx_seconds)
        self._counter = Counter(self.desk, self._lessor, providers, settings.gate_answer_seconds)
        self._listeners = {
            "policy": Connections(settings.gate_connections),
            "socketmap": Connections(settings.gate_connections),
        }
        self._watching = "the store was not read yet"
        self._read_at = time.monotonic()
        self._servers: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []

    def _ahead(self, need: Need) -> None:
        if not self._trouble():
            self._lessor.ahead(need)

    def _unheard(self) -> str:
        """Why a pause or a switch may have passed unheard; empty when none can."""
        if self._watching:
            return self._watching
        silent = time.monotonic() - self._read_at
        return f"pauses and routes were last read {silent:.0f} s ago" if silent > UNHEARD_SECONDS else ""

    def _trouble(self) -> str:
        """Why this gate is not at its best; empty when it is."""
        return self._unheard() or self._lessor.silent

    async def start(self) -> None:
        """Listen and begin to follow the store.

        Raises:
            OSError: a port is taken.
        """
        loop, chosen = asyncio.get_running_loop(), self._settings
        policy, maps = self._listeners["policy"], self._listeners["socketmap"]
        for factory, port in (
            (lambda: Policy(policy, self._counter), chosen.gate_policy_port),
            (lambda: Socketmap(maps, self._counter), chosen.gate_socketmap_port),
        ):
            self._servers.append(await loop.create_server(factory, chosen.gate_host, port, backlog=BACKLOG))
        status = Status(Figures(self.desk, self._listeners, self._trouble), self._trouble)
        self._servers.append(
            await asyncio.start_server(status.serve, chosen.gate_host, chosen.gate_http_port, limit=HEAD_BYTES)
        )
        for work in (
            self._follow(),
            self._every(UNUSED_SECONDS, self._give_back_unused),
            self._every(SILENT_SECONDS, self._sweep),
            self._every(MESSAGES_SECONDS, self._forget),
            self._every(chosen.gate_reconcile_seconds, self._reconcile),
        ):
            self._tasks.append(asyncio.create_task(work))
        log.info("gate.listens", policy=chosen.gate_policy_port, socketmap=chosen.gate_socketmap_port)

    async def stop(self) -> None:
        """Take no more questions, answer those under way, give the allowance back."""
        for server in self._servers:
            server.close()
        for one in self._listeners.values():
            one.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while any(one.open for one in self._listeners.values()):
                    await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._lessor.finish()
                await self._lessor.give_back(self.desk.all_blocks())
        counts = self.desk.counts
        log.info("gate.stopped", allowed=counts["allowed"], returned=counts["returned"], lost=counts["lost"])
        await self._db.close()

    async def _follow(self) -> None:
        """Read the routes at every change; a store that fails is watched again until it answers."""
        while True:
            try:
                async with contextlib.aclosing(changes.watch(self._db, self._settings.database_url)) as watched:
                    async for _ in watched:
                        began = asyncio.get_running_loop().time()
                        await self._read()
                        if self._watching:
                            log.info("gate.reads_the_store")
                            self._watching = ""
                        # Changes on end must not keep a gate of a large fleet from answering.
                        await asyncio.sleep(min(MOST_REST_SECONDS, asyncio.get_running_loop().time() - began))
            except Exception as error:  # noqa: BLE001 - whatever it is, mail waits for the next try
                if not self._watching or self.desk.routes is None:
                    log.warning("gate.does_not_read_the_store", reason=f"{type(error).__name__}: {error}"[:200])
                self._watching = f"the store cannot be read ({type(error).__name__})"
                with contextlib.suppress(Exception):
                    await self._db.renew()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _read(self) -> None:
        routes, outdated, looked = await within(READ_SECONDS, self._routes())
        self.desk.install(routes)
        self._read_at = time.monotonic()
        # Blocks that came while this reading was under way; it did not look at them.
        self._lessor.doubtful |= {
            one.address for one in self.desk.blocks.values() if (one.address, one.starts_ms) not in looked
        }
        await self._lessor.give_back(self.desk.unused(outdated))

    async def _routes(self) -> tuple[Routes, set[str], set[tuple[str, int]]]:
        """Routes, the addresses whose blocks must go back, and what was looked at: addresses with starts of windows."""
        held = list(self.desk.blocks.values())
        looked = {(one.address, one.starts_ms) for one in held}
        async with self._db.snapshot() as session:
            routes = await repository.routes(session, self._settings.gate_default_pool)
            return routes, await repository.outdated(session, held, int(time.time() * 1000)), looked

    async def _give_back_unused(self) -> None:
        await self._lessor.probe()
        # Without its store a gate keeps what it has: the way back would only lose it.
        if not self._trouble():
            await self._lessor.give_back(self.desk.unused(await self._cut()))

    async def _cut(self) -> set[str]:
        """Of the blocks that the last reading could not look at, the addresses whose blocks must go back."""
        doubtful, self._lessor.doubtful = self._lessor.doubtful, set()
        held = [one for one in self.desk.blocks.values() if one.address in doubtful]
        if not held:
            return set()
        try:
            async with self._db.read() as session:
                return await repository.outdated(session, held, int(time.time() * 1000))
        except Exception:
            # The next turn looks again. Doubts that come while this reads are kept apart: it may have read before them.
            self._lessor.doubtful |= doubtful
            raise

    async def _sweep(self) -> None:
        for one in self._listeners.values():
            one.sweep(asyncio.get_running_loop().time())

    async def _forget(self) -> None:
        self.desk.forget_messages()

    async def _reconcile(self) -> None:
        if self._trouble():
            return
        found = await overruns.check(self._db, int(time.time() * 1000), self._settings.day_seconds)
        for address, mails in found.items():
            log.error("gate.overrun", address=address, mails=mails)

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the next turn may go better
                log.warning("gate.turn_failed", work=work.__name__, reason=f"{type(error).__name__}: {error}"[:200])


async def run(settings: Settings) -> None:
    """A gate until SIGTERM or SIGINT."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gate = Gate(settings)
    await gate.start()
    await stop.wait()
    await gate.stop()


def main() -> int:
    """Run until told to stop; the answer is the exit code."""
    settings = configuration.load()
    logs.configure(settings)
    try:
        uvloop.run(run(settings))
    except OSError as error:
        sys.stderr.write(f"The gate cannot listen: {error.strerror or error}. See WARMPATH_GATE_POLICY_PORT.\n")
        return 1
    return 0
