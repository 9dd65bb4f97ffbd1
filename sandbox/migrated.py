"""Whether the sandbox's database needs `db upgrade`: asking that program costs a second of every start.

Its answer is kept beside the database: what the schema is made of in this code, and the revision that came
of it. Both must still be true. Anything else is left to the program, which has the sentences for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from pathlib import Path

STORE = Path(__file__).resolve().parent.parent / "store"


def fingerprint() -> str:
    """A digest of the migrations and of the tables whose triggers an upgrade sets."""
    digest = hashlib.sha256()
    for source in sorted([*STORE.glob("migrations/**/*.py"), *STORE.glob("tables/*.py"), STORE / "migrating.py"]):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def revision(database: Path) -> str:
    """The revision that an SQLite file is at, empty when it says none."""
    if not database.exists():
        return ""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database, timeout=5)) as opened:
        return str(opened.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    return ""


def is_done(stamp: Path, database: Path) -> bool:
    """An upgrade by this code left the database at the revision it has now."""
    return stamp.exists() and stamp.read_text() == f"{fingerprint()} {revision(database)}"


def done(stamp: Path, database: Path) -> None:
    """Remember that an upgrade ended well."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(f"{fingerprint()} {revision(database)}")
