"""The whole life of an IP through the API, with the product's own workers on a real Temporal server, and neighbours."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionStatus

import worker
from activities.context import Context
from api.webhooks import generic
from domain.words import Stage
from sandbox.vendor import ODD_PTR
from settings import Settings
from store import ledger, warmup
from store.database import Database
from store.tables.ips import JourneyStep
from tests.neighbourhood import Neighbourhood, neighbourhood
from workflows.ids import dns_id, ip_id, purchase_id, warmup_id

SECRET = "whsec_" + base64.b64encode(b"a secret of this test").decode()
DAYS, DAY_SECONDS = 45, 0.05
REGION, DOMAIN = "us-east", "receipts.test"
#: Host parts of the region's addresses with a history.
LISTED = (66, 88)
BUDGET_OF_A_LIFE, BUDGET_OF_A_WARMUP = 130, 100

#: What Temporal bills as one action (Temporal Cloud's list of actions). A child is two: the command and its start.
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
async def around(tmp_path: Path) -> AsyncIterator[Neighbourhood]:
    """Vendor, gateway and DNS; of the vendor's addresses few are free, by chance: the server is the suite's."""
    async with neighbourhood(tmp_path / "neighbours") as everybody:
        seller = everybody.vendor
        clean = [one for one in seller.on_sale(REGION) if one not in ODD_PTR and int(one.split(".")[3]) not in LISTED]
        free = random.sample(clean, 4)
        seller.held["orders"] = dict.fromkeys(set(seller.on_sale(REGION)) - set(free), "somebody else")
        yield everybody


@pytest.fixture
def settings(settings: Settings, around: Neighbourhood) -> Settings:
    """Short days, task queues of this test only, a key for the webhook, and where the neighbours are."""
    queue = uuid.uuid4().hex
    return settings.model_copy(
        update={
            "task_queue": f"life-{queue}",
            "vendor_task_queue": f"vendors-{queue}",
            "day_seconds": DAY_SECONDS,
            "drain_seconds": 1.0,
            "webhook_generic_secret": SecretStr(SECRET),
            **around.settings,
        }
    )


@pytest.fixture
async def working(temporal: Client, context: Context) -> AsyncIterator[None]:
    """The product's workers."""
    async with contextlib.AsyncExitStack() as stack:
        for one in worker.build(temporal, context):
            await stack.enter_async_context(one)
        yield


async def until(true: Callable[[], Awaitable[bool]], seconds: float) -> float:
    """Look until it is true; answers how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def actions(client: Client, workflow_id: str) -> Counter[str]:
    """Billed actions of a workflow by kind, from its history; a retry is one more."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    found: Counter[str] = Counter()
    for event in history.events:
        kind = event.WhichOneof("attributes") or ""
        if kind in BILLED:
            found[BILLED[kind]] += 1
        elif kind == "activity_task_started_event_attributes":
            found["retry"] += event.activity_task_started_event_attributes.attempt - 1
    return +found


def alert(address: str) -> dict[str, object]:
    """A signed critical alert as a monitor posts it."""
    event = {"kind": "alert", "severity": "critical", "ip": address, "detail": "This IP is listed"}
    body = json.dumps([event | {"id": uuid.uuid4().hex}]).encode()
    stamp, message = str(int(time.time())), uuid.uuid4().hex
    signature = generic.sign(SECRET, message, stamp, body)
    headers = {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}
    return {"content": body, "headers": headers}


