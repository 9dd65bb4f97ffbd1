"""The reader of a log: a store that fails costs nothing, what cannot be read is said at once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select
from typer.testing import CliRunner

import settings as configuration
from api.postfix_log import figures, service
from api.postfix_log.files import LogFile, Place
from api.postfix_log.memory import Memory
from api.postfix_log.service import Reader
from commands.postfix import app
from settings import Settings
from store import senders
from store.database import Database
from store.events_intake import Batch
from store.tables.events import MailEvent

ROOT = Path(__file__).parents[2]
HEAD = "2026-11-24T16:00:01.500Z mail postfix"
TRIED = "to=<ada@a.example>, relay=mx.a.example[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=4.3.0, status=deferred"
FIRST = (
    f"{HEAD}/smtpd[1]: B41F920E092: client=app[10.0.0.2], sasl_method=PLAIN, sasl_username=app\n"
    f"{HEAD}/wp-198-51-100-7/smtp[2]: B41F920E092: {TRIED} (host mx said: 451 4.3.0 later)\n"
)
SECOND = f"{HEAD}/wp-198-51-100-7/smtp[2]: B41F920E092: {TRIED.replace('deferred', 'sent')} (250 OK)\n"


async def _kinds(db: Database) -> list[tuple[str, str]]:
    async with db.read() as session:
        return list((await session.exec(select(MailEvent.kind, MailEvent.sender).order_by(MailEvent.id))).all())  # type: ignore[arg-type]


async def _until(db: Database, wanted: list[tuple[str, str]]) -> None:
    async with asyncio.timeout(20):
        while await _kinds(db) != wanted:
            await asyncio.sleep(0.01)


async def test_a_store_that_fails_costs_nothing_and_what_was_learnt_stays(
    db: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AGAIN_SECONDS", 0.01)
    async with db.write() as session:
        await senders.put_pool(session, "main", None)
        await senders.add_sender(session, "acme", "main", ["app"])
    path = tmp_path / "mail.log"
    path.write_text(FIRST)
    memory = Memory(tmp_path / "var", path)
    reader = Reader(settings, db, LogFile(path, Place()), memory, None)
    failures, take = [OSError("gone"), OSError("still gone")], reader._intake.take

    async def failing(batch: Batch) -> Any:
        if failures:
            raise failures.pop()
        return await take(batch)

    monkeypatch.setattr(reader._intake, "take", failing)
    running = asyncio.create_task(reader.run())
    await _until(db, [("sent", "acme"), ("deferred", "acme")])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await reader.close()
    assert failures == []
    # Another one goes on: whose mail it is was said in lines that it never reads.
    with path.open("a") as file:
        file.write(SECOND)
    later = Reader(settings, db, LogFile(path, memory.place()), memory, None)
    running = asyncio.create_task(later.run())
    await _until(db, [("sent", "acme"), ("deferred", "acme"), ("delivered", "acme")])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await later.close()
    memory.close()


async def test_a_reader_tells_how_much_it_has_read_and_how_far_it_is_behind(
    db: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    monkeypatch.setattr(service, "AGAIN_SECONDS", 0.01)
    path, port = tmp_path / "mail.log", free_port()
    path.write_text(FIRST + "no log\n")
    memory = Memory(tmp_path / "var", path)
    reader = Reader(settings, db, LogFile(path, Place()), memory, None)
    stop = figures.serve(reader.figures, "127.0.0.1", port)

    async def shown() -> dict[str, float]:
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        return {name: float(value) for name, value in re.findall(r"^warmpath_postfix_log_(\w+) (\S+)$", text, re.M)}

    async def until(wanted: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        async with asyncio.timeout(20):
            while not wanted(now := await shown()):
                await asyncio.sleep(0.01)
        return now

    running = asyncio.create_task(reader.run())
    now = await until(lambda now: now["lines_total"] == 3 and now["lag_bytes"] == 0)
    assert (now["lines_not_understood_total"], now["lag_seconds"]) == (1, 0)

    async def failing(batch: Batch) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(reader._intake, "take", failing)
    with path.open("a") as file:
        file.write(SECOND)
    now = await until(lambda now: now["lag_bytes"] > 0)
    late = time.time() - dt.datetime(2026, 11, 24, 16, 0, 1, 500_000, dt.UTC).timestamp()
    assert (now["lag_bytes"], now["lines_total"]) == (len(SECOND), 3)
    assert now["lag_seconds"] == pytest.approx(max(0.0, late), abs=30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await reader.close()
    memory.close()
    stop()


def test_a_port_for_figures_that_is_taken_is_named(
    tmp_path: Path, var_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("WARMPATH_POSTFIX_LOG_HTTP_PORT", str(taken.getsockname()[1]))
        configuration.load.cache_clear()
        done = CliRunner().invoke(app, ["follow-log", str(tmp_path / "mail.log")])
    assert done.exit_code == 2
    assert "WARMPATH_POSTFIX_LOG_HTTP_PORT" in done.stderr


@pytest.fixture
def var_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command keeps its memory."""
    monkeypatch.setenv("WARMPATH_VAR_DIR", str(tmp_path / "var"))
    configuration.load.cache_clear()
    yield tmp_path / "var"
    configuration.load.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["follow-log", "{folder}"], 2, "Is a directory"),
        (["follow-log", "{folder}/mail.log", "--time-zone", "Middle/Earth"], 2, "no time zone that this machine knows"),
        (["follow-log", "{folder}/followed.log"], 1, "Another reader follows"),
    ],
)
def test_what_cannot_be_followed_says_why(
    arguments: list[str], code: int, reason: str, tmp_path: Path, var_dir: Path
) -> None:
    memory = Memory(var_dir, tmp_path / "followed.log")
    done = CliRunner().invoke(app, [one.format(folder=tmp_path) for one in arguments])
    memory.close()
    assert (done.exit_code, reason in done.stderr) == (code, True), done.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, var_dir: Path) -> None:
    var_dir.write_text("a file")
    done = CliRunner().invoke(app, ["follow-log", str(tmp_path / "mail.log")])
    assert done.exit_code == 2
    assert "WARMPATH_VAR_DIR" in done.stderr


def test_a_log_that_is_not_there_is_waited_for_and_told(tmp_path: Path) -> None:
    own = {"WARMPATH_VAR_DIR": str(tmp_path / "var"), "WARMPATH_DATABASE_URL": f"sqlite:///{tmp_path / 'w.sqlite'}"}
    with subprocess.Popen(
        [sys.executable, "cli.py", "postfix", "follow-log", str(tmp_path / "mial.log")],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as reader:  # fmt: skip
        try:
            assert reader.stdout is not None
            told = [json.loads(reader.stdout.readline()) for _ in range(2)]
        finally:
            reader.kill()
    assert [one["event"] for one in told] == ["postfix_log.follows", "postfix_log.absent"]
    assert told[1]["file"].endswith("mial.log")
