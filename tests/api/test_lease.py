"""Leases over HTTP: within the cap however many ask at once, with the reason when not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api import problems
from api.deps import RateLimit
from api.routes import gate
from domain.words import Role, Stage
from settings import Settings
from store import accounts, ledger
from store.database import Database
from store.tables.ips import Ip
from store.tables.senders import Pool

IP = "198.51.100.7"


@pytest.fixture
async def client(settings: Settings, db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The lease route with an operator's token and one warming IP of 50 a day."""
    async with db.write() as session:
        token = await accounts.create_token(session, "sender", Role.OPERATOR)
        session.add(Pool(name="main"))
        session.add(Ip(address=IP, pool="main", stage=Stage.WARMING))
        now = int(time.time() * 1000)
        await ledger.set_window(session, IP, now - 3_600_000, now + 3_600_000, 50, {}, 0)
    app = FastAPI()
    app.state.settings, app.state.db, app.state.rate_limit = settings, db, RateLimit(5)
    problems.install(app)
    app.include_router(gate.router)
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://warmpath.test", headers=headers) as asked:
        yield asked


async def test_twenty_at_once_get_the_cap_and_no_more(client: httpx.AsyncClient) -> None:
    ask = {"pool": "main", "provider": "gmail", "count": 7}
    answers = [
        one.json() for one in await asyncio.gather(*(client.post("/v1/gate/lease", json=ask) for _ in range(20)))
    ]
    assert sum(grant["count"] for one in answers for grant in one["grants"]) == 50
    assert all(sum(grant["count"] for grant in one["grants"]) + one["deferred"] == 7 for one in answers)
    told = [one["reason"] for one in answers if not one["grants"]]
    assert told
    assert all(f"daily cap of {IP} reached, 50 of 50; resumes" in one for one in told)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"pool": "nowhere", "count": 1}, 404, "no pool"),
        ({"count": 1}, 422, "exactly one"),
        ({"pool": "main", "sender": "x", "count": 1}, 422, "exactly one"),
        ({"pool": "main", "count": 0}, 422, "count"),
    ],
)
async def test_a_wrong_question_says_what_is_wrong(
    client: httpx.AsyncClient, body: dict[str, object], status: int, says: str
) -> None:
    answer = await client.post("/v1/gate/lease", json=body)
    assert answer.status_code == status
    assert says in answer.json()["detail"]


async def test_without_a_token_nothing_is_granted(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/gate/lease", json={"pool": "main", "count": 1}, headers={"Authorization": ""})
    assert answer.status_code == 401
