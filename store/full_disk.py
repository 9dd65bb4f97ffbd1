"""The disk of the database is full: who met it tells every process of the installation.

Nothing can be written down then, so a process that met it on PostgreSQL says so by a lock that the server keeps in
memory, and that goes with its connection: a process that was killed tells nothing for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

#: Free bytes under which the disk of an SQLite file is full: its log takes 4 MB before it is written back.
LEAST_FREE_BYTES = 4 << 20
#: Seconds that a full disk is told after a write met it, if no other write of its process has gone through since.
TOLD_SECONDS = 60.0
FULL = (
    "The disk of the database is full: nothing can be written down, so changes are refused, journeys stand still, and "
    "mail is deferred once the gates have spent what they hold. Free space on it; everything goes on by itself."
)
#: Names the lock.
_LOCK = 0x66_75_6C_6C
_HOLD = sa.text("SELECT pg_try_advisory_lock_shared(:name)")
_HELD = sa.text(
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = :name AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1"
)


class FullDisk:
    """What one process met, and what all of them know."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._met_at = -TOLD_SECONDS
        self._telling: asyncio.Task[None] | None = None

    def met(self) -> None:
        """A write failed for want of room."""
        self._met_at = time.monotonic()
        if self._engine.dialect.name == "postgresql" and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())

    def over(self) -> None:
        """A write went through."""
        self._met_at = -TOLD_SECONDS
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    async def told(self) -> str:
        """What to tell while the disk is full; empty while it is not.

        A write met it lately, here or in another process. An SQLite file says so, too, when it has next to no room:
        readers do not notice, and who only looks would be told that all is well.
        """
        if time.monotonic() - self._met_at < TOLD_SECONDS:
            return FULL
        if self._engine.dialect.name == "postgresql":
            async with self._engine.connect() as connection:
                return FULL if (await connection.execute(_HELD, {"name": _LOCK})).first() else ""
        file = self._engine.url.database
        return FULL if file and shutil.disk_usage(Path(file).parent).free < LEAST_FREE_BYTES else ""

    async def close(self) -> None:
        """Tell nothing more."""
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError, OSError):  # a server that is gone has other troubles
            async with self._engine.connect() as connection:
                try:
                    await connection.execute(_HOLD, {"name": _LOCK})
                    await connection.commit()
                    while (left := self._met_at + TOLD_SECONDS - time.monotonic()) > 0:
                        await asyncio.sleep(left)
                finally:
                    # The lock is of the connection, which must not go back to the pool with it.
                    await connection.invalidate()
