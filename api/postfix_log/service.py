"""``warmpath postfix follow-log``: the process that reads Postfix's log while it is written."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

import logs
from api.postfix_log import figures
from api.postfix_log.figures import Figures
from api.postfix_log.files import LogFile, Place
from api.postfix_log.memory import InUse, Memory
from api.webhooks import intake
from domain import postfix_log, replies
from domain.refusals import Refused
from settings import Settings
from store import gate as repository
from store.database import Database
from store.events_intake import Batch, Intake

log = structlog.get_logger()

#: Seconds between two looks at a log that is read to its end, and after something failed.
LOOK_SECONDS, AGAIN_SECONDS = 0.1, 2.0
#: Seconds for which senders and campaigns are believed before they are read again.
ROUTES_SECONDS = 10.0
#: Milliseconds after its last line for which a mail is remembered: far more than any queue's lifetime.
FORGET_MS = 30 * 86_400_000
#: Seconds between two looks for mails to forget.
FORGET_SECONDS = 3_600.0


class Reader:
    """Books what a log says; a line is passed only once its events are stored."""

    def __init__(self, settings: Settings, db: Database, file: LogFile, memory: Memory, zone: dt.tzinfo | None) -> None:
        self._settings, self._db, self._file, self._memory = settings, db, file, memory
        self._intake = Intake(db, intake.tell, day_seconds=settings.day_seconds)
        self._mails = memory.mails()
        self._clock = postfix_log.Clock(zone, 0)
        self.figures = Figures()
        self._routes_at = self._forgot_at = float("-inf")

    async def run(self) -> None:
        """Read until cancelled; what fails is told and tried again."""
        while True:
            try:
                self.figures.behind = self._file.behind()
                found = await self._step()
                await asyncio.sleep(0 if found else LOOK_SECONDS)
            except Exception as error:  # noqa: BLE001 - the lines stay where they are
                log.error("postfix_log.failed", error=type(error).__name__, reason=str(error)[:200])
                # What lines taught that were not stored is learnt again.
                self._mails, self._routes_at = self._memory.mails(), float("-inf")
                await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """Let what waits be committed."""
        await self._intake.close()

    async def _step(self) -> bool:
        """Book the next lines; answers whether there were any."""
        lines, place = self._file.lines()
        if not lines:
            return False
        await self._read_routes()
        self._clock.now_ms = int(time.time() * 1000)
        if time.monotonic() - self._forgot_at >= FORGET_SECONDS:
            self._mails.forget(self._clock.now_ms - FORGET_MS)
            self._forgot_at = time.monotonic()
        done = postfix_log.Tally()
        events = postfix_log.events(lines, self._mails, self._clock, done)
        if events:
            new = await self._intake.take(Batch(events)) or []
            log.info("postfix_log.read", lines=len(lines), events=len(events), new=len(new))
        self._memory.keep(place, self._mails)
        self._file.move_to(place)
        self.figures.add(done)
        return True

    async def _read_routes(self) -> None:
        now = time.monotonic()
        if now - self._routes_at >= ROUTES_SECONDS:
            async with self._db.snapshot() as session:
                self._mails.routes = await repository.routes(session, self._settings.gate_default_pool)
            self._routes_at = now


async def run(settings: Settings, path: Path, *, from_start: bool, zone: dt.tzinfo | None) -> int:
    """Follow a log until SIGTERM or SIGINT; the answer is the exit code.

    Args:
        from_start: read what is in the file already, when it was never followed.
        zone: of stamps without an offset; None for that of this machine.
    """
    logs.configure(settings)
    try:
        replies.use(settings.reply_rules_dir)
    except Refused as error:
        return _refuse(f"WARMPATH_REPLY_RULES_DIR: {error.detail}", 3)
    try:
        memory = Memory(settings.var_dir, path)
    except InUse as error:
        return _refuse(str(error), 1)
    except (OSError, sqlite3.Error) as error:
        return _refuse(f"WARMPATH_VAR_DIR {settings.var_dir} cannot be written to: {error}.", 2)
    try:
        file = LogFile(path, memory.place() or (Place() if from_start else None))
        file.lines()  # says now what cannot be read
    except OSError as error:
        memory.close()
        return _refuse(f"{path}: {error.strerror}.", 2)
    memory.keep(file.place, memory.mails())
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous, pool_size=2)
    reader = Reader(settings, db, file, memory, zone)
    stop: Callable[[], object] = contextlib.nullcontext
    if settings.postfix_log_http_port is not None:
        try:
            stop = figures.serve(reader.figures, settings.postfix_log_host, settings.postfix_log_http_port)
        except OSError as error:
            file.close()
            memory.close()
            await db.close()
            return _refuse(f"WARMPATH_POSTFIX_LOG_HTTP_PORT {settings.postfix_log_http_port}: {error.strerror}.", 2)
    reading = asyncio.create_task(reader.run())
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, reading.cancel)
    log.info("postfix_log.follows", file=str(path))
    if not path.exists():
        log.warning("postfix_log.absent", file=str(path), reason="there is no such file yet: is this Postfix's log?")
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    finally:
        stop()
        await reader.close()
        await db.close()
        file.close()
        memory.close()
    return 0


def _refuse(reason: str, code: int) -> int:
    sys.stderr.write(reason + "\n")
    return code
