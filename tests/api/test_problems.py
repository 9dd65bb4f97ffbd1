"""A fault of ours is one sentence for the caller and a trace without values in the log."""

from __future__ import annotations

import asyncio
import shutil

import httpx
import pytest
import sqlalchemy as sa
from temporalio.client import Client

from api.app import create
from settings import Settings
from store.database import Database
from store.full_disk import LEAST_FREE_BYTES


async def test_a_fault_is_a_sentence_outside_and_a_trace_without_values_inside(
    settings: Settings, db: Database, temporal: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create(settings, db, temporal)

    @app.get("/broken")
    async def broken() -> None:
        password = "horse-" + "battery"
        raise RuntimeError(f"{len(password)} characters")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://warmpath.test") as client:
        answer = await client.get("/broken")
    logged = capsys.readouterr().err
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "RuntimeError" not in answer.text
    assert "RuntimeError" in logged
    assert "horse-battery" not in logged


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "body", "kind", "detail", "field"),
    [
        ("/v1/warmup/forecast", "[]", "application/json", "The body is no JSON object; send one", None),
        ("/v1/warmup/forecast", "growth=0.2", "text/plain", "send one, with Content-Type: application/json.", None),
        (
            "/v1/warmup/forecast",
            '{"shares": {"aol": 1}}',
            "application/json",
            "shares.aol: Input should be",
            "shares.aol",
        ),
        ("/v1/campaigns/pause", '{"scope": {}}', "application/json", "scope: give exactly one of", "scope"),
    ],
    ids=["a list", "no JSON", "a key", "ours"],
)
async def test_a_body_of_the_wrong_shape_is_told_in_words_of_ours(
    api: httpx.AsyncClient, path: str, body: str, kind: str, detail: str, field: str | None
) -> None:
    answer = await api.post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_a_full_disk_is_said_changes_nothing_and_passes(api: httpx.AsyncClient, db: Database) -> None:
    """The file may not grow: SQLite says the same as on a disk without room."""
    assert await told_full(api) == (200, 0)

    async def grow(pages: int) -> None:
        async with db.writer.connect() as connection:
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    async with db.writer.connect() as connection:
        used = (await connection.execute(sa.text("PRAGMA page_count"))).scalar_one()
    await grow(used)
    refused = None
    for number in range(200):
        answer = await api.post("/v1/pools", json={"name": f"pool-{number}"})
        if answer.status_code != 201:
            refused = answer
            break
    assert refused is not None
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"].startswith("The disk of the database is full: nothing was changed.")
    names = [one["name"] for one in (await api.get("/v1/pools?limit=500")).json()["items"]]
    assert f"pool-{number}" not in names
    assert await told_full(api) == (503, 1), "the strip and whoever asks whether it is ready hear of it, too"
    await grow(1_000_000)
    assert (await api.post("/v1/pools", json={"name": f"pool-{number}"})).status_code == 201
    assert await told_full(api) == (200, 0)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_a_disk_with_next_to_no_room_is_told_though_nobody_writes(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free._replace(free=LEAST_FREE_BYTES - 1))
    assert await told_full(api) == (503, 1)


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_a_server_that_met_a_full_disk_is_told(api: httpx.AsyncClient, db: Database) -> None:
    async def grow() -> None:
        async with db.write() as session:
            raising = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"
            await (await session.connection()).exec_driver_sql(raising)

    with pytest.raises(sa.exc.OperationalError):
        await grow()
    assert await told_full(api) == (503, 1)
    async with db.write():
        pass
    assert await told_full(api) == (200, 0)


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_a_full_disk_that_another_process_met_is_told_until_that_one_writes_again_or_is_gone(
    api: httpx.AsyncClient, db: Database
) -> None:
    raising = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"

    async def until(told: tuple[int, int]) -> None:
        async with asyncio.timeout(20):
            while await told_full(api) != told:
                pass

    for ends in (True, False):
        worker = Database.open(db.reader.url.render_as_string(hide_password=False))
        with pytest.raises(sa.exc.OperationalError):
            async with worker.write() as session:
                await (await session.connection()).exec_driver_sql(raising)
        await until((503, 1))
        async with db.write():
            pass
        assert await told_full(api) == (503, 1), "what goes through here says nothing of the other's disk"
        if ends:
            await worker.close()
        else:
            async with worker.write():
                pass
        await until((200, 0))
        await worker.close()


async def told_full(api: httpx.AsyncClient) -> tuple[int, int]:
    """How ready the API is, and how often the strip says that the disk is full."""
    page = (await api.get("/v1/attention")).json()
    told = [one for one in page["items"] if "disk of the database is full" in one["text"]]
    assert page["total"] == len(page["items"])
    assert all(one["severity"] == "critical" for one in told)
    ready = await api.get("/readyz")
    assert ready.status_code == 200 or "disk of the database is full" in ready.json()["detail"]
    return ready.status_code, len(told)
