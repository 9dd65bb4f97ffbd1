"""A folder that reports are dropped into: a Maildir, or any folder with a file a mail.

Files of a Maildir are taken from ``new`` and go to ``cur``; in a plain folder they go to ``done``. A file goes
only after its events are stored: one that is met again after a crash counts once. Whoever writes into a plain
folder writes under a name that starts with a dot, and renames when the mail is whole, as Maildir does by ``tmp``.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from api.mail.listener import LARGEST_MAIL
from api.mail.taking import Taker

log = structlog.get_logger()

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 10.0


def places(folder: Path) -> tuple[Path, Path, str]:
    """Where mail comes, where it goes, and what is added to the name of a file that went."""
    if (folder / "new").is_dir():
        return folder / "new", folder / "cur", ":2,S"
    return folder, folder / "done", ""


async def look(taker: Taker, folder: Path) -> int:
    """Take every mail that lies there now, the oldest first; answers how many.

    Raises:
        OSError: the folder cannot be read or a file cannot be moved.
    """
    coming, gone, suffix = places(folder)
    gone.mkdir(exist_ok=True)
    waiting = [one for one in coming.iterdir() if one.is_file() and not one.name.startswith(".")]
    unread: list[OSError] = []
    for file in sorted(waiting, key=lambda one: (one.stat().st_mtime, one.name)):
        try:
            raw = await asyncio.to_thread(_content, file)
        except OSError as error:  # those after it are read all the same
            unread.append(error)
            continue
        await taker.take(raw, sent_to="", now=time.time())
        file.rename(gone / f"{file.name}{suffix}")
    if unread:
        raise unread[0]
    return len(waiting)


def _content(file: Path) -> bytes:
    """A mail, as much of it as the socket would take."""
    with file.open("rb") as opened:
        return opened.read(LARGEST_MAIL)


async def watch(taker: Taker, folder: Path) -> None:
    """Look again and again until cancelled; a failure is told and tried again later."""
    while True:
        try:
            await look(taker, folder)
            await asyncio.sleep(LOOK_SECONDS)
        except Exception as error:  # noqa: BLE001 - the files stay where they are
            log.error("folder of reports", folder=str(folder), error=type(error).__name__, reason=str(error)[:200])
            await asyncio.sleep(AGAIN_SECONDS)
