"""Tokens that nobody has: refused without a look-up after a while, and nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api import sign_in
from api.app import create
from domain.words import Role
from settings import Settings
from store import accounts
from store.database import Database

#: One store is enough: what is counted is counted in the process.
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)

FORGED = "wp_abababababab_forged"
LEASE = {"pool": "default", "provider": "gmail", "count": 1}
From = Callable[[str], httpx.AsyncClient]


@pytest.fixture
def app(settings: Settings, db: Database, temporal: Client, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """The API with little patience for tokens that nobody has."""
    monkeypatch.setattr(sign_in, "MOST_FAILURES", 3)
    return create(settings.model_copy(update={"rate_limit_per_minute": 5}), db, temporal)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that go by only when a test says so."""
    now = [1000.0]
    monkeypatch.setattr(sign_in, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tokens that the store was asked for."""
    find, asked = accounts.find_token, []

    async def noted(session: object, text: str) -> object:
        asked.append(text)
        return await find(session, text)  # type: ignore[arg-type]

    monkeypatch.setattr(accounts, "find_token", noted)
    return asked


def _from(app: FastAPI, address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 4000)), base_url="http://w.test")


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def _asked(client: httpx.AsyncClient, text: str, count: int = 1) -> list[int]:
    return [(await client.get("/v1/ips", headers=_bearer(text))).status_code for _ in range(count)]


async def test_after_too_many_no_more_are_looked_up_for_a_minute(
    app: FastAPI, clock: list[float], looked_up: list[str]
) -> None:
    async with _from(app, "192.0.2.1") as client:
        assert await _asked(client, FORGED, 5) == [401, 401, 401, 429, 429]
        assert len(looked_up) == 3
        clock[0] += 20.5
        answer = await client.post("/v1/gate/lease", json=LEASE, headers=_bearer(FORGED))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "40")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "wait 40 s" in answer.json()["detail"]
        clock[0] += 40
        assert await _asked(client, FORGED, 2) == [401, 401]


async def test_a_token_is_taken_from_where_others_failed(app: FastAPI, db: Database, clock: list[float]) -> None:
    async with _from(app, "192.0.2.1") as client:
        assert await _asked(client, FORGED, 4) == [401, 401, 401, 429]
        clock[0] += 2
        async with db.write() as session:
            token = await accounts.create_token(session, "new", Role.VIEWER)
        assert await _asked(client, token, 6) == [200] * 5 + [429], "its own limit, and no other"
        assert await _asked(client, FORGED) == [429]


async def test_many_at_once_cost_one_look_at_the_ids(
    app: FastAPI, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, looks = accounts.live_ids, []

    async def noted(session: object) -> frozenset[str]:
        looks.append(session)
        return await read(session)  # type: ignore[arg-type]

    monkeypatch.setattr(accounts, "live_ids", noted)
    failures = app.state.rate_limit.failures
    assert not any(await asyncio.gather(*(failures.may_be_a_token(db, FORGED) for _ in range(20))))
    assert len(looks) == 1


async def test_a_token_that_is_guessed_at_is_no_way_around_it(app: FastAPI, db: Database, clock: list[float]) -> None:
    async with db.write() as session:
        token = await accounts.create_token(session, "ours", Role.VIEWER)
    async with _from(app, "192.0.2.1") as client:
        assert await _asked(client, FORGED, 3) == [401] * 3
        assert await _asked(client, token[:-1]) == [401]
        clock[0] += 2
        assert await _asked(client, FORGED) == [429]


@pytest.mark.parametrize(
    ("other", "status"),
    [("192.0.2.2", 401), ("2001:db8::1", 401), ("2001:db8:0:1::ffff:2", 429), ("2001:db8:0:2::1", 401)],
)
async def test_each_client_is_counted_by_itself(app: FastAPI, clock: list[float], other: str, status: int) -> None:
    for spent in ("192.0.2.1", "2001:db8:0:1::1"):
        async with _from(app, spent) as client:
            assert await _asked(client, FORGED, 4) == [401] * 3 + [429]
    async with _from(app, other) as client:
        assert await _asked(client, FORGED) == [status]


async def test_what_is_counted_has_a_bound(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "MOST_CLIENTS", 2)
    failures = app.state.rate_limit.failures
    for client in ("a", "a", "b", "a", "c"):
        failures.add(client)
    assert failures.wait("a") > 0, "whoever goes on failing is kept"
    for client in ("d", "e"):
        failures.add(client)
    assert failures.wait("a") == 0
    assert len(failures._seen) == 2
