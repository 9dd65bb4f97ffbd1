"""Between a desk and the ledger: leases blocks for what waits, gives back what is not used."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from domain.allowance import Allowance
from domain.blocks import Block
from domain.routing import Exit
from gate.desk import Desk, Key, Look, Need
from store import gate as repository
from store.database import Database
from store.file_writer import FileWriter
from store.patience import within

log = structlog.get_logger()

#: Changes no row, and fails where nothing can be written.
_PROBE = sa.text("UPDATE route_version SET version = version WHERE id < 0")

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
    """The only one of a gate who asks the ledger.

    Args:
        unheard: why the gate does not know the present pauses and routes, empty when it does; nothing is leased then.
    """

    def __init__(self, db: Database, desk: Desk, day_seconds: float, unheard: Callable[[], str] = lambda: "") -> None:
        self._db, self._desk, self._day_seconds, self._unheard = db, desk, day_seconds, unheard
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
        #: IPs with a block that may have been booked before the last reading but was not in memory when that looked.
        self.doubtful: set[str] = set()

    def ahead(self, need: Need) -> None:
        """Lease in the background."""
        self._join(need, 0)

    async def finish(self) -> None:
        """Lease nothing more; what is being booked arrives before this returns."""
        self._asks.clear()
        self._most = 0
        await asyncio.gather(*self._workers, *self._looks.values(), return_exceptions=True)
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
        if why := self._rests():
            return why
        at_ms = int(time.time() * 1000)
        try:
            found = await within(STORE_SECONDS, self._allowances(look, at_ms))
        except Exception as error:  # noqa: BLE001 - whatever the driver says, nothing is known
            await self._silence(error)
            return self.silent
        self._desk.learn(look, found)
        return ""

    async def _allowances(self, look: Look, at_ms: int) -> dict[str, tuple[Allowance, int]]:
        async with self._db.read() as session:
            return await repository.allowances(session, look.addresses, look.provider, at_ms)

    def _join(self, need: Need, waiting: int) -> Ask:
        key = (need.exit.address, need.provider)
        running = self._running.get(key)
        if running is not None:
            return running
        ask = self._asks.get(key)
        if ask is None:
            ask = self._asks[key] = Ask(need.exit)
        # Looked at for an ask that waits already, too: one whose worker was lost would wait for ever.
        if self._at_work < min(self._most, len(self._asks)):
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
        if why := self._rests():
            self._answer(batch, why)
            return
        readings = self._desk.readings
        try:
            taken = await within(self._seconds, self._book(batch))
        except Exception as error:  # noqa: BLE001 - whatever the driver says, nothing was granted to us
            await self._silence(error)
            self._answer(batch, self.silent)
            return
        self._answers_again()
        if self._desk.readings != readings:
            self.doubtful |= {address for address, _ in taken}
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

    async def probe(self) -> None:
        """Ask a store that fell silent whether it can be written to: without a question nobody else would find out."""
        if not self.silent or self._rests():
            return
        try:
            await within(self._seconds, self._write_nothing())
        except Exception as error:  # noqa: BLE001 - it is asked again after the rest
            await self._silence(error)
            return
        self._answers_again()

    async def _write_nothing(self) -> None:
        async with self._db.write() as session:
            await (await session.connection()).execute(_PROBE)

    def _rests(self) -> str:
        """Why the store is not asked now. A question in the rest does not prolong it: under load none would end."""
        if self.silent and time.monotonic() < self._rests_until:
            return self.silent
        return self._unheard()

    async def _silence(self, error: Exception) -> None:
        reason = f"the store does not answer ({type(error).__name__})"
        if isinstance(error, TimeoutError):
            reason = f"the store has not answered for {STORE_SECONDS:.0f} s"
            with contextlib.suppress(Exception):
                await self._db.renew()
        if not self.silent:
            log.warning("gate.store_silent", reason=reason)
        self.silent, self._rests_until = reason, time.monotonic() + REST_SECONDS

    def _answers_again(self) -> None:
        if self.silent:
            log.info("gate.store_answers_again")
            self.silent = ""

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
                returned = await within(self._seconds, self._return(group))
            self._desk.counts["returned"] += returned
            self._desk.counts["lost"] += count - returned
            if returned < count:
                log.warning("gate.allowance_lost", mails=count - returned)

    async def _return(self, group: list[Block]) -> int:
        async with self._db.write() as session:
            return await repository.give_back(session, group)
