"""45 days of warm-up under time skipping, on a real store."""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.warmup import WarmupActivities
from activities.warmup_messages import Tick, Ticked
from domain.warmup import StopSignal, WarmupInput, WarmupPlan, WarmupResult, WarmupState
from store import ips, ledger, warmup
from store.database import Database
from store.tables.events import Figure
from store.tables.ips import Ip
from workflows.warmup import Warmup

ADDRESS = "203.0.113.9"
SERVER = Path(sys.executable).parent / "temporal-test-server"


@dataclass
class Sender:
    """Mail of a tenant: fills the day that is about to be closed."""

    bounce: float = 0.0
    weekends: bool = True
    idle: bool = False


class Day(WarmupActivities):
    """The product's activity, after the sender's events of that day were written."""

    def __init__(self, db: Database, sender: Sender) -> None:
        super().__init__(db)
        self.db, self.sender = db, sender

    @activity.defn(name="warmup_day")
    async def day(self, tick: Tick) -> Ticked:
        now = tick.progress
        if tick.close and not self.sender.idle and now.plan.sends_on(now.started, now.day):
            starts = now.plan.day_bounds(now.started, now.day)[0]
            cap = now.cap
            bounced = round(cap * self.sender.bounce)
            async with self.db.write() as session:
                session.add(
                    Figure(
                        address=ADDRESS, provider="gmail", slice_ms=round(starts.timestamp() * 1000), attempted=cap,
                        delivered=cap - bounced, bounced=bounced, blocked=0, deferred=0, complained=0,
                    )
                )  # fmt: skip
        return await WarmupActivities.day(self, tick)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/w.sqlite", synchronous="normal")
    await opened.create_all()
    async with opened.write() as session:
        await ips.insert(session, Ip(address=ADDRESS, stage="active"))
    yield opened
    await opened.close()


async def run(
    db: Database, sender: Sender, plan: WarmupPlan, days: float, *, alarm: bool = False
) -> tuple[WarmupResult | None, int, list[str]]:
    """The result if it ended within so many days, its actions, and the decisions of its days."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=str(SERVER)
    ) as env:
        queue = uuid.uuid4().hex
        async with Worker(
            env.client, task_queue=queue, workflows=[Warmup], activities=[Day(db, sender).day],
            workflow_failure_exception_types=[Exception],
        ):  # fmt: skip
            handle = await env.client.start_workflow(
                Warmup.run, WarmupInput(address=ADDRESS, plan=plan), id=f"warmup:{ADDRESS}", task_queue=queue
            )
            if alarm:
                await handle.signal(Warmup.stop, StopSignal(reason="Listed on a list that matters."))
            await env.sleep(dt.timedelta(days=days))
            now = await handle.query(Warmup.state)
            ended = now.state in (WarmupState.GRADUATED, WarmupState.COMPLETED)
            result = await handle.result() if ended else None
            history = await handle.fetch_history()
    names = [event.WhichOneof("attributes") or "" for event in history.events]
    billed = ("timer_started", "activity_task_scheduled", "workflow_execution_started", "signaled", "update_accepted")
    actions = sum(any(word in name for word in billed) for name in names)
    async with db.read() as session:
        rows = await warmup.history(session, ADDRESS, limit=60)
    return result, actions, [row.decision for row in rows]


async def test_a_healthy_sender_reaches_full_capacity_within_the_action_budget(db: Database) -> None:
    result, actions, decisions = await run(db, Sender(bounce=0.01), WarmupPlan(target=50_000), 45)
    assert result is not None
    assert result.outcome is WarmupState.GRADUATED
    assert actions <= 100
    assert decisions[-1] == "graduate"
    async with db.read() as session:
        assert (await ips.get(session, ADDRESS)).stage == "full_capacity"


async def test_a_poor_sender_is_stopped_and_its_mail_with_it(db: Database) -> None:
    result, _, decisions = await run(db, Sender(bounce=0.2), WarmupPlan(), 45)
    assert result is None
    assert decisions[-1] == "stop"
    assert len(decisions) <= 7
    await paused(db)


async def test_an_idle_sender_starts_again_after_30_days(db: Database) -> None:
    _, actions, decisions = await run(db, Sender(idle=True), WarmupPlan(), 45)
    assert decisions[29] == "restart"
    assert "grow" not in decisions
    assert actions <= 100


async def test_free_weekends_neither_grow_nor_harm(db: Database) -> None:
    result, _, decisions = await run(db, Sender(), WarmupPlan(sending_days=[0, 1, 2, 3, 4]), 45)
    assert result is not None
    assert set(decisions) == {"grow", "hold", "graduate"}


async def test_a_listing_stops_the_warm_up_at_once(db: Database) -> None:
    result, _, decisions = await run(db, Sender(), WarmupPlan(), 3, alarm=True)
    assert result is None
    assert decisions == []
    await paused(db)


async def paused(db: Database) -> None:
    async with db.read() as session:
        found = await warmup.get(session, ADDRESS)
        assert found is not None
        assert found[0].state is WarmupState.STOPPED
        starts = found[0].plan.day_bounds(found[0].started, found[0].day)[0]
        window = await ledger.window(session, ADDRESS, round(starts.timestamp() * 1000))
        assert window is not None
        assert window.paused
        assert (await ips.get(session, ADDRESS)).stage == "quarantined"
