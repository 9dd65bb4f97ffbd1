"""One way to the store, on SQLite (WAL) or PostgreSQL.

SQLite allows one writer. Writers of a process therefore share one connection and take the
write lock at ``BEGIN`` (``IMMEDIATE``): a transaction that starts reading and then wants to
write would otherwise fail with "database is locked" without waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from store.full_disk import FullDisk


def async_url(url: str) -> str:
    """The SQLAlchemy URL with its async driver.

    Raises:
        ValueError: neither SQLite nor PostgreSQL.
    """
    if url.startswith("sqlite://"):
        return url.replace("sqlite://", "sqlite+aiosqlite://", 1)
    for prefix in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    raise ValueError("WARMPATH_DATABASE_URL: give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.")


#: How PostgreSQL's client finds out that the server is gone without a word (a lost machine, a broken network): seconds
#: to connect, until a silent connection is probed, between probes, and milliseconds until data that nobody
#: acknowledges ends it. The URL may say otherwise.
LIVELINESS: dict[str, int] = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}  # fmt: skip


class Ails(StrEnum):
    """Why a database did not do what it can do otherwise."""

    FULL = "full"
    SILENT = "silent"


def ails(error: Exception) -> Ails | None:
    """What is wrong with the database itself; None where the statement is at fault.

    A full disk is SQLite's code and PostgreSQL's SQLSTATE 53100. A file answers always, but somebody may hold its lock.
    """
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        known = {sqlite3.SQLITE_FULL: Ails.FULL, sqlite3.SQLITE_BUSY: Ails.SILENT, sqlite3.SQLITE_LOCKED: Ails.SILENT}
        return known.get(code)
    return Ails.FULL if getattr(cause, "sqlstate", None) == "53100" else Ails.SILENT


class Database:
    """Engines and sessions of one process."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, synchronous: str = "full") -> None:
        self.reader = reader
        self.writer = writer
        self.synchronous = synchronous
        self.dialect = reader.dialect.name
        self.full_disk = FullDisk(writer)
        #: Writers of this process take turns in the order they came: SQLite lets one in and has no queue.
        self.turn: AbstractAsyncContextManager[object] = (
            asyncio.Lock() if self.dialect == "sqlite" else contextlib.nullcontext()
        )

    @classmethod
    def open(cls, url: str, *, synchronous: str = "full", pool_size: int = 10) -> Database:
        """Open the store; nothing is created but the folder of an SQLite file.

        Args:
            url: ``sqlite:///FILE`` or ``postgresql://...``.
            synchronous: SQLite durability, ``normal`` or ``full``.
            pool_size: connections to PostgreSQL.
        """
        target = async_url(url)
        if not target.startswith("sqlite"):
            engine = create_async_engine(
                target,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                connect_args={key: value for key, value in LIVELINESS.items() if key not in sa.make_url(target).query},
            )
            return cls(engine, engine)
        file = target.split("///", 1)[1]
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        reader = create_async_engine(target)
        writer = create_async_engine(target, pool_size=1, max_overflow=0, pool_timeout=60)
        for engine, begin in ((reader, "BEGIN"), (writer, "BEGIN IMMEDIATE")):
            _prepare_sqlite(engine, begin, synchronous)
        return cls(reader, writer, synchronous)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that changes nothing; on PostgreSQL each query of it sees what was committed before it."""
        async with AsyncSession(self.reader, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session that changes nothing, and all of whose queries see the same instant."""
        async with self.read() as session:
            if self.dialect == "postgresql":
                await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session that is committed at the end, or rolled back when anything is raised."""
        try:
            async with self.turn, AsyncSession(self.writer, expire_on_commit=False) as session, session.begin():
                yield session
        except Exception as error:
            if ails(error) is Ails.FULL:
                self.full_disk.met()
            raise
        self.full_disk.over()

    async def create_all(self) -> None:
        """Make every table; tests only, an installation migrates."""
        import store.tables  # noqa: F401 - fills the metadata

        async with self.writer.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)

    async def renew(self) -> None:
        """Connect anew from now on: after PostgreSQL fell silent, each pooled connection would be waited for."""
        if self.dialect == "postgresql":
            await self.reader.dispose()

    async def close(self) -> None:
        """Give back every connection."""
        await self.full_disk.close()
        await self.reader.dispose()
        if self.writer is not self.reader:
            await self.writer.dispose()


def sqlite_pragmas(synchronous: str) -> tuple[str, ...]:
    """What every connection to an SQLite file is set to."""
    return ("journal_mode=wal", f"synchronous={synchronous}", "busy_timeout=30000", "foreign_keys=on")


def _prepare_sqlite(engine: AsyncEngine, begin: str, synchronous: str) -> None:
    @sa.event.listens_for(engine.sync_engine, "connect")
    def connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver's own transaction control would begin late and without IMMEDIATE.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in sqlite_pragmas(synchronous):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def upsert(dialect: str, table: Any) -> Any:  # noqa: ANN401 - the two dialects share no base type
    """An ``INSERT`` that knows ``on_conflict_do_update`` on both databases."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
