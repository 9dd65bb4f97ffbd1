"""What a reader of a log must not forget: up to where it has read, and the mails that still wait in the queue.

A SQLite file beside the reader, not the product's store: a place in a file means something on one machine only. Place
and mails change in one transaction. When it is lost, reading again counts nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

from api.postfix_log.files import Place
from domain.postfix_log import Mail, Mails, Wait

_TABLES = """
CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 1), head TEXT, length INTEGER, offset INTEGER);
CREATE TABLE IF NOT EXISTS mail (key TEXT PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID;
"""


class InUse(Exception):
    """Another reader follows the same log with the same memory."""


class Memory:
    """The memory of the reader of one log.

    Args:
        folder: where it lies, one file a log.

    Raises:
        InUse: another process has it.
    """

    def __init__(self, folder: Path, log: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(str(log.absolute()).encode()).hexdigest()[:12]
        self._file = sqlite3.connect(folder / f"postfix-log-{name}.sqlite", isolation_level=None, timeout=0.5)
        try:
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.executescript(f"BEGIN EXCLUSIVE; {_TABLES} COMMIT")
        except sqlite3.OperationalError as error:
            self._file.close()
            if "locked" not in str(error):
                raise
            raise InUse(f"Another reader follows {log} already.") from None

    def place(self) -> Place | None:
        """Up to where the log was read; None when it never was."""
        row = self._file.execute("SELECT head, length, offset FROM place").fetchone()
        return Place(*row) if row else None

    def mails(self) -> Mails:
        """The mails that waited then."""
        return Mails({key: _mail(entry) for key, entry in self._file.execute("SELECT key, entry FROM mail")})

    def keep(self, place: Place, mails: Mails) -> None:
        """Remember the place and what has changed among the mails."""
        there = [(key, json.dumps(asdict(mails.open[key]))) for key in mails.changed if key in mails.open]
        gone = [(key,) for key in mails.changed if key not in mails.open]
        with self._file:
            self._file.execute("BEGIN")
            self._file.executemany("INSERT OR REPLACE INTO mail VALUES (?, ?)", there)
            self._file.executemany("DELETE FROM mail WHERE key = ?", gone)
            row = (place.head, place.length, place.offset)
            self._file.execute("INSERT OR REPLACE INTO place VALUES (1, ?, ?, ?)", row)
        mails.changed.clear()

    def close(self) -> None:
        """Give it back."""
        self._file.close()


def _mail(entry: str) -> Mail:
    mail = Mail(**json.loads(entry))
    mail.waiting = {recipient: Wait(**wait) for recipient, wait in mail.waiting.items()}  # type: ignore[arg-type]
    return mail
