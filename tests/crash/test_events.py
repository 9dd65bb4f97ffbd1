"""Events from eight clients, many of them twice and in no order, while the API is killed: sums are exact."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from api.webhooks import generic
from domain.warmup import slice_ms
from store import migrating
from store.database import Database
from store.tables.events import Figure

SECRET = "whsec_" + base64.b64encode(b"a secret of this test").decode()
CLIENTS, A_POST = 8, 100
START = 1_760_000_000
DAY = 86_400
ADDRESSES = [f"198.51.100.{n}" for n in range(1, 21)]
#: kind as posted, reply, sum it adds to
KINDS = [
    ("delivered", "", "delivered"),
    ("delivered", "", "delivered"),
    ("bounced", "550 5.1.1 user unknown", "bounced"),
    ("deferred", "451 4.7.1 greylisted, try again later", "deferred"),
    ("complained", "", "complained"),
    ("clicked", "", None),
]
Sums = Counter[tuple[str, int, str, str, str]]


def _events(count: int, chance: random.Random) -> tuple[list[dict[str, Any]], Sums]:
    """So many events, a fifth of them told twice, in no order; and the sums they must come to."""
    unique = count * 4 // 5
    made, expected = [], Sums()
    for n in range(unique):
        kind, reply, counted = chance.choice(KINDS)
        at, address = START + chance.randrange(5 * DAY), chance.choice(ADDRESSES)
        event: dict[str, Any] = {
            "id": f"e{n}", "kind": kind, "ip": address, "recipient": f"r{n}@gmail.com", "message_id": f"m{n}",
            "at": at, "detail": reply, "campaign": chance.choice(("spring", "autumn")), "sender": "shop",
        }  # fmt: skip
        booked = at
        if kind == "complained":
            booked = event["sent_at"] = at - 2 * DAY
        made.append(event)
        if counted:
            day = booked * 1000 // slice_ms(DAY) * slice_ms(DAY)
            expected[(address, day, "gmail", event["campaign"], counted)] += 1
    made += chance.sample(made, count - unique)
    chance.shuffle(made)
    return made, expected


class Api:
    """The API as a process that can be killed and started again."""

    def __init__(self, url: str, folder: Path, port: int) -> None:
        self.port = port
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")},
            "WARMPATH_DATABASE_URL": url,
            "WARMPATH_VAR_DIR": str(folder),
            "WARMPATH_SECRET_KEYS": "test:" + base64.b64encode(bytes(32)).decode(),
            "WARMPATH_WEBHOOK_GENERIC_SECRET": SECRET,
            "WARMPATH_LOG_LEVEL": "error",
            "WARMPATH_TEMPORAL_ADDRESS": "127.0.0.1:1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start, and wait until it listens."""
        command = [sys.executable, "-m", "uvicorn", "api.app:create", "--factory", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--log-level", "error"], env=self._environment, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            await asyncio.sleep(0.05)
        raise RuntimeError("the API does not start")

    def kill(self) -> None:
        """`kill -9`, in the middle of whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


async def _send_all(api: Api, events: list[dict[str, Any]]) -> int:
    """Post everything from eight clients; kill the API after a third and two thirds. Answers tries that failed."""
    posts = [events[at : at + A_POST] for at in range(0, len(events), A_POST)]
    queue, failed, answered = list(range(len(posts))), 0, 0
    kills = [len(posts) // 3, 2 * len(posts) // 3]
    back = asyncio.Event()
    back.set()

    async def client() -> None:
        nonlocal failed, answered
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=60) as http:
            while queue:
                place = queue.pop()
                body = json.dumps(posts[place]).encode()
                while True:
                    await back.wait()
                    stamp = str(int(time.time()))
                    headers = {"webhook-id": f"p{place}", "webhook-timestamp": stamp}
                    headers["webhook-signature"] = generic.sign(SECRET, f"p{place}", stamp, body)
                    with contextlib.suppress(httpx.TransportError):
                        answer = await http.post("/v1/webhooks/generic", content=body, headers=headers)
                        assert answer.status_code == 200, answer.text
                        break
                    failed += 1
                answered += 1

    async def killer() -> None:
        for after in kills:
            while answered < after:
                await asyncio.sleep(0.001)
            back.clear()
            api.kill()
            await api.start()
            back.set()

    await asyncio.gather(killer(), *(client() for _ in range(CLIENTS)))
    return failed


async def _check(url: str, folder: Path, port: int, count: int) -> None:
    events, expected = _events(count, random.Random(count))
    migrating.upgrade(url)
    api = Api(url, folder, port)
    await api.start()
    try:
        failed = await _send_all(api, events)
    finally:
        api.kill()
    assert failed, "nobody was asking when the API was killed: the test shows nothing"
    db = Database.open(url)
    found = Sums()
    async with db.read() as session:
        for row in (await session.exec(sa.select(Figure))).scalars():
            for name in ("attempted", "delivered", "bounced", "blocked", "failed", "deferred", "complained"):
                if getattr(row, name):
                    found[(row.address, row.slice_ms, row.provider, row.campaign, name)] += getattr(row, name)
    await db.close()
    assert found == expected


async def test_sums_are_exact_after_two_kills(tmp_path: Path, free_port: Callable[[], int]) -> None:
    await _check(f"sqlite:///{tmp_path / 'warmpath.sqlite'}", tmp_path, free_port(), 5_000)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_sums_of_a_hundred_thousand_are_exact_after_two_kills(
    tmp_path: Path, free_port: Callable[[], int], database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'warmpath.sqlite'}"
    if database == "postgresql":
        server: str = request.getfixturevalue("postgres")
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = server.rsplit("/", 1)[0] + f"/{name}"
    await _check(url, tmp_path, free_port(), 100_000)
