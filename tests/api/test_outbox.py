"""What must act at once reaches its workflow, once, or is noted."""

from __future__ import annotations

import asyncio
import uuid

import sqlalchemy as sa
from structlog.testing import capture_logs
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api import metrics
from api.outbox import Relay
from domain.lifecycle import LifecycleInput
from domain.purchase import PurchaseInput
from domain.words import Stage
from store import outbox
from store.database import Database
from store.tables.outbox import OutboxRow
from workflows import search_attributes
from workflows.ids import ip_id, purchase_id


@workflow.defn(name="OutboxListener")
class Listener:
    """Ends with the reasons it was signalled."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    @workflow.run
    async def run(self, wanted: dict[str, int]) -> list[str]:
        """Wait for so many signals."""
        await workflow.wait_condition(lambda: len(self._reasons) >= wanted["count"])
        return self._reasons

    @workflow.signal
    def stop(self, told: dict[str, str]) -> None:
        """Note a reason."""
        self._reasons.append(told["reason"])


async def _put(db: Database, kind: str, workflow_id: str, name: str, payload: dict[str, object]) -> int:
    async with db.write() as session:
        return await outbox.put(session, kind, workflow_id, name, payload)  # type: ignore[arg-type]


async def _row(db: Database, row_id: int) -> OutboxRow:
    async with db.read() as session:
        row = await session.get(OutboxRow, row_id)
    assert row is not None
    return row


async def test_a_start_and_a_signal_arrive_once_with_two_relays(db: Database, temporal: Client) -> None:
    queue, name = f"outbox-{uuid.uuid4()}", f"listener:{uuid.uuid4()}"
    relays = [Relay(db, temporal, queue) for _ in range(2)]
    async with Worker(temporal, task_queue=queue, workflows=[Listener], workflow_runner=UnsandboxedWorkflowRunner()):
        await _put(db, "start", name, "OutboxListener", {"count": 3})
        await relays[0].once()
        for number in range(3):
            await _put(db, "signal", name, "stop", {"reason": f"r{number}"})
        await asyncio.gather(*(relay.once() for relay in relays))
        reasons = await asyncio.wait_for(temporal.get_workflow_handle(name).result(), 20)
    assert sorted(reasons) == ["r0", "r1", "r2"]


async def test_a_life_and_an_order_are_found_in_the_temporal_ui_from_their_start_on(
    db: Database, temporal: Client
) -> None:
    """No worker runs here: what is shown was set with the start, which costs no action."""
    address, order = f"2001:db8::{uuid.uuid4().int % 0xFFFF + 1:x}", f"ord_{uuid.uuid4().hex}"
    life = LifecycleInput(address=address, stage=Stage.ACTIVE, pool="bulk", sender="acme")
    await _put(db, "start", ip_id(address), "IpLifecycle", life.model_dump(mode="json"))
    bought = PurchaseInput(order_id=order, count=2, pool="bulk")
    await _put(db, "start", purchase_id(order), "Purchase", bought.model_dump(mode="json"))
    await Relay(db, temporal, "nobody").once()
    shown = []
    for name in (ip_id(address), purchase_id(order)):
        found = await temporal.get_workflow_handle(name).describe()
        told = [found.typed_search_attributes.get(key) for key in search_attributes.ALL]
        shown.append((await found.static_summary(), told))
    assert shown == [
        (f"Life of {address}", [address, "active", "bulk", "acme"]),
        ("Order of 2 dedicated IP", [None, "purchasing", "bulk", None]),
    ]


async def test_what_one_relay_holds_no_other_takes_before_its_time(db: Database) -> None:
    row_id = await _put(db, "signal", "warmup:x", "stop", {})
    async with db.write() as session:
        (held,) = await outbox.claim(session)
        assert held.id == row_id
        assert await outbox.claim(session) == []
        assert await outbox.claim(session, at_ms=held.due_ms - 1) == []
        assert [row.id for row in await outbox.claim(session, at_ms=held.due_ms)] == [row_id], "its relay died"


async def test_a_signal_waits_until_its_workflow_is_started(db: Database, temporal: Client) -> None:
    """Temporal was away: a start that is tried again later must not be overtaken by the alarm that came after it."""
    queue, name = f"outbox-{uuid.uuid4()}", f"listener:{uuid.uuid4()}"
    relay = Relay(db, temporal, queue)
    async with Worker(temporal, task_queue=queue, workflows=[Listener], workflow_runner=UnsandboxedWorkflowRunner()):
        started = await _put(db, "start", name, "OutboxListener", {"count": 1})
        async with db.write() as session:
            row = await session.get(OutboxRow, started)
            assert row is not None
            await outbox.retry_later(session, row, "Temporal does not answer")
        told = await _put(db, "signal", name, "stop", {"reason": "listed"})
        await relay.once()
        assert (await _row(db, told)).done_ms is None
        async with db.write() as session:
            await session.exec(sa.update(OutboxRow).values(due_ms=0))
        while await relay.once():
            pass
        assert await asyncio.wait_for(temporal.get_workflow_handle(name).result(), 20) == ["listed"]
    assert (await _row(db, told)).note == ""


async def test_a_signal_to_nobody_is_done_with_a_note(db: Database, temporal: Client) -> None:
    row_id = await _put(db, "signal", f"warmup:{uuid.uuid4()}", "stop", {"reason": "listed"})
    await Relay(db, temporal, "unused").once()
    row = await _row(db, row_id)
    assert row.done_ms is not None
    assert "no workflow" in row.note


async def test_a_failed_try_is_kept_for_later(db: Database) -> None:
    row_id = await _put(db, "signal", "warmup:x", "stop", {})

    class Unreachable:
        def get_workflow_handle(self, _: str) -> None:
            raise OSError("connection refused")

    await Relay(db, Unreachable(), "unused").once()  # type: ignore[arg-type]
    row = await _row(db, row_id)
    assert row.done_ms is None
    assert row.attempts == 1
    assert "connection refused" in row.note
    assert row.due_ms > row.created_ms
    with capture_logs() as said:
        for _ in range(4):
            async with db.write() as session:
                await session.exec(sa.update(OutboxRow).values(due_ms=0, created_ms=OutboxRow.created_ms - 60_000))
            await Relay(db, Unreachable(), "unused").once()  # type: ignore[arg-type]
    told = [one["attempt"] for one in said if one["event"] == "outbox.not_delivered" and one["to"] == "warmup:x"]
    assert told == [2, 4], "the first, second, fourth ... try is told"
    await metrics.read_fleet(db)
    assert metrics.OUTBOX._value.get() == 1
    assert metrics.OUTBOX_SECONDS._value.get() >= 240
    async with db.write() as session:
        await outbox.done(session, row_id)
    await metrics.read_fleet(db)
    assert (metrics.OUTBOX._value.get(), metrics.OUTBOX_SECONDS._value.get()) == (0, 0)
