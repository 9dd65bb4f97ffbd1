"""The relay: takes messages out of the outbox to their workflows, until each is done."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import structlog
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.lifecycle import LifecycleInput
from domain.purchase import PurchaseInput
from store import outbox, runs
from store.database import Database
from store.tables.outbox import OutboxRow
from workflows import starts

log = structlog.get_logger()

#: Seconds between looks when nobody kicks: rows of other APIs, and tries that are due again.
POLL_SECONDS = 1.0
#: Seconds a single delivery may take; less than a claim, so that no other relay tries it meanwhile.
DELIVERY_SECONDS = 5.0


class Relay:
    """One a process, run in the lifespan of the API; any number may share a store."""

    def __init__(self, db: Database, client: Client, task_queue: str) -> None:
        self.db = db
        self.client = client
        self.task_queue = task_queue
        self._kicked = asyncio.Event()

    def kick(self) -> None:
        """Look at once: something was just committed."""
        self._kicked.set()

    async def run(self) -> None:
        """Relay until cancelled; trouble of store or server is logged and tried again."""
        while True:
            self._kicked.clear()
            try:
                while await self.once():
                    pass
            except Exception as error:  # noqa: BLE001 - a relay that ends would lose nothing but time, for ever
                log.warning("outbox.relay_failed", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._kicked.wait(), POLL_SECONDS)

    async def once(self) -> int:
        """Try every row that is due now; answers how many were tried."""
        async with self.db.read() as session:
            if not await outbox.any_due(session):
                return 0
        async with self.db.write() as session:
            rows = await outbox.claim(session)
        await asyncio.gather(*(self._deliver(row) for row in rows))
        return len(rows)

    async def _deliver(self, row: OutboxRow) -> None:
        assert row.id is not None
        try:
            note = await asyncio.wait_for(self._send(row), DELIVERY_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it was, the message is not lost
            # At the first, second, fourth ... try: a server that is away for hours must not fill the log.
            if row.attempts & (row.attempts - 1) == 0:
                told = {"to": row.workflow_id, "name": row.name, "attempt": row.attempts}
                log.warning("outbox.not_delivered", **told, reason=f"{type(error).__name__}: {error}"[:200])
            async with self.db.write() as session:
                await outbox.retry_later(session, row, f"{type(error).__name__}: {error}"[:500])
            return
        async with self.db.write() as session:
            await outbox.done(session, row.id, note)

    async def _send(self, row: OutboxRow) -> str:
        if row.kind == "start":
            note = ""
            try:
                handle = await self.client.start_workflow(
                    row.name,
                    row.payload,
                    id=row.workflow_id,
                    task_queue=self.task_queue,
                    **_told(row),
                )
                run = handle.first_execution_run_id
            except WorkflowAlreadyStartedError as error:
                note, run = "it was running already", error.run_id
            if run:
                await runs.seen(self.db, row.workflow_id, run)
            return note
        try:
            await self.client.get_workflow_handle(row.workflow_id).signal(row.name, row.payload)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return f"no workflow {row.workflow_id} is running"
            raise
        return ""


def _told(row: OutboxRow) -> starts.Told | dict[str, Any]:
    if row.name == "IpLifecycle":
        return starts.of_life(LifecycleInput.model_validate(row.payload))
    return starts.of_order(PurchaseInput.model_validate(row.payload)) if row.name == "Purchase" else {}


async def relay(app: FastAPI) -> None:
    """The background task of the API: waits for Temporal, then relays until cancelled."""
    while app.state.temporal is None:
        await asyncio.sleep(0.2)
    app.state.relay = Relay(app.state.db, app.state.temporal, app.state.settings.task_queue)
    await app.state.relay.run()
