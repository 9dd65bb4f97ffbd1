"""The life of an IP and its children: one that runs already, one that fails, and retirement at any moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import lifecycle
from activities.context import Context
from activities.refusals import Refusals
from domain.dns import DnsInput, DnsResult
from domain.lifecycle import DnsDrifted, LifecycleInput, Reassign, ReputationChanged, Retire, WarmupTold
from domain.warmup import WarmupInput, WarmupPlan, WarmupResult, WarmupState
from domain.words import Stage
from store import incidents, ips, ledger, senders
from store.tables.ips import Ip
from workflows import ids, options, search_attributes
from workflows.lifecycle import DNS_FAILED, IpLifecycle

KEYS = {"pool": search_attributes.POOL, "stage": search_attributes.STAGE}
#: One store is enough: what is tested here is the workflow.
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@workflow.defn(name="DnsPropagation", sandboxed=False)
class Dns:
    """Waits for a word: verified, or broken."""

    def __init__(self) -> None:
        self._said = ""

    @workflow.run
    async def run(self, start: DnsInput) -> DnsResult:
        await workflow.wait_condition(lambda: bool(self._said))
        if self._said == "broken":
            raise ApplicationError("its worker lost its mind", non_retryable=True)
        return DnsResult(address=start.address)

    @workflow.signal
    def say(self, word: str) -> None:
        self._said = word


@workflow.defn(name="Warmup", sandboxed=False)
class Ramp:
    """Waits for a word, and ends with it as outcome."""

    def __init__(self) -> None:
        self._said = ""

    @workflow.run
    async def run(self, start: WarmupInput) -> WarmupResult:
        await workflow.wait_condition(lambda: bool(self._said))
        if self._said == "broken":
            raise ApplicationError("its history is gone", non_retryable=True)
        return WarmupResult(
            address=start.address, outcome=WarmupState(self._said), reason="", step=0, cap=start.plan.target
        )

    @workflow.signal
    def say(self, word: str) -> None:
        self._said = word


@dataclass
class Stand:
    """A life, and a way to speak to its children."""

    client: Client
    context: Context
    queue: str
    address: str

    async def start(self, stage: Stage) -> None:
        async with self.context.db.write() as session:
            await ips.insert(session, Ip(address=self.address, stage=stage))
        await self.client.start_workflow(
            IpLifecycle.run,
            LifecycleInput(address=self.address, stage=stage),
            id=ids.ip_id(self.address),
            task_queue=self.queue,
        )

    async def pools(self, *names: str) -> None:
        async with self.context.db.write() as session:
            for name in names:
                await senders.put_pool(session, name, None)

    def life(self):  # noqa: ANN201 - a typed handle
        return self.client.get_workflow_handle_for(IpLifecycle.run, ids.ip_id(self.address))

    async def say(self, child_id: str, word: str) -> None:
        await self.until(lambda: self.runs(child_id))
        await self.client.get_workflow_handle(child_id).signal("say", word)

    async def runs(self, workflow_id: str) -> bool:
        return await self.status(workflow_id) is WorkflowExecutionStatus.RUNNING

    async def status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        try:
            return (await self.client.get_workflow_handle(workflow_id).describe()).status
        except Exception:  # noqa: BLE001 - not started yet
            return None

    async def follows(self) -> bool:
        """Whether the life is in an activity: it follows what it did not start."""
        return bool((await self.life().describe()).raw_description.pending_activities)

    async def found(self, **wanted: str) -> bool:
        """Whether the search attributes of the life say this."""
        told = (await self.life().describe()).typed_search_attributes
        return all(told.get(KEYS[name]) == value for name, value in wanted.items())

    async def stands(self, stage: Stage) -> None:
        async def there() -> bool:
            return await self.life().query(IpLifecycle.stage) is stage

        await self.until(there)

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            while not await true():
                await asyncio.sleep(0.05)


@pytest.fixture
async def stand(temporal: Client, context: Context, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    monkeypatch.setattr(options, "AGAIN_FIRST", timedelta(milliseconds=50))
    monkeypatch.setattr(lifecycle, "FOLLOW_LOOK", 0.2)
    queue = uuid.uuid4().hex
    address = f"2001:db8::{uuid.uuid4().int % 0xFFFF + 1:x}:{uuid.uuid4().int % 0xFFFF + 1:x}"
    async with Worker(
        temporal,
        task_queue=queue,
        workflows=[IpLifecycle, Dns, Ramp],
        activities=lifecycle.activities(context),
        interceptors=[Refusals()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield Stand(temporal, context, queue, address)


async def test_a_dns_set_up_that_fails_is_told_and_begun_again(stand: Stand) -> None:
    await stand.start(Stage.AWAITING_DNS)
    child = ids.dns_id(stand.address)
    await stand.say(child, "broken")

    async def told() -> bool:
        async with stand.context.db.read() as session:
            return any(one.kind == DNS_FAILED for one in await incidents.listing(session, open_only=True))

    await stand.until(told)
    await stand.say(child, "verified")
    await stand.stands(Stage.ACTIVE)
    await stand.until(lambda: _not(told))


async def _not(true: Callable[[], Awaitable[bool]]) -> bool:
    return not await true()


async def test_a_dns_set_up_that_runs_already_is_followed(stand: Stand) -> None:
    child = ids.dns_id(stand.address)
    await stand.client.start_workflow(Dns.run, DnsInput(address=stand.address), id=child, task_queue=stand.queue)
    await stand.start(Stage.AWAITING_DNS)
    await stand.until(stand.follows)  # else the set-up may end before the life comes to it
    await stand.say(child, "verified")
    await stand.stands(Stage.ACTIVE)


@pytest.mark.parametrize(
    ("word", "stage"), [("graduated", Stage.FULL_CAPACITY), ("stopped", Stage.AT_RISK), ("broken", Stage.AT_RISK)]
)
async def test_a_warm_up_that_runs_already_is_followed_not_thrown_away(stand: Stand, word: str, stage: Stage) -> None:
    child = ids.warmup_id(stand.address)
    start = WarmupInput(address=stand.address, plan=WarmupPlan(), pool="default")
    before = await stand.client.start_workflow(Ramp.run, start, id=child, task_queue=stand.queue)
    await stand.start(Stage.ACTIVE)
    assert await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan()) is Stage.WARMING
    with pytest.raises(WorkflowUpdateFailedError):
        await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan())
    await stand.say(child, word)
    await stand.stands(stage)
    assert (await stand.client.get_workflow_handle(child).describe()).run_id == before.first_execution_run_id


async def test_what_an_ip_was_warmed_up_to_is_known_to_a_rebuild(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)
    await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan(target=240))
    await stand.say(ids.warmup_id(stand.address), "graduated")
    await stand.stands(Stage.FULL_CAPACITY)
    assert (await stand.life().query(IpLifecycle.standing)).start.safe_limit == 240


async def test_a_warm_up_that_breaks_off_stops_mail_and_calls_a_person(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)
    await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan())
    await stand.say(ids.warmup_id(stand.address), "broken")
    await stand.stands(Stage.AT_RISK)

    async def told() -> bool:
        async with stand.context.db.read() as session:
            row = await ips.get(session, stand.address)
            open_now = [one.title for one in await incidents.listing(session, open_only=True)]
        stands = (row.stage, row.waiting_on) == (Stage.AT_RISK, "operator")
        return stands and ["its history is gone" in title for title in open_now] == [True]

    await stand.until(told)


async def test_a_history_that_grew_long_is_begun_anew_with_all_that_it_knows(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    long: list[bool] = []
    monkeypatch.setattr("workflows.lifecycle._history_is_long", lambda: bool(long))
    await stand.start(Stage.ACTIVE)
    first = (await stand.life().describe()).run_id
    await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan(target=240))
    long.append(True)
    await stand.life().signal(IpLifecycle.reputation_changed, ReputationChanged(reason="too many bounces"))
    await stand.pools("p0", "p1", "p2")
    for number in range(3):
        await stand.life().execute_update(IpLifecycle.reassign, Reassign(pool=f"p{number}"))
    assert (await stand.life().describe()).run_id == first, "not while a child runs"
    await stand.say(ids.warmup_id(stand.address), "graduated")

    async def next_run() -> bool:
        return (await stand.life().describe()).run_id != first

    await stand.until(next_run)
    long.clear()
    await stand.stands(Stage.FULL_CAPACITY)

    async def anew() -> bool:
        known = await stand.life().query(IpLifecycle.standing)
        return (known.start.pool, known.risk, known.start.safe_limit) == ("p2", "too many bounces", 240)

    await stand.until(anew)
    assert await stand.life().query(IpLifecycle.stage) is Stage.FULL_CAPACITY
    await stand.until(lambda: stand.found(stage="full_capacity", pool="p2"))
    await stand.life().execute_update(IpLifecycle.retire, Retire(reason="over"))
    assert await asyncio.wait_for(stand.life().result(), 30) == "over"


async def test_a_life_that_only_hears_grows_no_endless_history(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved from pool to pool for years, and nothing else."""
    long: list[bool] = []
    monkeypatch.setattr("workflows.lifecycle._history_is_long", lambda: bool(long))
    await stand.start(Stage.FULL_CAPACITY)
    await stand.pools("p0", "p1")
    await stand.life().execute_update(IpLifecycle.reassign, Reassign(pool="p0"))
    first = (await stand.life().describe()).run_id
    long.append(True)
    await stand.life().execute_update(IpLifecycle.reassign, Reassign(pool="p1"))

    async def anew() -> bool:
        return (await stand.life().describe()).run_id != first

    await stand.until(anew)
    long.clear()
    assert (await stand.life().query(IpLifecycle.standing)).start.pool == "p1"


