"""Who takes tasks, as the Temporal server sees it."""

from __future__ import annotations

import datetime as dt
import socket

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from settings import Settings
from workflows.client import connect

#: Seconds after which a worker that has not asked for work counts as gone. A long poll takes up to a minute, so an
#: age of a minute is an idle worker in good health.
GONE = 120.0
_PATIENCE = dt.timedelta(seconds=2)


async def last_seen_here(settings: Settings) -> float | None:
    """Seconds since a worker of this machine asked for work on the main queue; None if none is known.

    Raises:
        RuntimeError: Temporal cannot be reached.
    """
    return await last_seen(await connect(settings), settings.task_queue, f"@{socket.gethostname()}")


async def last_seen(client: Client, task_queue: str, identity: str = "") -> float | None:
    """Seconds since a worker asked for work on a queue; None if none is known.

    The server forgets a worker some five minutes after its last poll.

    Args:
        identity: how the worker's identity ends; empty for any worker.

    Raises:
        RPCError: the server does not answer within two seconds.
    """
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=_PATIENCE,
    )
    polls = [
        poller.last_access_time.ToDatetime(dt.UTC) for poller in described.pollers if poller.identity.endswith(identity)
    ]
    return (dt.datetime.now(dt.UTC) - max(polls)).total_seconds() if polls else None
