"""Migrations make what the tables say, and a newer database is refused."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

import store.tables  # noqa: F401 - fills the metadata
from store import migrating


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'warmpath.sqlite'}"
    server: str = request.getfixturevalue("postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS migrated")
        connection.execute("CREATE DATABASE migrated")
    return server.rsplit("/", 1)[0] + "/migrated"


def test_migrations_make_what_the_tables_say_and_run_twice(url: str) -> None:
    migrating.upgrade(url)
    migrating.upgrade(url)
    engine = sa.create_engine(migrating.sync_url(url))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    engine.dispose()
    assert differences == []


def test_a_database_of_a_newer_version_is_refused_in_one_sentence(url: str) -> None:
    migrating.upgrade(url)
    engine = sa.create_engine(migrating.sync_url(url))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(migrating.NewerDatabase, match="newer Warmpath"):
        migrating.upgrade(url)


def test_pools_that_senders_use_are_made_and_so_is_the_default_one(url: str) -> None:
    migrating.upgrade(url, "0007")
    engine = sa.create_engine(migrating.sync_url(url))
    with engine.begin() as connection:
        for name, pool in (("acme", "old"), ("other", "kept")):
            connection.execute(
                sa.text("INSERT INTO sender (name, pool, created_at) VALUES (:name, :pool, CURRENT_TIMESTAMP)"),
                {"name": name, "pool": pool},
            )
        connection.execute(sa.text("INSERT INTO pool VALUES ('kept', 'spare', CURRENT_TIMESTAMP)"))
    migrating.upgrade(url)
    with engine.connect() as connection:
        made = dict(tuple(row) for row in connection.execute(sa.text("SELECT name, overflow FROM pool")))
    engine.dispose()
    assert made == {"default": None, "old": None, "kept": "spare"}
