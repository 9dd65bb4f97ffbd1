"""Hear at once of changed caps, pauses and routes; the triggers of ``store/tables/routes.py`` tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import sqlalchemy as sa

from store.database import Database
from store.patience import within
from store.tables.routes import CHANNEL

#: Seconds between looks on SQLite.
LOOK_SECONDS = 0.1
#: Seconds after which a silent connection is asked whether it lives, and that it has for the answer.
ALIVE_SECONDS, ANSWER_SECONDS = 0.5, 1.0
#: A whole reading is due after so long even when nothing was heard: the clock moves windows, too.
AT_LEAST_SECONDS = 5.0


def watch(db: Database, url: str) -> AsyncGenerator[None, None]:
    """Yields once at the start, after every change (several may be one), and every few seconds.

    The generator raises what the driver raises when the store does not answer; watch anew then.
    """
    return _listen(url) if db.dialect == "postgresql" else _look(db)


async def _look(db: Database) -> AsyncGenerator[None, None]:
    loop = asyncio.get_running_loop()
    known, read_at = -1, 0.0
    async with db.reader.connect() as connection:
        while True:
            version = (await connection.execute(sa.text("SELECT version FROM route_version"))).scalar() or 0
            await connection.rollback()  # the next look sees a later state
            if version != known or loop.time() - read_at >= AT_LEAST_SECONDS:
                known, read_at = version, loop.time()
                yield
            await asyncio.sleep(LOOK_SECONDS)


async def _listen(url: str) -> AsyncGenerator[None, None]:
    import psycopg  # a tenth of a second that an installation on SQLite need not wait for

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ANSWER_SECONDS):
        connection = await psycopg.AsyncConnection.connect(
            url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True
        )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await connection.execute(f"LISTEN {CHANNEL}")
        heard, read_at = True, 0.0
        while True:
            if heard or loop.time() - read_at >= AT_LEAST_SECONDS:
                heard, read_at = False, loop.time()
                yield
            async for _ in connection.notifies(timeout=ALIVE_SECONDS, stop_after=1):
                heard = True
            async for _ in connection.notifies(timeout=0):
                pass  # a fleet's day begins with a thousand changes: they are one reading
            if not heard:
                await within(ANSWER_SECONDS, connection.execute("SELECT 1"))
    finally:
        with contextlib.suppress(Exception):
            await connection.close()
