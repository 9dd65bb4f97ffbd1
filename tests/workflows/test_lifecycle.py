"""The whole life of an IP through the API, on the real Temporal server with the product's own workers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionStatus

import worker
from activities.context import Context
from api.webhooks import generic
from domain.words import Stage
from settings import Settings
from store import ledger, warmup
from store.database import Database
from store.tables.ips import JourneyStep
from workflows.ids import ip_id, warmup_id

SECRET = "whsec_" + base64.b64encode(b"a secret of this test").decode()
DAYS, DAY_SECONDS = 45, 0.2
BUDGET_OF_A_LIFE, BUDGET_OF_A_WARMUP = 130, 100

#: What Temporal bills as one action (TEMPORAL.md, Processes). A child is two: the command and its start.
BILLED = {
    "workflow_execution_started_event_attributes": "start",
    "activity_task_scheduled_event_attributes": "activity",
    "timer_started_event_attributes": "timer",
    "workflow_execution_signaled_event_attributes": "signal",
    "workflow_execution_update_accepted_event_attributes": "update",
    "start_child_workflow_execution_initiated_event_attributes": "child",
    "upsert_workflow_search_attributes_event_attributes": "upsert",
    "signal_external_workflow_execution_initiated_event_attributes": "signal sent",
    "request_cancel_external_workflow_execution_initiated_event_attributes": "cancel",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Short days, task queues of this test only, a key for the webhook."""
    queue = uuid.uuid4().hex
    return settings.model_copy(
        update={
            "task_queue": f"life-{queue}",
            "vendor_task_queue": f"vendors-{queue}",
            "day_seconds": DAY_SECONDS,
            "drain_seconds": 1.0,
            "webhook_generic_secret": SecretStr(SECRET),
        }
    )


@pytest.fixture
async def working(temporal: Client, context: Context) -> AsyncIterator[None]:
    """The product's workers."""
    async with contextlib.AsyncExitStack() as stack:
        for one in worker.build(temporal, context):
            await stack.enter_async_context(one)
        yield


@pytest.fixture
def address() -> str:
    """An address of this test only, as far as chance goes: the server is the suite's."""
    return f"2001:db8::{uuid.uuid4().int % 0xFFFF + 1:x}:{uuid.uuid4().int % 0xFFFF + 1:x}"


async def until(true: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """Look until it is true; answers how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def actions(client: Client, workflow_id: str) -> Counter[str]:
    """Billed actions of a workflow by kind, from its history."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    names = (event.WhichOneof("attributes") or "" for event in history.events)
    return Counter(BILLED[name] for name in names if name in BILLED)


def alert(address: str) -> dict[str, object]:
    """A signed critical alert as a monitor posts it."""
    event = {"kind": "alert", "severity": "critical", "ip": address, "detail": "This IP is listed"}
    event = {"kind": "alert", "severity": "critical", "ip": address, "detail": "This IP is listed"}
    body = json.dumps([event | {"id": uuid.uuid4().hex}]).encode()
    stamp, message = str(int(time.time())), uuid.uuid4().hex
    signature = generic.sign(SECRET, message, stamp, body)
    headers = {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}
    return {"content": body, "headers": headers}


async def test_a_whole_life_within_its_action_budget(
    api: httpx.AsyncClient, temporal: Client, db: Database, working: None, address: str
) -> None:
    path = f"/v1/ips/{address}"

    async def started() -> bool:
        return (await api.post(f"{path}/warmup", json={"target": 50_000})).status_code == 201

    async def days() -> int:
        async with db.read() as session:
            return len(await warmup.history(session, address, limit=100))

    async def stopped() -> bool:
        async with db.read() as session:
            window = await ledger.window(session, address, round(time.time() * 1000))
            steps = (await session.exec(sa.select(JourneyStep.stage).where(JourneyStep.address == address))).all()
        return (window is None or window.paused) and (Stage.AT_RISK,) in steps

    async def aged() -> bool:
        return await days() >= DAYS

    async def described(workflow_id: str) -> WorkflowExecutionStatus | None:
        return (await temporal.get_workflow_handle(workflow_id).describe()).status

    async def ended() -> bool:
        return await described(ip_id(address)) is WorkflowExecutionStatus.COMPLETED

    owned = {"address": address, "stage": "active", "safe_limit": 50_000}
    assert (await api.post("/v1/ips/import", json=[owned])).status_code == 201
    await until(started, 15)

    refused = await api.post(f"{path}/warmup", json={"target": 50_000})
    assert refused.status_code == 409
    assert "warming up already" in refused.json()["detail"]

    await until(aged, 90)
    assert (await api.post("/v1/webhooks/generic", **alert(address))).is_success  # type: ignore[arg-type]
    took = await until(stopped, 10)
    assert took < 1.0, f"mail stopped {took:.2f} s after the alert"
    assert (await api.get(path)).json()["stage"] in (Stage.AT_RISK, Stage.QUARANTINED)
    closed = await days()

    assert (await api.post(f"{path}/retire", json={"reason": "the provider takes it back"})).is_success
    await until(ended, 15)
    assert await described(warmup_id(address)) is WorkflowExecutionStatus.CANCELED
    assert (await api.get(path)).json()["stage"] == Stage.RETIRED
    again = await api.post(f"{path}/warmup", json={"target": 50_000})
    assert again.status_code in (404, 409)

    life, ramp = await actions(temporal, ip_id(address)), await actions(temporal, warmup_id(address))
    total = life.total() + ramp.total()
    told = f"life {dict(life)}, warm-up of {closed} days {dict(ramp)}, together {total}; stopped in {took:.2f} s"
    told = f"life {dict(life)}, warm-up of {closed} days {dict(ramp)}, together {total}; stopped in {took:.2f} s"
    print(f"\nactions: {told}")  # noqa: T201
    assert ramp.total() - 2 * (closed - DAYS) <= BUDGET_OF_A_WARMUP
    assert total - 2 * (closed - DAYS) <= BUDGET_OF_A_LIFE
