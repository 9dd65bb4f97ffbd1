"""Putting rows on a DB-API cursor, many by one statement."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any, Protocol

from domain.events import storable
from domain.figures import Figures
from store import replies_writing

#: Rows of one statement on SQLite: 13 columns of them stay far below its 32,766 variables, and the
#: statement for a full one is compiled once.
ROWS = 100
#: Characters of a key, and of the other texts of an event, that are stored.
KEY_LENGTH, TEXT_LENGTH = 400, 500
_NUMBERS = frozenset(
    {
        *("at_ms", "received_day", "received_us", "slice_ms", "since_ms", "due_ms"),
        *Figures.model_fields,
        *replies_writing.NUMBERS,
    }
)

Row = tuple[Any, ...]


class Cursor(Protocol):
    """What is used of a DB-API cursor."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Any:
        """Run a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> Any:
        """Every row that is left."""


def short(key: str) -> str:
    """A key as it is stored; a long one is its digest, since an index of PostgreSQL takes 2.7 kB."""
    key = storable(key)
    return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


def put(
    cursor: Cursor, dialect: str, table: str, columns: Sequence[str], rows: Sequence[Row], conflict: str = ""
) -> int:
    """Insert rows; answers how many were."""
    into = f"INSERT INTO {table} ({', '.join(columns)}) "
    if dialect != "sqlite":
        arrays = ", ".join(f"%s::{'bigint' if name in _NUMBERS else 'text'}[]" for name in columns)
        cursor.execute(
            f"{into}SELECT * FROM unnest({arrays}){conflict}", [list(one) for one in zip(*rows, strict=True)]
        )
        return cursor.rowcount
    count = 0
    row = f"({', '.join('?' * len(columns))})"
    for at in range(0, len(rows), ROWS):
        part = rows[at : at + ROWS]
        values = list(itertools.chain.from_iterable(part))
        cursor.execute(f"{into}VALUES {', '.join([row] * len(part))}{conflict}", values)
        count += cursor.rowcount
    return count
