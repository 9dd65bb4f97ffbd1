"""Histories for the replay guard: the real workflows on a real Temporal server, with a key of no value.

``python -m tests.replay.record`` buys an IP, waits until its DNS is verified, runs both sweeps over it and retires
it; runs a life with its warm-up and every message; cancels an order. All on servers of its own, the sandbox's
neighbours among them. Writes ``histories/<name>.json``. The payloads stay sealed, so that replay goes through the
real codec.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

import worker
from activities.context import Context
from domain.lifecycle import LifecycleInput, ReputationChanged, Retire
from domain.purchase import Cancel, Complete, PurchaseInput, PurchaseState
from domain.warmup import Complete as CompleteWarmup
from domain.warmup import Pause, Restart, Resume, StopSignal, WarmupPlan
from domain.words import OrderStatus, Stage
from settings import Settings
from store import ips
from store.database import Database
from store.keys import Keyring
from store.secrets import Secrets
from store.tables.ips import Ip
from store.tables.purchase import Order
from tests.neighbourhood import Neighbourhood, neighbourhood
from workflows import ids, search_attributes
from workflows.client import converter, keyring
from workflows.lifecycle import IpLifecycle
from workflows.purchase import Purchase
from workflows.sweep import DnsSweep, ReputationSweep, SweepInput
from workflows.warmup import Warmup

HISTORIES = Path(__file__).with_name("histories")
#: 32 zero bytes: seals nothing but these histories, which hold nothing secret.
KEY = "replay:" + "A" * 43 + "="
KEYS = Keyring.parse([KEY])
ADDRESS, DOMAIN = "203.0.113.9", "receipts.test"
SECONDS = 60.0


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await true():
            await asyncio.sleep(0.05)


async def _life(client: Client, context: Context) -> None:
    """Warm-up with every message, an alert, and retirement."""
    async with context.db.write() as session:
        await ips.insert(session, Ip(address=ADDRESS, stage=Stage.ACTIVE))
    life = await client.start_workflow(
        IpLifecycle.run,
        LifecycleInput(address=ADDRESS, stage=Stage.ACTIVE),
        id=ids.ip_id(ADDRESS),
        task_queue=context.settings.task_queue,
    )
    await life.execute_update(IpLifecycle.start_warmup, WarmupPlan(day_seconds=0.5))
    ramp = client.get_workflow_handle_for(Warmup.run, ids.warmup_id(ADDRESS))

    async def aged() -> bool:
        return (await ramp.query(Warmup.state)).day >= 3

    await _until(aged)
    await ramp.execute_update(Warmup.pause, Pause(reason="a rest"))
    await ramp.execute_update(Warmup.resume, Resume())
    await ramp.signal(Warmup.stop, StopSignal(reason="This IP is listed", source="a monitor"))
    await life.signal(
        IpLifecycle.reputation_changed,
        ReputationChanged(reason="This IP is listed", critical=True, source="a monitor"),
    )
    await ramp.execute_update(Warmup.restart, Restart(step=0))
    await ramp.execute_update(Warmup.complete, CompleteWarmup(reason="long warm"))
    await ramp.result()
    await life.execute_update(IpLifecycle.retire, Retire(reason="given back"))
    await life.result()


async def _order(client: Client, context: Context, order: str) -> WorkflowHandle[Purchase, PurchaseState]:
    """A new order."""
    async with context.db.write() as session:
        row = Order(id=order, vendor="sandbox", region="eu-central", count=1, domain=DOMAIN, hostname=f"m.{DOMAIN}")
        session.add(row)
    return await client.start_workflow(
        Purchase.run,
        PurchaseInput(order_id=order, quote_seconds=SECONDS),
        id=ids.purchase_id(order),
        task_queue=context.settings.task_queue,
    )


async def _cancelled(client: Client, context: Context, around: Neighbourhood) -> None:
    """An order whose vendor does not answer, cancelled while it is being quoted."""
    around.vendor.held["faults"] = {"down": 1_000}
    handle = await _order(client, context, "cancelled")
    await handle.execute_update(Purchase.cancel, Cancel(reason="changed my mind"))
    await handle.result()
    around.vendor.held["faults"] = {}


async def _bought(client: Client, context: Context) -> str:
    """An order that is completed; DNS is published and verified, both sweeps run, the IP is retired."""
    handle = await _order(client, context, "bought")

    async def quoted() -> bool:
        return (await handle.query(Purchase.state)).status is OrderStatus.QUOTED

    await _until(quoted)
    ref = await context.secrets.put("payment:bought", "tok_visa")
    await handle.execute_update(Purchase.complete, Complete(payment_secret=ref))
    (address,) = (await handle.result()).addresses
    life = client.get_workflow_handle_for(IpLifecycle.run, ids.ip_id(address))

    async def verified() -> bool:
        return await life.query(IpLifecycle.stage) is Stage.ACTIVE

    await _until(verified)
    queue = context.settings.task_queue
    await client.execute_workflow(ReputationSweep.run, SweepInput(), id="sweep-reputation", task_queue=queue)
    await client.execute_workflow(DnsSweep.run, SweepInput(), id="sweep-dns", task_queue=queue)
    await life.execute_update(IpLifecycle.retire, Retire(reason="given back"))
    await life.result()
    return address


async def record() -> list[str]:
    """Run the journeys and write their histories; answers the names of the files."""
    with tempfile.TemporaryDirectory() as folder:
        async with neighbourhood(Path(folder) / "neighbours") as around:
            settings = Settings(var_dir=Path(folder), secret_keys=(SecretStr(KEY),), drain_seconds=1, **around.settings)
            db = Database.open(f"sqlite:///{folder}/store.sqlite", synchronous="normal")
            await db.create_all()
            try:
                return await _record(Context(settings, db, Secrets(db, keyring(settings))), around)
            finally:
                await db.close()


async def _record(context: Context, around: Neighbourhood) -> list[str]:
    attributes = [part for one in search_attributes.ALL for part in ("--search-attribute", f"{one.name}=Keyword")]
    async with await WorkflowEnvironment.start_local(
        data_converter=converter(KEYS),
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_log_level="error",
        dev_server_extra_args=attributes,
    ) as environment:
        client = environment.client
        main, vendors = worker.build(client, context)
        async with main, vendors:
            await _cancelled(client, context, around)
            bought = await _bought(client, context)
            await _life(client, context)
        names = {
            "purchase": ids.purchase_id("bought"),
            "purchase_cancelled": ids.purchase_id("cancelled"),
            "dns": ids.dns_id(bought),
            "lifecycle_bought": ids.ip_id(bought),
            "lifecycle": ids.ip_id(ADDRESS),
            "warmup": ids.warmup_id(ADDRESS),
            "sweep": "sweep-reputation",
            "sweep_dns": "sweep-dns",
        }
        HISTORIES.mkdir(exist_ok=True)
        for name, workflow_id in names.items():
            history = await client.get_workflow_handle(workflow_id).fetch_history()
            # Who recorded it, and on which machine, is nobody's business and no part of replay.
            told = re.sub(r'"[0-9]+@[^"]*"', '"recorder"', history.to_json())
            (HISTORIES / f"{name}.json").write_text(told + "\n")
    return sorted(names)


if __name__ == "__main__":
    sys.stdout.write(f"recorded {', '.join(asyncio.run(record()))} in {HISTORIES}\n")
    sys.stdout.flush()
    # The SDK's runtime can crash at interpreter exit; everything is written by now.
    os._exit(0)
