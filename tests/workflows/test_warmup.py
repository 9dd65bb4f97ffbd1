"""45 days of warm-up under time skipping, on a real store."""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle, WorkflowUpdateStage
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.warmup import WarmupActivities
from activities.warmup_messages import Tick, Ticked
from domain.forecast import Forecast, forecast
from domain.warmup import (
    Adjust,
    Pause,
    Progress,
    Restart,
    Resume,
    StopSignal,
    WarmupInput,
    WarmupPlan,
    WarmupResult,
    WarmupState,
    jitter_seconds,
)
from domain.words import MailboxProvider
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
    idle: bool = False
    blocked_on: int = -1
    meanwhile: Callable[[int], Awaitable[None]] | None = None
    """What happens while a day, given by its number, is closed."""


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
            blocked = int(now.day == self.sender.blocked_on)
            async with self.db.write() as session:
                session.add(
                    Figure(
                        address=ADDRESS, provider="gmail", slice_ms=round(starts.timestamp() * 1000), attempted=cap,
                        delivered=cap - bounced - blocked, bounced=bounced, blocked=blocked, deferred=0, complained=0,
                    )
                )  # fmt: skip
        ticked = await WarmupActivities.day(self, tick)
        if tick.close and self.sender.meanwhile is not None:
            await self.sender.meanwhile(now.day)
        return ticked


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/w.sqlite", synchronous="normal")
    await opened.create_all()
    async with opened.write() as session:
        await ips.insert(session, Ip(address=ADDRESS, stage="active"))
    yield opened
    await opened.close()


Look = Callable[[WorkflowHandle[Warmup, WarmupResult]], Awaitable[None]]


async def run(
    db: Database,
    sender: Sender,
    plan: WarmupPlan,
    days: float,
    *,
    alarm_on: float | None = None,
    looks: Mapping[float, Look] = MappingProxyType({}),
) -> tuple[WarmupResult | None, int, list[str]]:
    """The result if it ended within so many days, its actions, and the decisions of its days.

    Args:
        alarm_on: day on which an alarm comes.
        looks: what to look at or do, by day of the plan: 3.5 is noon of its fourth.
    """
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

            async def alarm(of: WorkflowHandle[Warmup, WarmupResult]) -> None:
                await of.signal(Warmup.stop, StopSignal(reason="Listed on a list that matters."))

            todo: list[tuple[float, Look]] = sorted(looks.items())
            if alarm_on is not None:
                todo = sorted([*todo, (alarm_on, alarm)], key=lambda one: one[0])
            # By the plan's own days, so that it does not matter at what time of day the test runs.
            begun = await handle.query(Warmup.state)
            midnight = begun.plan.day_bounds(begun.started, 0)[0]

            async def sleep_until(day: float) -> None:
                left = midnight + dt.timedelta(days=day) - await env.get_current_time()
                await env.sleep(max(dt.timedelta(0), left))

            for day, look in todo:
                await sleep_until(day)
                await look(handle)
            await sleep_until(days)
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