async def test_a_warm_up_that_stopped_and_goes_on_is_found_by_its_stage(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)
    await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan())
    await stand.life().signal(IpLifecycle.warmup_told, WarmupTold(stopped=True, risk="Warm-up stopped: bounces"))
    await stand.until(lambda: stand.found(stage="quarantined"))
    assert (await stand.life().query(IpLifecycle.standing)).risk == "Warm-up stopped: bounces"
    alarm = ReputationChanged(reason="listed", critical=True, source="alert")
    await stand.life().signal(IpLifecycle.reputation_changed, alarm)
    await stand.until(lambda: stand.found(stage="at_risk"))
    await stand.life().signal(IpLifecycle.warmup_told, WarmupTold(stopped=False))
    await stand.until(lambda: stand.found(stage="warming"))
    assert (await stand.life().query(IpLifecycle.standing)).risk == ""


async def test_a_drift_that_is_over_is_told_no_more(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)

    async def details() -> str:
        known = await stand.life().query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return str(known.current_details)

    await stand.life().signal(IpLifecycle.dns_drifted, DnsDrifted(findings=["the PTR is gone"]))
    assert "DNS drifted: the PTR is gone" in await details()
    await stand.life().signal(IpLifecycle.dns_drifted, DnsDrifted())
    assert "drifted" not in await details()


