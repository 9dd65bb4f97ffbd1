"""``warmpath bounce listen``: the process that takes reports by mail."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog

import logs
from api.mail import folder, listener
from api.mail.taking import Taker
from domain import replies
from domain.refusals import Refused
from settings import Settings
from store.database import Database

log = structlog.get_logger()


async def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the answer is the exit code."""
    logs.configure(settings)
    try:
        replies.use(settings.reply_rules_dir)
    except Refused as error:
        sys.stderr.write(f"WARMPATH_REPLY_RULES_DIR: {error.detail}\n")
        return 3
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous)
    taker = Taker(db, settings)
    try:
        server = await listener.listen(taker, settings.reports_host, settings.reports_port, settings.reports_protocol)
    except OSError as error:
        sys.stderr.write(
            f"Port {settings.reports_port} for reports by mail cannot be used ({error.strerror}); "
            "free it or set WARMPATH_REPORTS_PORT.\n"
        )
        await db.close()
        return 1
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    watching = (
        asyncio.create_task(folder.watch(taker, settings.reports_dir)) if settings.reports_dir is not None else None
    )
    log.info(
        "takes reports",
        port=settings.reports_port,
        protocol=settings.reports_protocol,
        folder=str(settings.reports_dir),
    )
    await stop.wait()
    server.close()
    if watching is not None:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    await taker.close()
    await db.close()
    log.info("takes no more reports", **taker.taken)
    return 0
