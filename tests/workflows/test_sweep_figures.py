"""The sweep of figures and events, as the schedule starts it."""

from __future__ import annotations

import datetime as dt
import time
import uuid

import sqlalchemy as sa
from sqlmodel import col, select
from temporalio.client import Client
from temporalio.worker import Worker

import activities.figures
from activities.context import Context
from activities.figures import Kept
from domain.events import Kind, MailEvent
from store import events, instants, ledger, outbox, requests
from store.tables.accounts import RequestKey
from store.tables.ledger import LedgerWindow
from store.tables.outbox import OutboxRow
from worker import RUNNER
from workflows.figures import FiguresSweep

DAY = 86_400_000


async def test_old_slices_are_rolled_up_and_new_events_stay(context: Context, temporal: Client) -> None:
    now = int(time.time() * 1000)
    old = (now // DAY - context.settings.figure_slice_days - 3) * DAY
    batch = [
        MailEvent(source="generic", event_id=f"e{at}", kind=Kind.DELIVERED, address="198.51.100.7", at_ms=at)
        for at in (old + 3_600_000, old + 7_200_000, now)
    ]
    forgotten = (now // DAY - context.settings.reply_days - 1) * DAY
    said = [
        MailEvent(
            source="generic", event_id=f"r{at}", kind=Kind.FAILED, address="198.51.100.7", at_ms=at, detail="552 full"
        )
        for at in (forgotten, forgotten + DAY)
    ]  # fmt: skip
    async with context.db.write() as session:
        await events.record(session, batch + said)
        arrived, waits = [await outbox.put(session, "signal", "warmup:x", "stop", {}) for _ in range(2)]
        await outbox.done(session, arrived)
        # The worker's clock is that of the machine; what is long done is made so.
        await session.exec(sa.update(OutboxRow).values(created_ms=1, due_ms=1))
        await session.exec(sa.update(OutboxRow).where(col(OutboxRow.id) == arrived).values(done_ms=1))
        for starts in (now - 402 * DAY, now - 399 * DAY):
            await ledger.set_window(session, "198.51.100.7", starts, starts + DAY, 50, {}, 0)
        await ledger.set_paused(session, "198.51.100.7", True, "listed")
        for key, days in (("old", 36), ("young", 34)):
            await requests.claim(session, key, "POST /v1/orders", "", [])
            used = instants.now() - dt.timedelta(days=days)
            await session.exec(sa.update(RequestKey).where(col(RequestKey.key) == key).values(at=used))
    queue = f"figures-{uuid.uuid4().hex}"
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[FiguresSweep],
        activities=activities.figures.activities(context),
        workflow_runner=RUNNER,
    ):
        kept = await temporal.execute_workflow(FiguresSweep.run, id=queue, task_queue=queue)
    # Events are kept by the day they came, which is today.
    assert kept == Kept(slices=2, events=0, keys=0, replies=1, messages=1, windows=1, requests=1)
    async with context.db.read() as session:
        assert (await session.exec(select(OutboxRow.id))).all() == [waits]
        assert (await session.exec(select(RequestKey.key))).all() == ["young"]
        left = (await session.exec(select(LedgerWindow.starts_ms).order_by(col(LedgerWindow.starts_ms)))).all()
        assert left == [ledger.MARK, now - 399 * DAY], "a pause is kept for as long as it lasts"
    async with context.db.write() as session:
        assert await events.record(session, batch) == []