async def test_an_alarm_that_meets_the_start_of_a_warm_up_stops_it(stand: Stand) -> None:
    """Delivered before the warm-up was there, its own signal found nobody; its first write would let mail go."""
    async with stand.context.db.write() as session:
        await ips.insert(session, Ip(address=stand.address, stage=Stage.WARMING))
    alarm = ReputationChanged(reason="listed", critical=True, source="alert")
    await stand.client.start_workflow(
        IpLifecycle.run,
        LifecycleInput(address=stand.address, stage=Stage.WARMING),
        id=ids.ip_id(stand.address),
        task_queue=stand.queue,
        start_signal="reputation_changed",
        start_signal_args=[alarm],
    )

    async def stopped() -> bool:
        handle = stand.client.get_workflow_handle(ids.warmup_id(stand.address))
        names = [one.workflow_execution_signaled_event_attributes for one in (await handle.fetch_history()).events]
        return [one.signal_name for one in names if one.signal_name] == ["stop"]

    await stand.until(lambda: stand.runs(ids.warmup_id(stand.address)))
    await stand.until(stopped)
    async with stand.context.db.read() as session:
        assert (await ledger.held(session, stand.address)) == "listed"


async def test_the_pool_changes_while_dns_is_awaited(stand: Stand) -> None:
    await stand.start(Stage.AWAITING_DNS)
    await stand.until(lambda: stand.runs(ids.dns_id(stand.address)))
    await stand.pools("other")
    await stand.life().execute_update(IpLifecycle.reassign, Reassign(pool="other"))
    async with stand.context.db.read() as session:
        assert (await ips.get(session, stand.address)).pool == "other", "it is written before it is answered"
    assert (await stand.life().query(IpLifecycle.standing)).start.pool == "other"
    await stand.until(lambda: stand.found(pool="other"))


