"""A worker: runs workflows and activities until it is told to stop, then drains."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import activities.dns
import activities.figures
import activities.lifecycle
import activities.purchase
import activities.reputation
import activities.warmup
import logs
import settings as configuration
from activities.context import Context
from activities.liveness import SignsOfLife
from activities.refusals import Refusals
from activities.runs import SeenRuns
from store.database import Database
from store.secrets import Secrets
from workflows.client import connect, keyring
from workflows.dns import DnsPropagation
from workflows.lifecycle import IpLifecycle
from workflows.purchase import Purchase
from workflows.sweep import WORKFLOWS as SWEEPS
from workflows.sweep import ensure_schedules
from workflows.warmup import Warmup

log = structlog.get_logger()

WORKFLOWS = (IpLifecycle, Purchase, DnsPropagation, Warmup, *SWEEPS)
JOURNEYS = (
    activities.lifecycle,
    activities.purchase,
    activities.dns,
    activities.warmup,
    activities.reputation,
    activities.figures,
)

#: Our own modules hold no state that a workflow could leak through, so they are loaded once, not per workflow.
RUNNER = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "activities", "domain", "providers", "settings", "store", "pydantic", "pydantic_core"
    )
)

#: The SDK would hold a sign of life back for four fifths of its time-out, which leaves a busy machine little room.
AT_MOST_HELD_BACK = timedelta(seconds=2)
#: How long a server may take to come up beside the worker.
SERVER_SECONDS = 30.0


def build(client: Client, context: Context) -> list[Worker]:
    """The workers of one process: the main queue, and the one for slow or paid calls."""
    bound = [activity for journey in JOURNEYS for activity in journey.activities(context)]
    seen = SeenRuns(context.db)
    drain = timedelta(seconds=context.settings.drain_seconds)
    main = Worker(
        client,
        task_queue=context.settings.task_queue,
        workflows=WORKFLOWS,
        activities=bound,
        workflow_runner=RUNNER,
        interceptors=[SignsOfLife(), Refusals(), seen],
        max_heartbeat_throttle_interval=AT_MOST_HELD_BACK,
        graceful_shutdown_timeout=drain,
    )
    vendors = Worker(
        client,
        task_queue=context.settings.vendor_task_queue,
        activities=bound,
        interceptors=[SignsOfLife(), Refusals(), seen],
        max_heartbeat_throttle_interval=AT_MOST_HELD_BACK,
        graceful_shutdown_timeout=drain,
        max_task_queue_activities_per_second=context.settings.vendor_calls_per_second,
    )
    return [main, vendors]


async def connected(settings: configuration.Settings) -> Client:
    """The client; a server that starts at the same time is waited for.

    Raises:
        RuntimeError: Temporal cannot be reached.
    """
    deadline = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            return await connect(settings)
        except RuntimeError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("temporal does not answer", reason=str(error).splitlines()[0])
            await asyncio.sleep(0.5)


async def main() -> None:
    """Run until SIGTERM or SIGINT, then let running activities finish."""
    settings = configuration.load()
    logs.configure(settings)
    db = Database.open(settings.database_url, synchronous=settings.sqlite_synchronous)
    context = Context(settings, db, Secrets(db, keyring(settings)))
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    waiting = asyncio.create_task(stop.wait())
    reaching = asyncio.create_task(connected(settings))
    await asyncio.wait([reaching, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not reaching.done():  # told to stop before there was a server
        await db.close()
        return
    client = await reaching
    await ensure_schedules(client, settings)
    workers = build(client, context)
    running = [asyncio.create_task(worker.run()) for worker in workers]
    log.info("worker runs", queues=[worker.task_queue for worker in workers])
    # A worker that failed ends the process: a supervisor restarts it, a silent half would not be seen.
    await asyncio.wait([*running, waiting], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running)
    await db.close()
    log.info("worker stopped")


if __name__ == "__main__":
    code = 0
    try:
        asyncio.run(main())
    except (RuntimeError, ValueError) as error:
        log.error("worker cannot run", reason=str(error))
        code = 1
    # The SDK's runtime can crash at interpreter exit; everything is flushed by now.
    os._exit(code)
