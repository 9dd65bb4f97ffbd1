"""Signs of life on the real Temporal server: a long activity counts as alive, and ends by itself when cancelled."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.worker import Interceptor, Worker

from activities.liveness import SignsOfLife

#: Time that the activity takes; its heartbeat time-out is half of it.
LASTS = 2.4
attempts: list[int] = []
ended: list[str] = []
begun = asyncio.Event()


@activity.defn(name="last_long")
async def last_long() -> str:
    """Takes its time and never beats by itself."""
    attempts.append(activity.info().attempt)
    begun.set()
    try:
        await asyncio.sleep(LASTS)
    except asyncio.CancelledError:
        ended.append("cut off")
        raise
    ended.append("by itself")
    return "done"


@workflow.defn(sandboxed=False)
class Waits:
    """Waits for the activity, and cancels it when told."""

    def __init__(self) -> None:
        self._enough = False

    @workflow.run
    async def run(self) -> str:
        """What the activity answers."""
        running = workflow.start_activity(
            last_long,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=LASTS / 2),
            retry_policy=RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=10)),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.wait_condition(lambda: self._enough or running.done())
        if not running.done():
            running.cancel()
        return await running

    @workflow.signal
    def enough(self) -> None:
        """Cancel it."""
        self._enough = True


@pytest.fixture
def interceptors() -> list[Interceptor]:
    """What the product's worker has."""
    return [SignsOfLife()]


@pytest.fixture
async def handle(temporal: Client, interceptors: list[Interceptor]) -> AsyncIterator[WorkflowHandle[Waits, str]]:
    """The workflow, begun."""
    attempts.clear()
    ended.clear()
    begun.clear()
    queue = uuid.uuid4().hex
    async with Worker(
        temporal, task_queue=queue, workflows=[Waits], activities=[last_long], interceptors=interceptors,
        max_heartbeat_throttle_interval=timedelta(seconds=0.1),
    ):  # fmt: skip
        yield await temporal.start_workflow(Waits.run, id=f"waits:{queue}", task_queue=queue)


async def test_an_activity_longer_than_its_heartbeat_timeout_is_not_tried_again(
    handle: WorkflowHandle[Waits, str],
) -> None:
    assert await asyncio.wait_for(handle.result(), 20) == "done"
    assert attempts == [1]


async def test_a_cancelled_attempt_ends_by_itself(handle: WorkflowHandle[Waits, str]) -> None:
    await asyncio.wait_for(begun.wait(), 10)
    await handle.signal(Waits.enough)
    assert await asyncio.wait_for(handle.result(), 20) == "done"
    assert (attempts, ended) == ([1], ["by itself"])


@pytest.mark.parametrize("interceptors", [[]], ids=["without"])
async def test_a_silent_activity_is_tried_again(handle: WorkflowHandle[Waits, str]) -> None:
    """What the beat is for: without it the server believes that the worker is dead."""

    async def tried_again() -> None:
        while len(attempts) < 2:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(tried_again(), 10)
    await handle.terminate("seen")