async def test_an_ip_moves_to_no_pool_or_sender_that_was_deleted_since_somebody_asked(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)
    await stand.pools("other")
    async with stand.context.db.write() as session:
        await senders.add_sender(session, "acme", "other")
    for change, field in ((Reassign(pool="gone"), "pool"), (Reassign(pool="other", sender="gone"), "sender")):
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await stand.life().execute_update(IpLifecycle.reassign, change)
        assert isinstance(caught.value.cause, ApplicationError)
        assert (caught.value.cause.type, caught.value.cause.details) == ("Refused", (field,))
        assert f"There is no {field} 'gone'" in caught.value.cause.message
    stands = []
    for change in (Reassign(), Reassign(sender="acme"), Reassign(pool="other"), Reassign(sender="")):
        await stand.life().execute_update(IpLifecycle.reassign, change)
        async with stand.context.db.read() as session:
            row = await ips.get(session, stand.address)
        known = (await stand.life().query(IpLifecycle.standing)).start
        assert (row.pool, row.sender) == (known.pool, known.sender)
        stands.append((row.pool, row.sender))
    assert stands == [("default", None), ("default", "acme"), ("other", "acme"), ("other", None)]


async def test_the_temporal_ui_finds_a_life_by_the_stage_where_it_stands(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)
    await stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan())
    await stand.until(lambda: stand.found(stage="warming"))
    await stand.say(ids.warmup_id(stand.address), "graduated")
    await stand.until(lambda: stand.found(stage="full_capacity"))
    await stand.life().execute_update(IpLifecycle.retire, Retire(reason="over"))
    await stand.until(lambda: stand.found(stage="retired"))


@pytest.mark.parametrize("adopted", [False, True], ids=["own child", "followed"])
async def test_retirement_while_a_child_starts_ends_life_and_child(stand: Stand, adopted: bool) -> None:
    child = ids.dns_id(stand.address)
    if adopted:
        start = DnsInput(address=stand.address)
        await stand.client.start_workflow(Dns.run, start, id=child, task_queue=stand.queue)
    await stand.start(Stage.AWAITING_DNS)

    async def followed() -> bool:
        return bool((await stand.life().describe()).raw_description.pending_activities)

    if adopted:
        await stand.until(followed)
    await stand.life().execute_update(IpLifecycle.retire, Retire(reason="a mistake"))
    assert await asyncio.wait_for(stand.life().result(), 30) == "a mistake"
    await stand.until(lambda: _not(lambda: stand.runs(child)))
    async with stand.context.db.read() as session:
        row = await ips.get(session, stand.address)
        assert await ledger.held(session, stand.address) == "retired"
    assert (row.stage, row.disposal, row.waiting_for) == (Stage.RETIRED, "owned", "")


async def test_retirement_and_a_warm_up_pressed_together_end_the_life(stand: Stand) -> None:
    await stand.start(Stage.ACTIVE)
    await asyncio.gather(
        stand.life().execute_update(IpLifecycle.start_warmup, WarmupPlan()),
        stand.life().execute_update(IpLifecycle.retire, Retire(reason="a mistake")),
        return_exceptions=True,
    )
    assert await asyncio.wait_for(stand.life().result(), 30) == "a mistake"
    await stand.until(lambda: _not(lambda: stand.runs(ids.warmup_id(stand.address))))