@dataclass
class Life:
    """One IP as an operator has it, through the API and the read model."""

    api: httpx.AsyncClient
    temporal: Client
    db: Database
    order: str = ""
    address: str = ""

    @property
    def path(self) -> str:
        """Of the IP."""
        return f"/v1/ips/{self.address}"

    async def buy(self) -> None:
        """Order one IP, press Complete Purchase, wait until it is ours."""
        asked = {"vendor": "sandbox", "region": REGION, "domain": DOMAIN, "hostname": f"mail.{DOMAIN}"}
        made = await self.api.post("/v1/orders", json=asked)
        assert made.status_code == 201, made.text
        self.order = made.json()["id"]
        await until(self._is("quoted"), 15)
        pressed = await self.api.post(f"/v1/orders/{self.order}/purchase", json={"payment_method": "tok_visa"})
        assert pressed.is_success, pressed.text
        await until(self._is("purchased"), 30)
        (self.address,) = (await self.api.get(f"/v1/orders/{self.order}")).json()["ips"]

    def _is(self, status: str) -> Callable[[], Awaitable[bool]]:
        async def so() -> bool:
            found = (await self.api.get(f"/v1/orders/{self.order}")).json()["status"]
            assert found not in ("failed", "expired", "waitlisted"), found
            return bool(found == status)

        return so

    async def verified(self) -> bool:
        """Whether DNS is verified and the life has heard of it."""
        return bool((await self.api.get(self.path)).json()["stage"] == Stage.ACTIVE)

    async def started(self) -> bool:
        """Whether Start Warmup was taken."""
        return (await self.api.post(f"{self.path}/warmup", json={"target": 50_000})).status_code == 201

    async def days(self) -> int:
        """Closed days."""
        async with self.db.read() as session:
            return len(await warmup.history(session, self.address, limit=100))

    async def aged(self) -> bool:
        """Whether the days of the budget are closed."""
        return await self.days() >= DAYS

    async def stopped(self) -> bool:
        """Whether mail stopped at the gate and the IP was at risk."""
        of_ip = sa.select(JourneyStep.stage).where(JourneyStep.address == self.address)
        async with self.db.read() as session:
            window = await ledger.window(session, self.address, round(time.time() * 1000))
            steps = (await session.exec(of_ip)).all()
        return (window is None or window.paused) and (Stage.AT_RISK,) in steps

    async def status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        """Of a workflow."""
        return (await self.temporal.get_workflow_handle(workflow_id).describe()).status

    async def ended(self) -> bool:
        """Whether the life is over."""
        return await self.status(ip_id(self.address)) is WorkflowExecutionStatus.COMPLETED


async def test_a_whole_life_within_its_action_budget(
    api: httpx.AsyncClient, temporal: Client, db: Database, working: None, around: Neighbourhood
) -> None:
    life = Life(api, temporal, db)
    await life.buy()
    assert [one["status"] for one in around.gateway.held["payments"].values()] == ["captured"]
    await until(life.verified, 60)
    for look in (f"/v1/orders/{life.order}", life.path, f"{life.path}/dns"):
        link = (await api.get(look)).json()["workflow"]
        assert link["run_id"] == (await temporal.get_workflow_handle(link["id"]).describe()).run_id, look
    await until(life.started, 15)
    refused = await api.post(f"{life.path}/warmup", json={"target": 50_000})
    assert refused.status_code == 409
    assert "warming up already" in refused.json()["detail"]

    await until(life.aged, 90)
    assert (await api.post("/v1/webhooks/generic", **alert(life.address))).is_success  # type: ignore[arg-type]
    took = await until(life.stopped, 10)
    assert took < 1.0, f"mail stopped {took:.2f} s after the alert"
    assert (await api.get(life.path)).json()["stage"] in (Stage.AT_RISK, Stage.QUARANTINED)
    closed = await life.days()

    assert (await api.post(f"{life.path}/retire", json={"reason": "the provider takes it back"})).is_success
    await until(life.ended, 15)
    assert await life.status(warmup_id(life.address)) is WorkflowExecutionStatus.CANCELED
    assert (await api.get(life.path)).json()["stage"] == Stage.RETIRED
    again = await api.post(f"{life.path}/warmup", json={"target": 50_000})
    assert again.status_code in (404, 409)

    journeys = {
        "purchase": purchase_id(life.order), "dns": dns_id(life.address), "life": ip_id(life.address),
        "warmup": warmup_id(life.address),
    }  # fmt: skip
    billed = {name: await actions(temporal, workflow_id) for name, workflow_id in journeys.items()}
    # Days that passed until the alert and the retirement came are not the budget's: a timer and an activity each.
    more = 2 * (closed - DAYS)
    total = sum(one.total() for one in billed.values()) - more
    for name, one in billed.items():
        print(f"\nactions of {name}: {one.total()} {dict(one)}", end="")  # noqa: T201
    print(f"\nactions of the whole life: {total} with {DAYS} days; mail stopped in {took:.2f} s")  # noqa: T201
    assert billed["warmup"].total() - more <= BUDGET_OF_A_WARMUP
    assert total <= BUDGET_OF_A_LIFE
