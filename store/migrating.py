"""Bring a database to the version of this code, or say that it is of a newer one."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from store.database import async_url
from store.tables.routes import statements

MIGRATIONS = Path(__file__).parent / "migrations"


class NewerDatabase(RuntimeError):
    """The database was migrated by a newer version of Warmpath."""


def sync_url(url: str) -> str:
    """The URL for Alembic, which works without an event loop."""
    return async_url(url).replace("sqlite+aiosqlite", "sqlite", 1)


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every migration that is missing, up to a revision.

    Raises:
        NewerDatabase: the database holds a revision that this code does not know.
    """
    target = sync_url(url)
    if target.startswith("sqlite:///"):
        Path(target.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = target
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    engine = sa.create_engine(target)
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_heads()
    engine.dispose()
    if set(present) - known:
        raise NewerDatabase(
            "The database belongs to a newer Warmpath; start that version, or name another database in "
            "WARMPATH_DATABASE_URL."
        )
    command.upgrade(config, revision)
    if revision != "head":
        return
    engine = sa.create_engine(target)
    with engine.begin() as connection:
        for statement in statements(connection.dialect.name):
            connection.exec_driver_sql(statement)
    engine.dispose()
