"""Transactions on an SQLite file in a thread of their own."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from store.database import Database
from store.file_writer import FileWriter


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "one.sqlite"
    made = sqlite3.connect(file)
    made.execute("CREATE TABLE mail (name TEXT PRIMARY KEY)")
    made.close()
    return file


def add(name: str) -> Callable[[sqlite3.Cursor], int]:
    return lambda cursor: cursor.execute("INSERT INTO mail VALUES (?)", (name,)).rowcount


def names(file: Path) -> list[str]:
    reading = sqlite3.connect(file)
    found = [name for (name,) in reading.execute("SELECT name FROM mail ORDER BY name")]
    reading.close()
    return found


async def test_what_is_answered_is_committed(file: Path) -> None:
    db = Database.open(f"sqlite:///{file}")
    writer = FileWriter(db)
    assert await writer.transaction(add("one")) == 1
    assert names(file) == ["one"]
    writer.close()
    await db.close()


async def test_what_fails_leaves_nothing_and_the_next_one_goes_on(file: Path) -> None:
    db = Database.open(f"sqlite:///{file}")
    writer = FileWriter(db)

    def twice(cursor: sqlite3.Cursor) -> None:
        cursor.execute("INSERT INTO mail VALUES ('one')")
        cursor.execute("INSERT INTO mail VALUES ('one')")

    with pytest.raises(sqlite3.IntegrityError) as held:
        await writer.transaction(twice)
    assert names(file) == []
    # The error, and with it the cursor, is still held here: the lock must be free all the same.
    with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
    assert held.value is not None
    assert await writer.transaction(add("two")) == 1
    assert names(file) == ["two"]
    writer.close()
    await db.close()