def stands(**wanted: object) -> Look:
    """A look that finds the warm-up as it should stand then."""

    async def look(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        now = await handle.query(Warmup.state)
        assert {name: getattr(now, name) for name in wanted} == wanted

    return look


async def test_a_healthy_sender_reaches_full_capacity_within_the_action_budget(db: Database) -> None:
    plan = WarmupPlan(target=50_000)
    looks = {
        day + 0.9: stands(state=WarmupState.WARMING, day=day, step=day, cap=plan.cap(day), decision="grow")
        for day in (3, 17, 29)
    }
    result, actions, decisions = await run(db, Sender(bounce=0.01), plan, 45, looks=looks)
    assert result is not None
    assert result.outcome is WarmupState.GRADUATED
    assert actions <= 100
    assert decisions[-1] == "graduate"
    async with db.read() as session:
        assert (await ips.get(session, ADDRESS)).stage == "full_capacity"


async def test_a_poor_sender_is_stopped_and_its_mail_with_it(db: Database) -> None:
    result, _, decisions = await run(
        db, Sender(bounce=0.2), WarmupPlan(), 45,
        looks={0.9: stands(state=WarmupState.WARMING, day=0), 8.9: stands(state=WarmupState.STOPPED, decision="stop")},
    )  # fmt: skip
    assert result is None
    assert decisions[-1] == "stop"
    assert len(decisions) <= 7
    await paused(db)


async def test_a_block_reply_stops_the_same_day_and_who_resumes_goes_on(db: Database) -> None:
    async def restart(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await stands(state=WarmupState.STOPPED, day=11, decision="stop")(handle)
        await paused(db)
        await handle.execute_update(Warmup.restart, Restart(step=5, reason="the provider let us in again"))

    result, _, decisions = await run(
        db, Sender(blocked_on=10), WarmupPlan(), 45,
        looks={12.5: restart, 13.9: stands(state=WarmupState.WARMING, decision="grow", step=6)},
    )  # fmt: skip
    assert result is not None
    assert decisions.count("stop") == 1


async def test_an_idle_sender_decays_then_starts_again_after_30_days(db: Database) -> None:
    async def begin_at_five(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await handle.execute_update(Warmup.restart, Restart(step=5))

    _, actions, decisions = await run(
        db, Sender(idle=True), WarmupPlan(), 45,
        looks={
            0.5: begin_at_five,
            6.5: stands(step=5, idle_days=6, decision="hold"),
            7.5: stands(step=4, idle_days=7, decision="decay"),
            29.5: stands(step=1, idle_days=29),
            30.5: stands(step=0, idle_days=0, decision="restart"),
        },
    )  # fmt: skip
    assert decisions[29] == "restart"
    assert "grow" not in decisions
    assert actions <= 101, "one command more than days"


async def test_free_weekends_neither_grow_nor_harm(db: Database) -> None:
    async def weekend(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        now = await handle.query(Warmup.state)
        async with db.read() as session:
            for day in range(now.day - 7, now.day):
                starts = now.plan.day_bounds(now.started, day)[0]
                window = await ledger.window(session, ADDRESS, round(starts.timestamp() * 1000))
                assert window is not None
                assert (window.cap > 0) is (now.plan.date(now.started, day).weekday() < 5)

    result, _, decisions = await run(db, Sender(), WarmupPlan(sending_days=[0, 1, 2, 3, 4]), 45, looks={9.5: weekend})
    assert result is not None
    assert set(decisions) == {"grow", "hold", "graduate"}


async def test_a_listing_stops_the_warm_up_at_once_and_it_stays_stopped(db: Database) -> None:
    result, _, decisions = await run(
        db, Sender(), WarmupPlan(), 45, alarm_on=3.5,
        looks={
            3.4: stands(state=WarmupState.WARMING, day=3),
            3.6: stands(state=WarmupState.STOPPED, day=3, decision="stop"),
            40.0: stands(state=WarmupState.STOPPED, day=3),
        },
    )  # fmt: skip
    assert result is None
    assert decisions == ["grow"] * 3
    await paused(db)


@pytest.mark.parametrize(("rest", "step"), [(6.0, 4), (9.0, 3), (15.0, 2), (31.0, 0)])
async def test_a_rest_costs_a_step_a_week_and_after_30_days_all_of_them(db: Database, rest: float, step: int) -> None:
    async def pause(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await handle.execute_update(Warmup.pause, Pause())

    async def resume(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        now = await handle.execute_update(Warmup.resume, Resume())
        assert (now.step, now.state, now.day) == (step, WarmupState.WARMING, 4 + int(rest))

    await run(
        db, Sender(), WarmupPlan(), 4.8 + rest,
        looks={4.3: stands(step=4, day=4), 4.4: pause, 4.5 + rest: resume},
    )  # fmt: skip


async def test_another_plan_goes_on_from_the_nearest_level_that_is_not_higher(db: Database) -> None:
    async def adjust(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        before = await handle.query(Warmup.state)
        assert before.cap == 122
        now = await handle.execute_update(Warmup.adjust, Adjust(plan=WarmupPlan(initial=40, growth=0.3, target=900)))
        assert (now.cap, now.plan.cap(now.step + 1)) == (114, 148)
        async with db.read() as session:
            window = await ledger.window(session, ADDRESS, round(ended(now) * 1000) - 1)
        assert window is not None
        assert window.cap == 114

    def ended(now: Progress) -> float:
        return now.plan.day_bounds(now.started, now.day)[1].timestamp()

    await run(db, Sender(), WarmupPlan(), 4.8, looks={4.5: adjust})


async def test_who_resumes_just_after_midnight_has_the_whole_day(db: Database) -> None:
    """The tick of a day comes some minutes after its end: one that is on its way must not close the day just begun."""

    async def pause(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await handle.execute_update(Warmup.pause, Pause())

    async def resume(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await handle.execute_update(Warmup.resume, Resume())

    tick = jitter_seconds(ADDRESS, 86_400) / 86_400
    _, actions, decisions = await run(
        db, Sender(), WarmupPlan(), 2.5,
        looks={0.4: pause, 1 + tick / 2: resume, 1.9: stands(state=WarmupState.WARMING, day=1, decision="resume")},
    )  # fmt: skip
    assert decisions == ["grow"]
    assert actions == 1 + 2 + 4 + 3, (
        "the start, two commands, what was written at once and at the end of the day, timers"
    )


async def test_mail_that_went_on_until_a_stop_was_decided_is_judged_by_who_goes_on(db: Database) -> None:
    """The stop of day 10 is decided on day 11, which ends at rest: what was sent on it by then is no new trouble."""

    async def deferred(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await stands(state=WarmupState.STOPPED, day=11)(handle)
        now = await handle.query(Warmup.state)
        starts = now.plan.day_bounds(now.started, 11)[0]
        async with db.write() as session:
            session.add(
                Figure(
                    address=ADDRESS, provider="gmail", slice_ms=round(starts.timestamp() * 1000), attempted=400,
                    delivered=200, bounced=0, blocked=0, deferred=200, complained=0,
                )
            )  # fmt: skip

    async def restart(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await handle.execute_update(Warmup.restart, Restart(step=5, reason="the provider let us in again"))

    await run(
        db, Sender(blocked_on=10), WarmupPlan(), 14.5,
        looks={11.5: deferred, 13.5: restart, 14.4: stands(state=WarmupState.WARMING, decision="grow", step=6)},
    )  # fmt: skip


async def test_days_on_which_a_warm_up_stood_still_are_shown_as_rests(db: Database) -> None:
    seen: list[list[tuple[int, str, int, int]]] = []

    async def pause(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        now = await handle.query(Warmup.state)
        async with db.write() as session:
            await ledger.book(session, ADDRESS, MailboxProvider.GMAIL, 7, round(noon(now, 2).timestamp() * 1000))
        await handle.execute_update(Warmup.pause, Pause())

    async def resume(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        await look(handle)
        await handle.execute_update(Warmup.resume, Resume())

    async def look(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        now = await handle.query(Warmup.state)
        async with db.read() as session:
            rows = await warmup.with_rests(session, ADDRESS, noon(now, 4 if not seen else 6), limit=60)
        seen.append([(row.day, row.decision, row.cap, row.granted) for row in rows])

    def noon(now: Progress, day: int) -> dt.datetime:
        starts, ends = now.plan.day_bounds(now.started, day)
        return starts + (ends - starts) / 2

    await run(db, Sender(), WarmupPlan(), 6.6, looks={2.5: pause, 4.5: resume, 6.5: look})
    before = [(0, "grow", 50, 0), (1, "grow", 62, 0)]
    rests = [(2, "rest", 7, 7), (3, "rest", 0, 0)]
    assert seen[0] == before + rests, "while it is paused"
    assert seen[1][:4] == before + rests, "and after it went on"
    assert [day for day, *_ in seen[1]] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("command", "stands_then"),
    [
        (Adjust(plan=WarmupPlan(target=900)), {"state": "stopped", "decision": "stop", "target": 900}),
        (Pause(reason="lunch"), {"state": "paused", "decision": "pause", "target": 2000}),
        (StopSignal(reason="Listed."), {"state": "stopped", "decision": "stop", "target": 2000}),
    ],
    ids=["adjust", "pause", "stop"],
)
async def test_a_command_while_a_day_is_closed_frees_no_mail_that_the_day_stops(
    db: Database, command: Adjust | Pause | StopSignal, stands_then: dict[str, object]
) -> None:
    sender, handles = Sender(blocked_on=1), list[WorkflowHandle[Warmup, WarmupResult]]()

    async def known(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        handles.append(handle)

    async def give(day: int) -> None:
        if day != 1:
            return
        if isinstance(command, StopSignal):
            await handles[0].signal(Warmup.stop, command)
            return
        update = Warmup.adjust if isinstance(command, Adjust) else Warmup.pause
        await handles[0].start_update(update, command, wait_for_stage=WorkflowUpdateStage.ACCEPTED)  # type: ignore[arg-type]

    async def look(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        now = await handle.query(Warmup.state)
        assert {"state": now.state, "decision": now.decision, "target": now.plan.target} == stands_then
        assert now.day == 2

    sender.meanwhile = give
    _, _, decisions = await run(db, sender, WarmupPlan(), 3.5, looks={0.2: known, 3.2: look})
    assert decisions == ["grow", "stop"]
    async with db.read() as session:
        assert await ledger.held(session, ADDRESS)


@pytest.mark.parametrize("sending_days", [list(range(7)), [0, 1, 2, 3, 4]], ids=["every day", "weekdays"])
async def test_what_was_forecast_is_what_a_healthy_sender_gets(db: Database, sending_days: list[int]) -> None:
    plan = WarmupPlan(target=1_000, sending_days=sending_days)
    promised: list[Forecast] = []

    async def foresee(handle: WorkflowHandle[Warmup, WarmupResult]) -> None:
        promised.append(forecast(plan, (await handle.query(Warmup.state)).started))

    result, _, decisions = await run(db, Sender(), plan, 45, looks={0.01: foresee})
    assert result is not None
    async with db.read() as session:
        rows = await warmup.history(session, ADDRESS, limit=60)
    assert [(row.date, row.cap) for row in rows] == [(day.date.isoformat(), day.cap) for day in promised[0].days]
    assert decisions[-1] == "graduate"
    finish = promised[0].finish
    assert rows[-1].date <= finish.p10.isoformat() <= finish.p50.isoformat() <= finish.p90.isoformat()


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
