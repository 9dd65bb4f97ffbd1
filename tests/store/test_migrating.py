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


def test_ips_get_their_number_and_keys_of_orders_and_imports_are_kept(url: str) -> None:
    migrating.upgrade(url, "0012")
    engine = sa.create_engine(migrating.sync_url(url))
    old = sa.MetaData()
    with engine.begin() as connection:
        old.reflect(connection)
        blank = {"JSON": [], "BOOLEAN": False, "INTEGER": 0, "BIGINT": 0}

        def insert(table: str, **values: object) -> None:
            for one in old.tables[table].columns:
                if not one.nullable and one.name not in values:
                    moment = "TIMESTAMP" in str(one.type) or "DATETIME" in str(one.type)
                    values[one.name] = sa.func.current_timestamp() if moment else blank.get(str(one.type), "")
            connection.execute(old.tables[table].insert().values(**values))

        for address in ("198.51.100.100", "2001:db8::a", "198.51.100.11", "2001:db8::9"):
            insert("ip", address=address)
        insert("ip_import", key="k-import", addresses=["198.51.100.11"])
        insert("purchase_order", id="ord_1", idempotency_key="k-order")
    migrating.upgrade(url)
    with engine.connect() as connection:
        by_number = connection.execute(sa.text("SELECT address FROM ip ORDER BY sort_key")).scalars().all()
        keys = sa.Table("request_key", sa.MetaData(), autoload_with=connection)
        kept = connection.execute(sa.select(keys.c.key, keys.c.request, keys.c.made).order_by(keys.c.key)).all()
    engine.dispose()
    assert by_number == ["198.51.100.11", "198.51.100.100", "2001:db8::9", "2001:db8::a"]
    assert [tuple(one) for one in kept] == [
        ("k-import", "POST /v1/ips/import", ["198.51.100.11"]),
        ("k-order", "POST /v1/orders", ["ord_1"]),
    ]


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
