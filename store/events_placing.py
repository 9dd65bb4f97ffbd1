"""Events that came before their mail: given its IP, sender and day once other events tell of it.

Sources deliver in no order, so a bounce or a complaint that names only its mail may come first. It is stored and
counted as far as it goes, and kept in ``unplaced_event`` as its source told it. Here it is read again against the mails
known by now; what comes out otherwise is moved: its sums, its reply, and whoever must hear of it does. Each step is one
transaction that holds its rows, so any number of processes may do this, and none twice.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import mailbox
from domain.events import MailEvent
from domain.words import MailboxProvider
from store import events_writing, mailed, replies_writing
from store.database import Database
from store.events_attribution import attribute
from store.rows import Cursor, Row, put

#: Events of one step: on SQLite nobody else writes meanwhile.
STEP = 50
#: An event is looked at again after as long as it has waited, within these bounds.
SOONEST_MS, LATEST_MS = 2_000, 3_600_000
DAY_MS = 86_400_000

#: What must be done at once for events that got their IP, in their transaction.
Then = Callable[[AsyncSession, Sequence[MailEvent]], Awaitable[None]]

_DUE = "SELECT source, event_id, told, booked, since_ms FROM unplaced_event WHERE due_ms <= :now ORDER BY due_ms"
#: Found by the index of replies; what came without words stays as it was stored, and nobody looks it up.
_STORED = "address = :address AND at_ms = :at AND detail <> '' AND source = :source AND event_id = :event_id"


@dataclass(eq=False)
class _Waiting:
    """A row: the event as it was told, as it is counted, and as it is to be counted now (None: not at all)."""

    source: str
    event_id: str
    told: MailEvent
    booked: MailEvent
    since_ms: int
    now: MailEvent | None = None
    settled: bool = False

    @property
    def changed(self) -> bool:
        return self.now is None or _what(self.now) != _what(self.booked)


async def step(db: Database, then: Then, *, slice_ms: int, kept_ms: int, now_ms: int) -> int:
    """Look at the events that are due; answers how many there were.

    Args:
        then: tells of events that got their IP.
        slice_ms: length of a slice of the sums.
        kept_ms: how long events are kept: after that no mail is found any more.
    """
    given = {"now": now_ms, "most": STEP}
    async with db.read() as session:
        # Mostly there are none, and a look is not worth a lock.
        if (await (await session.connection()).execute(sa.text(f"{_DUE} LIMIT 1"), given)).first() is None:
            return 0
    locked = " FOR UPDATE SKIP LOCKED" if db.dialect == "postgresql" else ""
    async with db.write() as session:
        connection = await session.connection()
        rows = [_row(*one) for one in await connection.execute(sa.text(f"{_DUE} LIMIT :most{locked}"), given)]
        for row in rows:
            row.now = await _seek(session, row)

        def booking(connection: sa.Connection) -> list[_Waiting]:
            cursor = cast(Cursor, connection.connection.cursor())
            _read_again(cursor, db.dialect, rows)
            return _move(cursor, db.dialect, rows, slice_ms)

        moved = await connection.run_sync(booking)
        for row in rows:
            await _keep(session, row, moved=row in moved, kept_ms=kept_ms, now_ms=now_ms)
        placed = [row.now for row in moved if row.now is not None and row.now.address and not row.booked.address]
        if placed:
            await then(session, placed)
    return len(rows)


def _row(source: str, event_id: str, told: str, booked: str, since_ms: int) -> _Waiting:
    return _Waiting(source, event_id, _event(told), _event(booked or told), since_ms)


def _event(text: str) -> MailEvent:
    return msgspec.convert(json.loads(text), MailEvent)


def _what(event: MailEvent) -> Row:
    """What decides where an event counts."""
    return event.address, event.booked_ms, event.provider, event.sender, event.campaign, event.recipient


async def _seek(session: AsyncSession, row: _Waiting) -> MailEvent | None:
    """The event as told; with its mail, when that is one of any source's."""
    event, sought = dataclasses.replace(row.told), row.told.sought
    if sought is None:
        return event
    if sought.queue_id and await mailed.logged(session, event.message_id, sought.queue_id):
        return None  # The log of our Postfix tells the same.
    mail = await mailed.find(session, event.message_id, sought.names, alone=sought.alone)
    if mail is not None:
        event.address, event.sent_ms, event.sender, event.campaign = (
            mail.address, mail.sent_ms, mail.sender, mail.campaign,
        )  # fmt: skip
        event.message_id, event.recipient, event.sought = mail.message_id, mail.recipient, None
        by_recipient = mailbox.by_recipient(mail.recipient)
        event.provider = event.provider if by_recipient is MailboxProvider.OTHER else by_recipient
        row.settled = True
    return event


