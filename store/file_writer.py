"""Transactions on an SQLite file without the event loop: one hop to a thread each, not several a statement.

Between the loop and its driver every statement changes threads a few times, and each change takes the
interpreter's lock from whoever answers meanwhile. For what is written hundreds of times a second that costs
more than SQLite itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from store.database import Database, sqlite_pragmas

Result = TypeVar("Result")


class FileWriter:
    """One thread with a connection of its own, opened when it is first used."""

    def __init__(self, db: Database) -> None:
        self._file, self._synchronous = db.writer.url.database or "", db.synchronous
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def transaction(self, work: Callable[[sqlite3.Cursor], Result]) -> Result:
        """What ``work`` answers once it is committed; what it raises, after a rollback."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "file-writer")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    def close(self) -> None:
        """Wait for the last transaction and give the connection back."""
        if self._thread is not None:
            self._thread.submit(self._close).result()
            self._thread.shutdown()
            self._thread = None

    def _run(self, work: Callable[[sqlite3.Cursor], Result]) -> Result:
        if self._connection is None:
            opened = sqlite3.connect(self._file, isolation_level=None)
            for pragma in sqlite_pragmas(self._synchronous):
                opened.execute(f"PRAGMA {pragma}")
            self._connection = opened
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            answer = work(self._connection.cursor())
            self._connection.execute("COMMIT")
        except BaseException:
            self._leave()
            raise
        return answer

    def _leave(self) -> None:
        """Give the lock back whatever went wrong; the next transaction finds the file anew."""
        # Closing alone is not enough: with a statement that somebody still holds, the transaction would go on.
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
