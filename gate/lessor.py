"""Between a desk and the ledger: leases blocks for what waits, gives back what is not used."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from domain.blocks import Block
from domain.routing import Exit
from gate.desk import Desk, Key, Look, Need
from store import gate as repository
from store.database import Database
from store.file_writer import FileWriter

log = structlog.get_logger()

#: Seconds one transaction may take before the store counts as silent; what it booked then is lost.
STORE_SECONDS = 2.0
#: Transactions at once on PostgreSQL; SQLite has one writer.
AT_ONCE = 8
#: Seconds in which the store is not asked again after it failed.
REST_SECONDS = 0.2


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class StoreSilent(Exception):
    """The ledger cannot be asked now; the message is for whoever waits."""


@dataclass
class Ask:
    """Questions that wait for one IP and provider."""

    exit: Exit
    waiting: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    failed: str = ""


class Lessor:
    """The only one of a gate who asks the ledger."""

    def __init__(self, db: Database, desk: Desk, day_seconds: float) -> None:
        self._db, self._desk, self._day_seconds = db, desk, day_seconds
        self._asks: dict[Key, Ask] = {}
        self._running: dict[Key, Ask] = {}
        self._looks: dict[Look, asyncio.Task[str]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        # Counted here and not by the set: a task that saw nothing more to do is still in the set for a moment,
        # and an ask that came then would wait for ever.
        self._at_work = 0
        postgresql = db.dialect == "postgresql"
        self._most, self._alone = (AT_ONCE if postgresql else 1), postgresql
        # A file does not fall silent, its lock is only busy: what is booked late is still ours.
        self._seconds = STORE_SECONDS if postgresql else None
        self._rests_until = 0.0
        self._file = None if postgresql else FileWriter(db)
        self.silent = ""

    def ahead(self, need: Need) -> None:
        """Lease in the background."""
        self._join(need, 0)

    async def finish(self) -> None:
        """Lease nothing more; what is being booked arrives before this returns."""
        self._asks.clear()
        self._most = 0
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._file is not None:
            await asyncio.to_thread(self._file.close)

    async def lease(self, need: Need) -> None:
        """Return when the desk holds a block, or a refusal, for what is missing.

        Raises:
            StoreSilent: the store does not answer.
        """
        ask = self._join(need, 1)
        await ask.done.wait()
        if ask.failed:
            raise StoreSilent(ask.failed)

    async def look(self, look: Look) -> None:
        """Return when the desk knows what these IPs have left; questions that need the same look together.

        Raises:
            StoreSilent: the store does not answer.
        """
        running = self._looks.get(look)
        if running is None:
            running = self._looks[look] = asyncio.create_task(self._read(look))
            running.add_done_callback(lambda _: self._looks.pop(look, None))
        if failed := await asyncio.shield(running):
            raise StoreSilent(failed)

    async def _read(self, look: Look) -> str:
        if self._rests():
            return self.silent
        at_ms = int(time.time() * 1000)
        try:
            async with asyncio.timeout(STORE_SECONDS), self._db.read() as session:
                found = await repository.allowances(session, look.addresses, look.provider, at_ms)
        except Exception as error:  # noqa: BLE001 - whatever the driver says, nothing is known
            self._silence(_said(error))
            return self.silent
        self._desk.learn(look, found)
        return ""

    def _join(self, need: Need, waiting: int) -> Ask:
        key = (need.exit.address, need.provider)
        running = self._running.get(key)
        if running is not None:
            return running
        ask = self._asks.get(key)
        if ask is None:
            ask = self._asks[key] = Ask(need.exit)
            if self._at_work < self._most:
                self._at_work += 1
                task = asyncio.create_task(self._work())
                self._workers.add(task)
                task.add_done_callback(self._workers.discard)
        ask.waiting += waiting
        return ask

    async def _work(self) -> None:
        try:
            await self._work_off()
        finally:
            self._at_work -= 1

    async def _work_off(self) -> None:
        while self._asks:
            # One IP a transaction on PostgreSQL: gates and API then never wait for each other in a circle.
            address = next(iter(self._asks))[0] if self._alone else None
            batch = {key: one for key, one in self._asks.items() if address is None or key[0] == address}
            for key in batch:
                del self._asks[key]
            self._running.update(batch)
            try:
                await self._take(batch)
            finally:
                for key, ask in batch.items():
                    self._running.pop(key, None)
                    ask.done.set()

    async def _take(self, batch: dict[Key, Ask]) -> None:
        if self._rests():
            self._answer(batch, self.silent)
            return
        try:
            async with asyncio.timeout(self._seconds):
                taken = await self._book(batch)
        except Exception as error:  # noqa: BLE001 - whatever the driver says, nothing was granted to us
            self._silence(_said(error))
            self._answer(batch, self.silent)
            return
        if self.silent:
            log.info("gate.store_answers_again")
            self.silent = ""
        replaced: list[Block] = []
        for key, got in taken.items():
            if isinstance(got, Block):
                if (old := self._desk.put(got)) is not None:
                    replaced.append(old)
            else:
                self._desk.refuse(key, got.reason, got.until_ms)
        if replaced:
            await self.give_back(replaced)

    async def _book(self, batch: dict[Key, Ask]) -> dict[Key, Block | repository.Refusal]:
        taken: dict[Key, Block | repository.Refusal] = {}
        sizes = {key: self._desk.size(key, batch[key].waiting) for key in sorted(batch)}
        if self._file is not None:
            taken.update(await self._file.transaction(lambda cursor: repository.take_on_file(cursor, sizes, _now_ms())))
            if len(taken) == len(batch):
                return taken
        try:
            taken.update(await self._book_rest(batch, {key: sizes[key] for key in sizes if key not in taken}))
        except Exception:
            if not taken:
                raise
            # What is booked is used; who still waits asks again and hears of the trouble.
        return taken

    async def _book_rest(self, batch: dict[Key, Ask], sizes: dict[Key, int]) -> dict[Key, Block | repository.Refusal]:
        """Blocks that take more than a booking: a window to open, a refusal to put into words."""
        async with self._db.write() as session:
            at_ms = _now_ms()
            return {
                (address, provider): await repository.take(
                    session, batch[address, provider].exit, provider, count, at_ms, self._day_seconds
                )
                for (address, provider), count in sizes.items()
            }

    def _rests(self) -> bool:
        """Whether the store is not asked now. A question in the rest does not prolong it: under load none would end."""
        return bool(self.silent) and time.monotonic() < self._rests_until

    def _silence(self, reason: str) -> None:
        if not self.silent:
            log.warning("gate.store_silent", reason=reason)
        self.silent, self._rests_until = reason, time.monotonic() + REST_SECONDS

    @staticmethod
    def _answer(batch: dict[Key, Ask], reason: str) -> None:
        for ask in batch.values():
            ask.failed = reason

    async def give_back(self, blocks: Iterable[Block]) -> None:
        """Return allowance, each block once; what cannot be returned is lost, and counted."""
        groups: dict[str, list[Block]] = defaultdict(list)
        for one in blocks:
            groups[one.address if self._alone else ""].append(one)
        for group in groups.values():
            count, returned = sum(one.left for one in group), 0
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._seconds), self._db.write() as session:
                    booked = await repository.give_back(session, group)
                returned = booked
            self._desk.counts["returned"] += returned
            self._desk.counts["lost"] += count - returned
            if returned < count:
                log.warning("gate.allowance_lost", mails=count - returned)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"the store has not answered for {STORE_SECONDS:.0f} s"
    return f"the store does not answer ({type(error).__name__})"
