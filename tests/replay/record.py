"""Histories for the replay guard: the real workflows on a real Temporal server, with a key of no value.

``python -m tests.replay.record`` runs a life with its warm-up, an order that is cancelled and a sweep,
on a server of its own, and writes ``histories/<name>.json``. The payloads stay sealed, so that replay
goes through the real codec.
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
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

import worker
from activities.context import Context
from domain.lifecycle import LifecycleInput, ReputationChanged, Retire
from domain.purchase import Cancel, PurchaseInput
from domain.warmup import Complete, Pause, Restart, Resume, StopSignal, WarmupPlan
from domain.words import Stage
from settings import Settings
from store import ips
from store import purchase as orders
from store.database import Database
from store.keys import Keyring
from store.secrets import Secrets
from store.tables.ips import Ip
from store.tables.purchase import Order
from workflows import ids, search_attributes
from workflows.client import converter, keyring
from workflows.lifecycle import IpLifecycle
from workflows.purchase import Purchase
from workflows.sweep import ReputationSweep, SweepInput
from workflows.warmup import Warmup

HISTORIES = Path(__file__).with_name("histories")
#: 32 zero bytes: seals nothing but these histories, which hold nothing secret.
KEY = "replay:" + "A" * 43 + "="
KEYS = Keyring.parse([KEY])
ADDRESS = "203.0.113.9"
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
    await ramp.execute_update(Warmup.complete, Complete(reason="long warm"))
    await ramp.result()
    await life.execute_update(IpLifecycle.retire, Retire(reason="given back"))
    await life.result()


async def _order(client: Client, context: Context, order: str, seconds: float) -> None:
    """An order whose vendor does not answer, cancelled while it is being quoted."""
    async with context.db.write() as session:
        row = Order(id=order, vendor="sandbox", region="eu-central", count=1, domain="d.test", hostname="m.d.test")
        await orders.create(session, context.db.dialect, row)
    handle = await client.start_workflow(
        Purchase.run,
        PurchaseInput(order_id=order, quote_seconds=seconds),
        id=ids.purchase_id(order),
        task_queue=context.settings.task_queue,
    )
    await handle.execute_update(Purchase.cancel, Cancel(reason="changed my mind"))
    await handle.result()


async def _sweep(client: Client, context: Context) -> None:
    """A sweep of one page."""
    await client.execute_workflow(
        ReputationSweep.run, SweepInput(), id="sweep-reputation", task_queue=context.settings.task_queue
    )


async def record() -> list[str]:
    """Run the journeys and write their histories; answers the names of the files."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            var_dir=Path(folder), secret_keys=(SecretStr(KEY),), drain_seconds=1, blocklist_resolver="127.0.0.1@9"
        )
        db = Database.open(f"sqlite:///{folder}/store.sqlite", synchronous="normal")
        await db.create_all()
        context = Context(settings, db, Secrets(db, keyring(settings)))
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
                await _life(client, context)
                await _order(client, context, "cancelled", 60)
                await _sweep(client, context)
            names = {
                "lifecycle": ids.ip_id(ADDRESS),
                "warmup": ids.warmup_id(ADDRESS),
                "purchase_cancelled": ids.purchase_id("cancelled"),
                "sweep": "sweep-reputation",
            }
            HISTORIES.mkdir(exist_ok=True)
            for name, workflow_id in names.items():
                history = await client.get_workflow_handle(workflow_id).fetch_history()
                # Who recorded it, and on which machine, is nobody's business and no part of replay.
                told = re.sub(r'"[0-9]+@[^"]*"', '"recorder"', history.to_json())
                (HISTORIES / f"{name}.json").write_text(told + "\n")
        await db.close()
    return sorted(names)


if __name__ == "__main__":
    sys.stdout.write(f"recorded {', '.join(asyncio.run(record()))} in {HISTORIES}\n")
    sys.stdout.flush()
    # The SDK's runtime can crash at interpreter exit; everything is written by now.
    os._exit(0)
