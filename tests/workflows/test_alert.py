"""A critical alert stops a warm-up, also one that comes while no worker runs, and is one incident."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

import worker
from activities.context import Context
from domain.words import Stage
from settings import Settings
from store import ledger
from store.database import Database
from tests.workflows.test_lifecycle import SECRET, alert, until
from workflows.ids import ip_id
from workflows.lifecycle import IpLifecycle
from workflows.search_attributes import STAGE


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Real days, task queues of this test only, a key for the webhook."""
    queue = uuid.uuid4().hex
    own = {"task_queue": f"alert-{queue}", "vendor_task_queue": f"vendors-{queue}", "drain_seconds": 1.0}
    return settings.model_copy(update=own | {"webhook_generic_secret": SecretStr(SECRET)})


@pytest.fixture
def address() -> str:
    """An address of this test only, as far as chance goes: the server is the suite's."""
    return f"2001:db8::{uuid.uuid4().int % 0xFFFF + 1:x}:{uuid.uuid4().int % 0xFFFF + 1:x}"


async def _working(stack: contextlib.AsyncExitStack, temporal: Client, context: Context) -> None:
    for one in worker.build(temporal, context):
        await stack.enter_async_context(one)


async def test_an_alert_that_comes_while_no_worker_runs(
    api: httpx.AsyncClient,
    temporal: Client,
    context: Context,
    db: Database,
    address: str,
) -> None:
    path = f"/v1/ips/{address}"

    async def started() -> bool:
        return (await api.post(f"{path}/warmup", json={})).status_code == 201

    async def state() -> str:
        return str((await api.get(f"{path}/warmup")).json().get("state"))

    async def warming() -> bool:
        return await state() == "warming"

    async def stopped() -> bool:
        return await state() == "stopped"

    async def one_incident() -> bool:
        return [cause["seen_by"] for one in await incidents() for cause in one["causes"]] == ["mail"]

    async def incidents() -> list[dict[str, Any]]:
        found = await api.get("/v1/incidents", params={"address": address})
        return list(found.json()["items"])

    async def at_risk() -> bool:
        return (await api.get(path)).json()["stage"] == Stage.AT_RISK

    async with contextlib.AsyncExitStack() as first:
        await _working(first, temporal, context)
        owned = {"address": address, "stage": "active", "safe_limit": 50_000}
        assert (await api.post("/v1/ips/import", json=[owned])).status_code == 201
        await until(started, 15)
        await until(warming, 15)

    told = alert(address)
    began = time.monotonic()
    assert (await api.post("/v1/webhooks/generic", **told)).json() == {"received": 1, "new": 1}  # type: ignore[arg-type]
    async with db.read() as session:
        window = await ledger.window(session, address, round(time.time() * 1000))
    assert window is None or window.paused
    lease = (await api.post("/v1/gate/lease", json={"ip": address, "provider": "gmail", "count": 1})).json()
    assert time.monotonic() - began < 1.0
    assert lease["grants"] == []
    assert await state() == "warming", "nobody has told the journey yet"
    assert (await api.post("/v1/webhooks/generic", **told)).json() == {"received": 1, "new": 0}  # type: ignore[arg-type]

    async with contextlib.AsyncExitStack() as again:
        await _working(again, temporal, context)
        await until(stopped, 20)
        await until(at_risk, 20)
        await until(one_incident, 20)
        # Another monitor sees the same trouble.
        assert (await api.post("/v1/webhooks/generic", **alert(address))).json()["new"] == 1  # type: ignore[arg-type]
        (opened,) = await incidents()

        async def seen_again() -> bool:
            return bool((await incidents())[0]["last_seen"] > opened["last_seen"])

        await until(seen_again, 20)
        (still,) = await incidents()
        assert (still["id"], still["closed_at"], still["severity"]) == (opened["id"], None, "critical")
        assert "This IP is listed" in still["cause"]

        assert (await api.post(f"{path}/warmup/restart", json={"step": 0, "reason": "delisted"})).is_success
        (over,) = await incidents()
        assert over["closed_why"] == "An operator let mail go again."
        assert (await api.get(path)).json()["stage"] == Stage.WARMING
        assert await state() == "warming"
        life = temporal.get_workflow_handle_for(IpLifecycle.run, ip_id(address))

        async def told_so() -> bool:
            known, found = await life.query(IpLifecycle.standing), await life.describe()
            return (known.risk, found.typed_search_attributes.get(STAGE)) == ("", "warming")

        await until(told_so, 20)