def _read_again(cursor: Cursor, dialect: str, rows: Sequence[_Waiting]) -> None:
    """Find the mails of the rest among those of their own source, as when they came.

    Once an event counts for an IP, it stays there; its day and names may still be told better.
    """
    read = [row for row in rows if row.now is not None and row.told.sought is None]
    unsettled = attribute(cursor, dialect, [row.now for row in read if row.now is not None])
    for row in read:
        row.settled = id(row.now) not in unsettled
        if row.booked.address and row.now is not None:
            row.now = dataclasses.replace(row.now, address=row.booked.address) if row.now.address else row.booked


def _move(cursor: Cursor, dialect: str, rows: Sequence[_Waiting], slice_ms: int) -> list[_Waiting]:
    """Count anew what comes out otherwise now; answers which."""
    moved: list[_Waiting] = []
    sums: dict[Row, list[int]] = {}
    for row in sorted(rows, key=lambda row: (row.source, row.event_id)):
        if not row.changed:
            continue
        before = _sums(row, row.booked, slice_ms)
        if not all(_stands(cursor, dialect, key) for key in before):
            row.now, row.settled = row.booked, True  # Summed to its day long ago: it stays there.
            continue
        if row.now is not None:
            key = events_writing.stored_key(row.now)
            if key != row.event_id and not events_writing.claim(cursor, dialect, row.source, key):
                row.now = None  # The same was told again in the meantime, and counts.
        after = {} if row.now is None else _sums(row, row.now, slice_ms)
        for sign, part in ((-1, before), (1, after)):
            for figure, counts in part.items():
                _add(sums, figure, counts, sign)
        moved.append(row)
    events_writing.add(cursor, dialect, {key: counts for key, counts in sums.items() if any(counts)})
    _move_replies(cursor, dialect, moved)
    return moved


def _sums(row: _Waiting, event: MailEvent, slice_ms: int) -> dict[Row, list[int]]:
    stored = events_writing.event_rows([((row.source, row.event_id), event)], 0)
    return events_writing.summed(stored, [event], slice_ms, row.since_ms)


def _add(sums: dict[Row, list[int]], key: Row, counts: Sequence[int], sign: int) -> None:
    before = sums.get(key, [0] * len(counts))
    sums[key] = [one + sign * more for one, more in zip(before, counts, strict=True)]


def _stands(cursor: Cursor, dialect: str, key: Row) -> bool:
    mark = "?" if dialect == "sqlite" else "%s"
    cursor.execute(
        f"SELECT 1 FROM figure WHERE address = {mark} AND slice_ms = {mark} AND provider = {mark} "
        f"AND sender = {mark} AND campaign = {mark}",
        key,
    )
    return cursor.fetchone() is not None


def _move_replies(cursor: Cursor, dialect: str, moved: Sequence[_Waiting]) -> None:
    mark = "?" if dialect == "sqlite" else "%s"
    for today in sorted({row.since_ms // DAY_MS for row in moved}):
        of_day = [row for row in moved if row.since_ms // DAY_MS == today]
        less = replies_writing.count(
            functools.partial(put, cursor, dialect),
            dialect,
            [row.now for row in of_day if row.now is not None],
            today,
            [row.booked for row in of_day],
        )
        for reply in sorted(less):
            for table in ("reply_count", "reply_part"):
                cursor.execute(f"DELETE FROM {table} WHERE reply = {mark} AND day = {mark} AND count <= 0", reply)


async def _keep(session: AsyncSession, row: _Waiting, *, moved: bool, kept_ms: int, now_ms: int) -> None:
    connection, given = await session.connection(), {"source": row.source, "event_id": row.event_id}
    stored = {**given, "address": row.booked.address, "at": row.booked.at_ms}
    if moved and row.now is None:
        await connection.execute(sa.text(f"DELETE FROM mail_event WHERE {_STORED}"), stored)
    elif moved and row.now is not None:
        (values,) = events_writing.event_rows([((row.source, row.event_id), row.now)], 0)
        names = ("address", "provider", "sender", "campaign", "recipient", "message_id")
        await connection.execute(
            sa.text(f"UPDATE mail_event SET {', '.join(f'{name} = :new_{name}' for name in names)} WHERE {_STORED}"),
            {**stored, **{f"new_{name}": value for name, value in zip(names, values[3:9], strict=True)}},
        )
    waited = now_ms - row.since_ms
    if row.settled or row.now is None or waited >= kept_ms:
        await connection.execute(
            sa.text("DELETE FROM unplaced_event WHERE source = :source AND event_id = :event_id"), given
        )
        return
    due = now_ms + min(max(waited, SOONEST_MS), LATEST_MS, kept_ms - waited)
    await connection.execute(
        sa.text(
            "UPDATE unplaced_event SET booked = :booked, due_ms = :due WHERE source = :source AND event_id = :event_id"
        ),
        {**given, "booked": events_writing.as_text(row.now), "due": due},
    )
