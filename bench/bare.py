"""The bare insert that events are measured against: the raw driver, nothing of ours.

A batch is one transaction with the same duplicate check (``ON CONFLICT DO NOTHING`` on the source's
id), the same sums (an upsert) and the same durability as the product's. It is what a good program
without signatures, HTTP, models and an ORM would do.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from pathlib import Path

Row = tuple[str, str, str, str, str, int, str, str, str]

_INSERT = (
    "INSERT INTO mail_event (source, event_id, kind, address, provider, at_ms, recipient, message_id, detail) "
    "SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8 "
    "FROM json_each(?) WHERE true ON CONFLICT (source, event_id) DO NOTHING RETURNING address, provider, at_ms"
)
_ADD = (
    "INSERT INTO figure (address, slice_ms, provider, attempted, delivered, bounced, blocked, deferred, complained) "
    "VALUES (?, ?, ?, 0, ?, 0, 0, 0, 0) "
    "ON CONFLICT (address, slice_ms, provider) DO UPDATE SET delivered = delivered + excluded.delivered"
)
_SLICE_MS = 900_000


def rows(post: int, count: int) -> list[Row]:
    """Delivered events as they stand in the database."""
    at = int(time.time() * 1000)
    return [("bare", f"{post}:{n}", "delivered", "198.51.100.7", "gmail", at, "", "", "") for n in range(count)]


def insert(file: Path, batches: list[list[Row]]) -> float:
    """Rows a second into the tables of an SQLite file, one transaction a batch."""
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode=wal", "synchronous=full", "busy_timeout=30000", "foreign_keys=on"):
        connection.execute(f"PRAGMA {pragma}")
    began = time.perf_counter()
    for batch in batches:
        connection.execute("BEGIN IMMEDIATE")
        new = connection.execute(_INSERT, (json.dumps(batch),)).fetchall()
        sums = Counter((address, at - at % _SLICE_MS, provider) for address, provider, at in new)
        connection.executemany(_ADD, [(*key, count) for key, count in sums.items()])
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return sum(map(len, batches)) / took
