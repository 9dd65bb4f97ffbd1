"""Group commit: batches of events that wait together share one transaction, and each is answered after it.

A commit costs a wait for the disk, whatever it holds. While one runs, the batches that come meanwhile
gather, and the next one takes all of them; durability stays what it was, since nobody is answered before
the transaction that holds his events is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import ACTING, Kind, MailEvent
from domain.warmup import slice_ms
from store import events_writing
from store.database import Database
from store.file_writer import FileWriter
from store.rows import Cursor

#: Events of one transaction; a single batch may be larger.
GROUP = 2_000

#: Kinds that somebody must hear of, be it a workflow or a person.
_TOLD = ACTING | {Kind.UNKNOWN}
#: What must be done at once for new events, in their transaction; asked when a group holds any of these, or hearsay.
Then = Callable[[AsyncSession, Sequence[MailEvent]], Awaitable[None]]


@dataclass
class Batch:
    """Events that came together, and a key that lets them come once, such as a signature's token."""

    events: Sequence[MailEvent]
    once: tuple[str, str] | None = None


class Intake:
    """The way in for events of one process."""

    def __init__(self, db: Database, then: Then, *, day_seconds: float = 86_400.0) -> None:
        self._db = db
        self._then = then
        self._slice_ms = slice_ms(day_seconds)
        self._waiting: list[tuple[Batch, asyncio.Future[list[MailEvent] | None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._file = FileWriter(db)

    async def take(self, batch: Batch) -> list[MailEvent] | None:
        """Store a batch; answers its new events once they are committed, None when its key was used before."""
        done: asyncio.Future[list[MailEvent] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        if self._task is None:
            self._task = asyncio.create_task(self._commit_all())
        return await done

    async def close(self) -> None:
        """Let what waits be committed, then give back the connection."""
        if self._task is not None:
            await self._task
        await asyncio.to_thread(self._file.close)

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                try:
                    await self._commit(group)
                except Exception:  # noqa: BLE001 - one bad batch must not take the others with it
                    await self._commit_apart(group)
        finally:
            self._task = None

    def _next_group(self) -> list[tuple[Batch, asyncio.Future[list[MailEvent] | None]]]:
        size = count = 0
        for batch, _ in self._waiting:
            size += len(batch.events)
            if count and size > GROUP:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _commit(self, group: Sequence[tuple[Batch, asyncio.Future[list[MailEvent] | None]]]) -> None:
        answers = await self._transaction([batch for batch, _ in group])
        for (_, done), answer in zip(group, answers, strict=True):
            if not done.done():  # whoever asked may have gone
                done.set_result(answer)

    async def _commit_apart(self, group: Sequence[tuple[Batch, asyncio.Future[list[MailEvent] | None]]]) -> None:
        for one in group:
            try:
                await self._commit([one])
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                if not one[1].done():
                    one[1].set_exception(error)

    async def _transaction(self, batches: Sequence[Batch]) -> list[list[MailEvent] | None]:
        def writing(connection: sa.Connection) -> list[list[MailEvent] | None]:
            return self._write(cast(Cursor, connection.connection.cursor()), batches)

        if any(event.kind in _TOLD or event.hearsay for batch in batches for event in batch.events):
            async with self._db.write() as session:
                answers = await (await session.connection()).run_sync(writing)
                await self._then(session, [event for one in answers if one for event in one])
                return answers
        if self._db.dialect != "sqlite":
            async with self._db.writer.begin() as connection:
                return await connection.run_sync(writing)
        async with self._db.turn:
            return await self._file.transaction(lambda cursor: self._write(cursor, batches))

    def _write(self, cursor: Cursor, batches: Sequence[Batch]) -> list[list[MailEvent] | None]:
        dialect = self._db.dialect
        used = [one.once is not None and not events_writing.claim(cursor, dialect, *one.once) for one in batches]
        given = [event for one, late in zip(batches, used, strict=True) if not late for event in one.events]
        new = events_writing.write(cursor, dialect, given, self._slice_ms)
        if len(new) == len(given):  # Mostly nothing comes twice.
            return [None if late else list(one.events) for one, late in zip(batches, used, strict=True)]
        fresh = {id(event) for event in new}
        return [
            None if late else [event for event in one.events if id(event) in fresh]
            for one, late in zip(batches, used, strict=True)
        ]
