"""Who takes tasks, as the Temporal server sees it."""

from __future__ import annotations

import datetime as dt
import socket

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from settings import Settings
from workflows.client import connect


async def last_seen(settings: Settings) -> float | None:
    """Seconds since a worker of this machine asked for work on the main queue; None if none is known.

    The server forgets a worker some five minutes after its last poll. A long poll takes up to a minute,
    so an age of a minute is an idle worker in good health.

    Raises:
        RuntimeError: Temporal cannot be reached.
    """
    client = await connect(settings)
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=settings.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    here = f"@{socket.gethostname()}"
    polls = [
        poller.last_access_time.ToDatetime(dt.UTC) for poller in described.pollers if poller.identity.endswith(here)
    ]
    return (dt.datetime.now(dt.UTC) - max(polls)).total_seconds() if polls else None
