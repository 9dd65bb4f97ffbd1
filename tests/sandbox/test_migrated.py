"""A start asks for migrations only when they may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import migrated
from store import migrating


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "warmpath.sqlite"
    migrating.upgrade(f"sqlite:///{file}")
    return file


def test_the_second_start_asks_for_nothing(database: Path, tmp_path: Path) -> None:
    stamp = tmp_path / "sandbox" / "migrated"
    assert not migrated.is_done(stamp, database)
    migrated.done(stamp, database)
    assert migrated.is_done(stamp, database)


def test_new_migrations_are_asked_for(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp, store = tmp_path / "migrated", tmp_path / "store"
    migrated.done(stamp, database)
    (store / "migrations").mkdir(parents=True)
    (store / "migrating.py").write_text("")
    (store / "migrations" / "9999_more.py").write_text("")
    monkeypatch.setattr(migrated, "STORE", store)
    assert not migrated.is_done(stamp, database)


def test_another_database_is_asked_for(database: Path, tmp_path: Path) -> None:
    stamp = tmp_path / "migrated"
    migrated.done(stamp, database)
    database.unlink()
    assert not migrated.is_done(stamp, database)
    database.write_bytes(b"no database")
    assert not migrated.is_done(stamp, database)
