"""The bare insert that events are measured against: the raw driver, nothing of ours but the tables.

A batch is one transaction with the same duplicate check (a key, ``ON CONFLICT DO NOTHING``), the same
event row, the same sums (an upsert) and the same durability as the product's, written the fastest way
that was found for each driver: rows of ``VALUES`` on SQLite, arrays on PostgreSQL. It is what a good
program without signatures, HTTP, models and classes would do, on one connection.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

Row = tuple[Any, ...]
Insert = Callable[[Sequence[list[Row]]], float]

_COLUMNS = (
    "source, event_id, kind, address, provider, sender, campaign, recipient, message_id, detail, reply_class, "
    "at_ms, received_day"
)
_KEY, _EVENT = f"({', '.join('?' * 3)})", f"({', '.join('?' * 13)})"
_SUM = "(?, ?, ?, ?, ?, 0, ?, 0, 0, 0, 0, 0, 0, 0, 0)"
_FIGURE = (
    "INSERT INTO figure (address, slice_ms, provider, sender, campaign, attempted, delivered, bounced, blocked, "
    "failed, deferred, complained, limited, opened, replied) VALUES {} "
    "ON CONFLICT (address, slice_ms, provider, sender, campaign) "
    "DO UPDATE SET delivered = figure.delivered + excluded.delivered"
)
_ARRAYS = "text text text text text text text text text text text bigint bigint"
_SLICE_MS = 900_000


def rows(run: int, post: int, count: int) -> list[Row]:
    """Delivered events as they stand in the database."""
    at = int(time.time() * 1000)
    return [
        (
            "bare", f"{run}:{post}:{n}", "delivered", "198.51.100.7", "gmail", "shop", "spring",
            f"reader{post}.{n}@gmail.com", f"<{run}.{post}.{n}@shop.example>", "", "", at, at // 86_400_000,
        )
        for n in range(count)
    ]  # fmt: skip


def _sums(events: Sequence[Row]) -> list[Any]:
    counted = Counter((one[3], one[11] - one[11] % _SLICE_MS, *one[4:7]) for one in events)
    return [value for key, count in counted.items() for value in (*key, count)]


def on_sqlite(file: str) -> Insert:
    """A function that inserts batches into an SQLite file and answers events a second."""
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode=wal", "synchronous=full", "busy_timeout=30000", "foreign_keys=on"):
        connection.execute(f"PRAGMA {pragma}")

    def insert(batches: Sequence[list[Row]]) -> float:
        began = time.perf_counter()
        for batch in batches:
            stamp = time.time_ns() // 1000
            connection.execute("BEGIN IMMEDIATE")
            added = connection.execute(
                f"INSERT INTO event_key VALUES {', '.join([_KEY] * len(batch))} ON CONFLICT DO NOTHING",
                [value for one in batch for value in (one[0], one[1], stamp)],
            ).rowcount
            assert added == len(batch), "the bench makes no duplicates; a full program would look for them here"
            connection.execute(
                f"INSERT INTO mail_event ({_COLUMNS}) VALUES {', '.join([_EVENT] * len(batch))}",
                list(itertools.chain.from_iterable(batch)),
            )
            sums = _sums(batch)
            connection.execute(_FIGURE.format(", ".join([_SUM] * (len(sums) // 6))), sums)
            connection.execute("COMMIT")
        return sum(map(len, batches)) / (time.perf_counter() - began)

    return insert


def on_postgresql(url: str) -> Insert:
    """A function that inserts batches into PostgreSQL and answers events a second."""
    connection = psycopg.connect(url)
    arrays = ", ".join(f"%s::{kind}[]" for kind in _ARRAYS.split())

    def insert(batches: Sequence[list[Row]]) -> float:
        began = time.perf_counter()
        for batch in batches:
            stamp = time.time_ns() // 1000
            added = connection.execute(
                "INSERT INTO event_key SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) "
                "ON CONFLICT DO NOTHING",
                [[one[0] for one in batch], [one[1] for one in batch], [stamp] * len(batch)],
            ).rowcount
            assert added == len(batch), "the bench makes no duplicates; a full program would look for them here"
            connection.execute(
                f"INSERT INTO mail_event ({_COLUMNS}) SELECT * FROM unnest({arrays})",
                [list(one) for one in zip(*batch, strict=True)],
            )
            sums = _sums(batch)
            values = ", ".join([_SUM.replace("?", "%s")] * (len(sums) // 6))
            connection.execute(_FIGURE.format(values), sums)
            connection.commit()
        return sum(map(len, batches)) / (time.perf_counter() - began)

    return insert
