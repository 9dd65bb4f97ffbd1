"""Writing events, on a DB-API cursor: their keys, the new ones, their sums, in the caller's transaction.

This is the hot way in (``bench/events.py``). A batch costs three statements, whatever its size: on
SQLite as rows of ``VALUES``, which its parser reads faster than JSON, on PostgreSQL as arrays. No
statement answers a row an event: fetching each takes the interpreter's lock once more, which hurts while
another thread parses the next batch.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Iterable, Sequence

from domain.events import COUNTED, WITHOUT_DETAIL, Kind, MailEvent, storable
from domain.figures import Figures
from domain.replies.reading import LONGEST
from store import replies_writing
from store.events_attribution import attribute
from store.rows import KEY_LENGTH, ROWS, TEXT_LENGTH, Cursor, Row, put, short

#: Sums kept, in the order of their columns.
COUNTS = tuple(Figures.model_fields)

_EVENT = (
    "source", "event_id", "kind", "address", "provider", "sender", "campaign", "recipient", "message_id",
    "detail", "reply_class", "at_ms", "received_day",
)  # fmt: skip
_FIGURE = ("address", "slice_ms", "provider", "sender", "campaign", *COUNTS)
_KEY = ("source", "event_id", "received_us")
_UNPLACED = ("source", "event_id", "told", "booked", "since_ms", "due_ms")
_PLACE = {name: place for place, name in enumerate(COUNTS)}
_ADDS_TO = {kind: _PLACE[name] for kind, name in COUNTED.items()}
#: Asked of each event: looking a member up in its enumeration takes ten times as long.
_DEFERRED = Kind.DEFERRED
#: What adds to sums that are there.
_ADDING = " ON CONFLICT (address, slice_ms, provider, sender, campaign) DO UPDATE SET " + ", ".join(
    f"{name} = figure.{name} + excluded.{name}" for name in COUNTS
)

#: An event under the key that its duplicates share.
Keyed = tuple[tuple[str, str], MailEvent]


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
        first.setdefault((event.source, stored_key(event)), event)
    if not first:
        return []
    received_us = time.time_ns() // 1000
    _make_public(cursor, first.values())
    unsettled = attribute(cursor, dialect, first.values())
    given = list(first.items())
    keys = [(source, key, received_us) for source, key in first]
    new = (_new_on_sqlite if dialect == "sqlite" else _new_on_postgresql)(cursor, keys, given)
    if new:
        _cap(cursor, dialect, new, unsettled)
        rows = event_rows(new, received_us // 86_400_000_000)
        put(cursor, dialect, "mail_event", _EVENT, rows)
        add(cursor, dialect, summed(rows, [event for _, event in new], slice_ms, received_us // 1000))
        putting = functools.partial(put, cursor, dialect)
        replies_writing.count(putting, dialect, (event for _, event in new), received_us // 86_400_000_000)
        if unsettled:
            _keep(cursor, dialect, new, unsettled, received_us // 1000)
    return [event for _, event in new]


def _cap(cursor: Cursor, dialect: str, new: Iterable[Keyed], unsettled: dict[int, MailEvent]) -> None:
    """Let complaints whose reporter knows only candidates count no more often than there are candidates of a mail."""
    for (source, _), one in new:
        if one.candidates and one.kind is Kind.COMPLAINED and one.message_id:
            places = (short(f"one of {one.message_id}:{one.recipient}:{place}") for place in range(one.candidates))
            if not any(claim(cursor, dialect, source, place) for place in places):
                one.kind = Kind.FEEDBACK
                unsettled.pop(id(one), None)


def claim(cursor: Cursor, dialect: str, source: str, key: str) -> bool:
    """Take a key that may be used once, such as the token of a signature; False when it was used."""
    mark = "?" if dialect == "sqlite" else "%s"
    cursor.execute(
        f"INSERT INTO event_key (source, event_id, received_us) VALUES ({mark}, {mark}, {mark}) ON CONFLICT DO NOTHING",
        (source, short(key), time.time_ns() // 1000),
    )
    return cursor.rowcount == 1


def stored_key(event: MailEvent) -> str:
    """The key that an event is known by."""
    key = event.once_key()
    # Neither NUL nor half a surrogate pair is printable; both are rare, as are long keys.
    return key if len(key) <= KEY_LENGTH and key.isprintable() else short(key)


def event_rows(new: Iterable[Keyed], day: int) -> list[Row]:
    """Rows of events that were stored on a day (days since 1970)."""
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
    for at in range(0, len(keys), ROWS):
        part, events = keys[at : at + ROWS], given[at : at + ROWS]
        if put(cursor, "sqlite", "event_key", _KEY, part, " ON CONFLICT DO NOTHING") == len(part):
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


def _keep(cursor: Cursor, dialect: str, new: Iterable[Keyed], unsettled: dict[int, MailEvent], now_ms: int) -> None:
    """Remember those of which more may be known once events of their mail come (``store/events_placing.py``)."""
    rows: list[Row] = []
    for (source, key), one in new:
        told = unsettled.get(id(one))
        if told is not None:
            booked = "" if told is one else as_text(one)
            rows.append((source, key, as_text(told), booked, now_ms, now_ms))
    if rows:
        put(cursor, dialect, "unplaced_event", _UNPLACED, rows)


def as_text(event: MailEvent) -> str:
    """All of an event, in a form that every database stores."""
    # What is longer, no rule reads.
    return json.dumps(dataclasses.asdict(dataclasses.replace(event, detail=event.detail[:LONGEST])))


def summed(rows: Iterable[Row], new: Iterable[MailEvent], slice_ms: int, now_ms: int) -> dict[Row, list[int]]:
    """What events and their rows add to the sums, by the key of a sum."""
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
        if one.kind is _DEFERRED and one.limits_rate:
            counts[_PLACE["limited"]] += 1
    return sums


def add(cursor: Cursor, dialect: str, sums: dict[Row, list[int]]) -> None:
    """Add to the sums, in the order of their keys."""
    if sums:
        put(cursor, dialect, "figure", _FIGURE, [(*key, *counts) for key, counts in sorted(sums.items())], _ADDING)
