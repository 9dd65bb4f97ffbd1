"""What an activity refuses, on the real Temporal server: one line in the log, one attempt, and its kind and field."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

from activities.refusals import Refusals
from domain.refusals import Conflict
from workflows import options

attempts: list[int] = []


@activity.defn(name="say_no")
async def say_no(how: str) -> None:
    """Refuses, or fails."""
    attempts.append(activity.info().attempt)
    if how == "refuse":
        raise Conflict("The card was declined.", field="payment_method") from OSError("as the provider says")
    raise ApplicationError("It broke.", non_retryable=True)


@workflow.defn(sandboxed=False)
class Asks:
    """Asks once."""

    @workflow.run
    async def run(self, how: str) -> None:
        """Hear it."""
        await workflow.execute_activity(say_no, how, **options.QUICK | {"schedule_to_close_timeout": timedelta(20)})


async def _asked(temporal: Client, how: str) -> ApplicationError:
    attempts.clear()
    queue = uuid.uuid4().hex
    async with Worker(temporal, task_queue=queue, workflows=[Asks], activities=[say_no], interceptors=[Refusals()]):
        with pytest.raises(WorkflowFailureError) as failed:
            await temporal.execute_workflow(Asks.run, how, id=f"asks:{queue}", task_queue=queue)
    assert isinstance(failed.value.cause, ActivityError)
    assert isinstance(failed.value.cause.cause, ApplicationError)
    return failed.value.cause.cause


async def test_a_refusal_is_one_line_and_reaches_the_workflow(
    temporal: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), capture_logs() as told:
        heard = await _asked(temporal, "refuse")
    assert [(one["event"], one["activity"], one["reason"]) for one in told] == [
        ("refused", "say_no", "The card was declined.")
    ]
    assert [one.getMessage() for one in caplog.records if one.name.startswith("temporalio.activity")] == []
    assert (heard.type, heard.message, list(heard.details)) == (
        "Conflict",
        "The card was declined.",
        ["payment_method"],
    )
    assert attempts == [1]


async def test_a_fault_keeps_its_traceback(temporal: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), capture_logs() as told:
        await _asked(temporal, "break")
    assert told == []
    assert any(one.exc_info for one in caplog.records if one.name.startswith("temporalio.activity"))
