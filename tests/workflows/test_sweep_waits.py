"""How long a sweep waits before its second look, and what it tells, with time skipped."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from activities.reputation_messages import Chunk, Crossing, Swept
    from domain.lifecycle import ReputationChanged
    from worker import RUNNER
    from workflows.ids import ip_id
    from workflows.sweep import ReputationSweep, SweepInput

IP = "203.0.113.10"
SERVER = Path(sys.executable).parent / "temporal-test-server"


class Looks:
    """A first look that finds a listing whose answer caches keep for ``echo`` seconds; the second finds it gone."""

    def __init__(self, echo: float) -> None:
        self._echo = echo
        self.seconds: list[float] = []

    @activity.defn(name="sweep_reputation")
    async def look(self, chunk: Chunk) -> Swept:
        """Note when it was asked, in the server's own time."""
        self.seconds.append(activity.info().scheduled_time.timestamp())
        if len(self.seconds) == 1:
            return Swept(second_look=chunk.addresses, again_seconds=self._echo)
        return Swept(crossings=[Crossing(address=IP, reason="No line is crossed any more.")])

    @activity.defn(name="sweep_told")
    async def told(self, crossing: Crossing) -> None:
        """Nothing to remember here."""


@workflow.defn(sandboxed=False)
class Life:
    """Takes the signal of a sweep."""

    def __init__(self) -> None:
        self._change: ReputationChanged | None = None

    @workflow.run
    async def run(self) -> ReputationChanged:
        await workflow.wait_condition(lambda: self._change is not None)
        assert self._change is not None
        return self._change

    @workflow.signal
    def reputation_changed(self, change: ReputationChanged) -> None:
        self._change = change


@pytest.mark.parametrize(
    ("echo", "patience", "waited"),
    [(0.0, 3600.0, 60.0), (30.0, 3600.0, 60.0), (900.0, 3600.0, 901.0), (900.0, 600.0, None)],
    ids=["at least the setting", "a short TTL", "a long TTL", "left to the next sweep"],
)
async def test_the_second_look_waits_until_caches_forget(echo: float, patience: float, waited: float | None) -> None:
    looks, queue = Looks(echo), uuid.uuid4().hex
    async with (
        await WorkflowEnvironment.start_time_skipping(
            data_converter=pydantic_data_converter, test_server_existing_path=str(SERVER)
        ) as env,
        Worker(
            env.client, task_queue=queue, workflows=[ReputationSweep, Life],
            activities=[looks.look, looks.told], workflow_runner=RUNNER,
        ),
    ):  # fmt: skip
        life = await env.client.start_workflow(Life.run, id=ip_id(IP), task_queue=queue)
        wanted = SweepInput(addresses=[IP], second_look_seconds=60.0, patience_seconds=patience)
        await env.client.execute_workflow(ReputationSweep.run, wanted, id=f"sweep-{queue}", task_queue=queue)
        if waited is None:
            assert len(looks.seconds) == 1
            return
        change = await life.result()
    assert looks.seconds[1] - looks.seconds[0] == pytest.approx(waited, abs=5)
    assert (change.recovered, change.critical) == (True, False)
