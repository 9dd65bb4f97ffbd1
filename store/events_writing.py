"""Writing events, on a DB-API cursor: their keys, the new ones, their sums, in the caller's transaction.

This is the hot way in (``bench/events.py``). A batch costs three statements, whatever its size: on
SQLite as rows of ``VALUES``, which its parser reads faster than JSON, on PostgreSQL as arrays. No
statement answers a row an event: fetching each takes the interpreter's lock once more, which hurts while
another thread parses the next batch.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from domain.events import COUNTED, WITHOUT_DETAIL, Kind, MailEvent, storable
from domain.figures import Figures
from store import replies_writing

#: Sums kept, in the order of their columns.
COUNTS = tuple(Figures.model_fields)

_EVENT = (
    "source", "event_id", "kind", "address", "provider", "sender", "campaign", "recipient", "message_id",
    "detail", "reply_class", "at_ms", "received_day",
)  # fmt: skip
_FIGURE = ("address", "slice_ms", "provider", "sender", "campaign", *COUNTS)
_KEY = ("source", "event_id", "received_us")
_NUMBERS = frozenset({"at_ms", "received_day", "received_us", "slice_ms", *COUNTS, *replies_writing.NUMBERS})
#: Rows of one statement on SQLite: 13 columns of them stay far below its 32,766 variables, and the
#: statement for a full one is compiled once.
_ROWS = 100
#: Characters of a key, and of the other texts of an event, that are stored.
KEY_LENGTH, TEXT_LENGTH = 400, 500
_PLACE = {name: place for place, name in enumerate(COUNTS)}
_ADDS_TO = {kind: _PLACE[name] for kind, name in COUNTED.items()}

Row = tuple[Any, ...]
#: An event under the key that its duplicates share.
Keyed = tuple[tuple[str, str], MailEvent]


class Cursor(Protocol):
    """What is used of a DB-API cursor."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Any:
        """Run a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> Any:
        """Every row that is left."""


def write(cursor: Cursor, dialect: str, batch: Sequence[MailEvent], slice_ms: int) -> list[MailEvent]:
    """Store events not seen before and add them to the sums.

    Args:
        batch: events of one or more sources, in any order, with repeats.
        slice_ms: length of a slice of the sums.

    Returns:
        The events that were new, in the order given; those that only name their mail carry its IP.
    """
    first: dict[tuple[str, str], MailEvent] = {}
    for event in batch:
        key = event.once_key()
        # Neither NUL nor half a surrogate pair is printable; both are rare, as are long keys.
        plain = len(key) <= KEY_LENGTH and key.isprintable()
        first.setdefault((event.source, key if plain else _short(key)), event)
    if not first:
        return []
    received_us = time.time_ns() // 1000
    _make_public(cursor, first.values())
    _attribute(cursor, dialect, first.values())
    given = list(first.items())
    keys = [(source, key, received_us) for source, key in first]
    new = (_new_on_sqlite if dialect == "sqlite" else _new_on_postgresql)(cursor, keys, given)
    if new:
        rows = _event_rows(new, received_us // 86_400_000_000)
        _put(cursor, dialect, "mail_event", _EVENT, rows)
        _add(cursor, dialect, rows, [event for _, event in new], slice_ms, received_us // 1000)
        put = functools.partial(_put, cursor, dialect)
        replies_writing.count(put, dialect, (event for _, event in new), received_us // 86_400_000_000)
    return [event for _, event in new]


def claim(cursor: Cursor, dialect: str, source: str, key: str) -> bool:
    """Take a key that may be used once, such as the token of a signature; False when it was used."""
    mark = "?" if dialect == "sqlite" else "%s"
    cursor.execute(
        f"INSERT INTO event_key (source, event_id, received_us) VALUES ({mark}, {mark}, {mark}) ON CONFLICT DO NOTHING",
        (source, _short(key), time.time_ns() // 1000),
    )
    return cursor.rowcount == 1


def _short(key: str) -> str:
    """A key as it is stored; a long one is its digest, since an index of PostgreSQL takes 2.7 kB."""
    key = storable(key)
    return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


def _event_rows(new: Iterable[Keyed], day: int) -> list[Row]:
    rows: list[Row] = [
        (
            source, key, one.kind._value_, one.address, one.provider._value_, one.sender, one.campaign,
            one.recipient[:TEXT_LENGTH], one.message_id[:TEXT_LENGTH],
            "" if one.kind in WITHOUT_DETAIL else one.detail[:TEXT_LENGTH], one.reply_class,
            one.at_ms, day,
        )
        for (source, key), one in new
    ]  # fmt: skip
    texts = "".join(["".join(row[:-2]) for row in rows])
    # Looking at each character for what is printable takes a tenth of the time of a batch here.
    if ("\0" not in texts) if texts.isascii() else texts.isprintable():
        return rows
    return [tuple(storable(one) if isinstance(one, str) else one for one in row) for row in rows]


def _attribute(cursor: Cursor, dialect: str, given: Iterable[MailEvent]) -> None:
    """Give reports that name only their mail the IP that sent it, its sender, and the day it was sent on."""
    asking = [
        one
        for one in given
        if (not one.address or (one.kind is Kind.COMPLAINED and one.sent_ms is None)) and one.message_id and one.counted
    ]
    told = [one for one in given if one.kind in _MAILED and one.message_id] if asking else []
    beside = [(*_mail_key(one), one.address, one.at_ms, one.sender, one.campaign) for one in told]
    for at in range(0, len(asking), _ROWS):
        part = asking[at : at + _ROWS]
        names = sorted({storable(one.message_id[:TEXT_LENGTH]) for one in part})
        if dialect == "sqlite":
            among, values = ", ".join("?" * len(names)), names
        else:
            among, values = "SELECT unnest(%s::text[])", [names]  # type: ignore[list-item]
        cursor.execute(
            "SELECT source, message_id, recipient, address, at_ms, sender, campaign FROM mail_event "
            f"WHERE message_id IN ({among}) AND kind IN ('sent', 'delivered') AND message_id <> ''",
            values,
        )
        mails = _mails([*beside, *cursor.fetchall()])
        for one in part:
            mail = mails.get(_mail_key(one))
            if mail is not None:
                one.address = one.address or mail[0]
                one.sender, one.campaign = one.sender or mail[2], one.campaign or mail[3]
                if one.sent_ms is None:
                    one.sent_ms = mail[1]


_MAILED = frozenset({Kind.SENT, Kind.DELIVERED})


def _mail_key(one: MailEvent) -> Row:
    return one.source, storable(one.message_id[:TEXT_LENGTH]), storable(one.recipient[:TEXT_LENGTH]).lower()


def _mails(rows: list[Row]) -> dict[Row, Row]:
    """Address, instant, sender and campaign of each mail of a recipient, by its key.

    The instant is that of its first event, the rest whatever event says it: most sources name the IP only when the mail
    was delivered.
    """
    found: dict[Row, Row] = {}
    for source, message_id, recipient, address, at_ms, sender, campaign in sorted(rows, key=lambda row: -row[4]):
        key = source, message_id, recipient.lower()
        late = found.get(key, ("", 0, "", ""))
        found[key] = address or late[0], at_ms, sender or late[2], campaign or late[3]
    return found


def _make_public(cursor: Cursor, given: Iterable[MailEvent]) -> None:
    """Give events of a mail system behind NAT the public address of the one it bound to."""
    bound = [one for one in given if one.bound_address and not one.address]
    if not bound:
        return
    cursor.execute("SELECT bind_address, address FROM ip WHERE bind_address IS NOT NULL AND retired_at IS NULL")
    public = dict(cursor.fetchall())
    for one in bound:
        one.address = public.get(one.bound_address, one.bound_address)


def _new_on_sqlite(cursor: Cursor, keys: list[Row], given: list[Keyed]) -> list[Keyed]:
    new: list[Keyed] = []
    for at in range(0, len(keys), _ROWS):
        part, events = keys[at : at + _ROWS], given[at : at + _ROWS]
        if _put(cursor, "sqlite", "event_key", _KEY, part, " ON CONFLICT DO NOTHING") == len(part):
            new.extend(events)
            continue
        # Rows of this transaction carry its time, and transactions that write come one after the other.
        cursor.execute(
            "SELECT json_group_array(given.key) FROM json_each(?) AS given JOIN event_key ON "
            "source = given.value->>0 AND event_id = given.value->>1 WHERE received_us = ?",
            (json.dumps([key[:2] for key in part]), part[0][2]),
        )
        new.extend(events[place] for place in sorted(json.loads(cursor.fetchone()[0])))
    return new


def _new_on_postgresql(cursor: Cursor, keys: list[Row], given: list[Keyed]) -> list[Keyed]:
    # Writers take the locks of keys in one order, or two of them could wait for each other.
    order = sorted(range(len(keys)), key=keys.__getitem__)
    cursor.execute(
        "WITH added AS (INSERT INTO event_key (source, event_id, received_us) "
        "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) ON CONFLICT DO NOTHING "
        "RETURNING source, event_id) SELECT array_agg(source), array_agg(event_id) FROM added",
        [[keys[place][column] for place in order] for column in range(3)],
    )
    sources, ids = cursor.fetchone()
    if sources is None:
        return []
    if len(ids) == len(keys):
        return given
    added = set(zip(sources, ids, strict=True))
    return [one for one in given if one[0] in added]


def _put(
    cursor: Cursor, dialect: str, table: str, columns: Sequence[str], rows: Sequence[Row], conflict: str = ""
) -> int:
    """Insert rows; answers how many were."""
    into = f"INSERT INTO {table} ({', '.join(columns)}) "
    if dialect != "sqlite":
        arrays = ", ".join(f"%s::{'bigint' if name in _NUMBERS else 'text'}[]" for name in columns)
        cursor.execute(
            f"{into}SELECT * FROM unnest({arrays}){conflict}", [list(one) for one in zip(*rows, strict=True)]
        )
        return cursor.rowcount
    count = 0
    row = f"({', '.join('?' * len(columns))})"
    for at in range(0, len(rows), _ROWS):
        part = rows[at : at + _ROWS]
        values = [value for one in part for value in one]
        cursor.execute(f"{into}VALUES {', '.join([row] * len(part))}{conflict}", values)
        count += cursor.rowcount
    return count


def _add(
    cursor: Cursor, dialect: str, rows: Iterable[Row], new: Iterable[MailEvent], slice_ms: int, now_ms: int
) -> None:
    sums: dict[Row, list[int]] = {}
    for row, one in zip(rows, new, strict=True):
        place = _ADDS_TO.get(one.kind)
        if place is None or one.local or not row[3]:
            continue
        booked = one.booked_ms
        # A source whose clock is ahead must not take mail out of the day that it was sent on.
        booked = booked if booked < now_ms else now_ms
        key = (row[3], booked - booked % slice_ms, row[4], row[5], row[6])
        counts = sums.get(key)
        if counts is None:
            counts = sums[key] = [0] * len(COUNTS)
        counts[place] += 1
        if one.kind is Kind.DEFERRED and one.limits_rate:
            counts[_PLACE["limited"]] += 1
    if sums:
        added = ", ".join(f"{name} = figure.{name} + excluded.{name}" for name in COUNTS)
        _put(
            cursor, dialect, "figure", _FIGURE, [(*key, *counts) for key, counts in sorted(sums.items())],
            f" ON CONFLICT (address, slice_ms, provider, sender, campaign) DO UPDATE SET {added}",
        )  # fmt: skip
