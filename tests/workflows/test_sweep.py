"""A sweep finds a listing, makes sure, and tells the journeys."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import activities.reputation
    from activities.context import Context
    from activities.dns_messages import Outcome
    from activities.reputation_messages import Chunk
    from domain.lifecycle import DnsDrifted, ReputationChanged
    from domain.refusals import NotFound
    from domain.warmup import StopSignal
    from domain.words import Stage
    from store import incidents, ips
    from store import reputation as scores
    from store.tables.ips import Ip
    from tests.providers.blocklist_knot import SUFFIX, BlocklistKnot, lists_knot  # noqa: F401 - the fixture
    from worker import RUNNER
    from workflows.ids import ip_id, warmup_id
    from workflows.sweep import WORKFLOWS, DnsSweep, ReputationSweep, SweepInput, ensure_schedules

LISTED, CLEAN, PBL = "203.0.113.10", "203.0.113.9", "203.0.113.11"


@workflow.defn(sandboxed=False)
class Listener:
    """Takes what an IP's journeys take, and ends with it."""

    def __init__(self) -> None:
        self._said: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: bool(self._said))
        return self._said

    @workflow.signal
    def reputation_changed(self, change: ReputationChanged) -> None:
        self._said.append(f"{change.critical} {change.reason}")

    @workflow.signal
    def dns_drifted(self, drift: DnsDrifted) -> None:
        self._said.append(f"drift {drift.findings}")

    @workflow.signal
    def stop(self, signal: StopSignal) -> None:
        self._said.append(f"stop {signal.reason}")


async def test_a_confirmed_listing_reaches_the_journeys_once(
    lists_knot: BlocklistKnot,  # noqa: F811
    context: Context,
    temporal: Client,
) -> None:
    queue = f"sweep-{uuid.uuid4().hex}"
    context = replace(
        context,
        settings=context.settings.model_copy(
            update={
                "blocklist_resolver": f"127.0.0.1@{lists_knot.port}",
                "blocklist_suffix": SUFFIX,
                "blocklist_second_look_seconds": 1.0,
                "task_queue": queue,
            }
        ),
    )
    async with context.db.write() as session:
        for address in (LISTED, CLEAN, PBL):
            await ips.insert(session, Ip(address=address, stage=Stage.WARMING))
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[*WORKFLOWS, Listener],
        activities=activities.reputation.activities(context),
        workflow_runner=RUNNER,
    ):
        life = await temporal.start_workflow(Listener.run, id=ip_id(LISTED), task_queue=queue)
        warmup = await temporal.start_workflow(Listener.run, id=warmup_id(LISTED), task_queue=queue)
        bystander = await temporal.start_workflow(Listener.run, id=ip_id(PBL), task_queue=queue)
        wanted = SweepInput(second_look_seconds=1.0)
        await temporal.execute_workflow(ReputationSweep.run, wanted, id=f"s1-{queue}", task_queue=queue)
        told = await asyncio.wait_for(life.result(), 20)
        stopped = await asyncio.wait_for(warmup.result(), 20)
        assert told == ["True Listed by zen.spamhaus.org (SBL)."]
        assert stopped == ["stop Listed by zen.spamhaus.org (SBL)."]

        again = await temporal.start_workflow(Listener.run, id=ip_id(LISTED), task_queue=queue)
        await temporal.execute_workflow(ReputationSweep.run, wanted, id=f"s2-{queue}", task_queue=queue)
        for quiet in (again, bystander):
            history = await quiet.fetch_history()
            assert not [e for e in history.events if e.HasField("workflow_execution_signaled_event_attributes")]
            await quiet.terminate("seen")

        await ensure_schedules(temporal, context.settings)
        await ensure_schedules(temporal, context.settings)
        said: list[str] = []
        for name in ("sweep-reputation", "sweep-dns", "sweep-figures"):
            schedule = temporal.get_schedule_handle(name)
            action = (await schedule.describe()).schedule.action
            assert isinstance(action, ScheduleActionStartWorkflow)
            assert isinstance(action.static_summary, Payload)
            said += await temporal.data_converter.decode([action.static_summary])
            await schedule.delete()
        assert said == ["Blocklists and scores of the fleet", "DNS of the fleet", "Figures, added up and thinned out"]

    async with context.db.read() as session:
        listed, clean = await scores.get(session, LISTED), await scores.get(session, CLEAN)
        opened = await incidents.listing(session, open_only=True, address=LISTED)
    assert listed is not None
    assert clean is not None
    assert (listed.score, listed.band) == (10, "red")
    assert (clean.score, clean.band) == (None, "unknown"), "no mail yet: unknown is never good"
    assert [incident.severity for incident in opened] == ["critical"]


async def test_a_drift_is_told_once_and_so_is_its_end(
    context: Context, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal an hour for as long as a record is wrong would fill the life of the IP."""
    address, queue = f"2001:db8::{uuid.uuid4().int % 0xFFFF + 1:x}", f"sweep-{uuid.uuid4().hex}"
    looks = [
        Outcome(verified=False, drifted=True, changed=True, findings=["PTR: missing."]),
        Outcome(verified=False, drifted=True, findings=["PTR: missing."]),
        Outcome(verified=True, changed=True),
    ]

    async def check(*_: object) -> Outcome:
        return looks.pop(0)

    monkeypatch.setattr(activities.reputation, "check_now", check)
    async with context.db.write() as session:
        await ips.insert(session, Ip(address=address, stage=Stage.WARMING))
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[*WORKFLOWS, Listener],
        activities=activities.reputation.activities(context),
        workflow_runner=RUNNER,
    ):
        said = []
        for number in range(3):
            life = await temporal.start_workflow(Listener.run, id=ip_id(address), task_queue=queue)
            sweep = SweepInput(addresses=[address])
            await temporal.execute_workflow(DnsSweep.run, sweep, id=f"{number}-{queue}", task_queue=queue)
            told = (await life.fetch_history()).events
            signals = [e for e in told if e.HasField("workflow_execution_signaled_event_attributes")]
            said.append(await asyncio.wait_for(life.result(), 20) if signals else [])
            if not signals:
                await life.terminate("seen")
    assert said == [["drift ['PTR: missing.']"], [], ["drift []"]]


async def test_silent_dns_is_waited_for_side_by_side_and_one_odd_answer_keeps_no_other_ip_from_its_look(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = asyncio.Barrier(activities.reputation.DNS_AT_ONCE)

    async def check(settings: object, db: object, address: str) -> Outcome:
        await together.wait()
        if address.endswith(".3"):
            raise KeyError("an answer that nobody foresaw")
        if address.endswith(".4"):
            raise NotFound("no set-up")
        return Outcome(verified=False, drifted=True, changed=True, findings=[f"PTR of {address}: missing."])

    monkeypatch.setattr(activities.reputation, "check_now", check)
    sweep = next(one for one in activities.reputation.activities(context) if one.__name__ == "dns")
    chunk = Chunk(addresses=[f"203.0.113.{number}" for number in range(16)])
    async with asyncio.timeout(20):
        swept = await ActivityEnvironment().run(sweep, chunk)
    seen = [number for number in range(16) if number not in (3, 4)]
    assert [one.address for one in swept.crossings] == [f"203.0.113.{number}" for number in seen]
