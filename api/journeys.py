"""Commands to journeys: an update, and its refusal as an HTTP problem."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException
from pydantic import BaseModel
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.idempotency import Key
from domain.refusals import Conflict, NotFound, Refused
from settings import Settings
from workflows import workers

#: A command that takes longer than this goes on; the caller is told to look later.
PATIENCE = timedelta(seconds=25)
UNANSWERED = (
    f"The journey has not answered within {PATIENCE.total_seconds():.0f} s: no worker runs, or Temporal stands still. "
    "Whoever runs this installation must look at both. The command may still be done then: look before you give it "
    "again."
)


_SPOKEN = {"ip": "life", "warmup": "warm-up", "dns": "DNS set-up", "purchase": "purchase"}


async def command(
    client: Client,
    workflow_id: str,
    update: Any,  # noqa: ANN401 - a workflow's update method or its name
    arg: BaseModel,
    key: Key | None = None,
    start: WithStartWorkflowOperation[Any, Any] | None = None,
) -> Any:  # noqa: ANN401 - the result of the update
    """Send an update and wait for what it answers.

    Args:
        key: the request's idempotency key, its text used as update id: the same key acts once.
        start: start this journey if none is open.

    Raises:
        Refused: the journey refuses the input (422), Conflict: refuses it now (409),
        NotFound: there is no such journey (404).
        HTTPException: 503 when Temporal or the worker does not answer.
    """
    handle = client.get_workflow_handle(workflow_id)
    named = key.text if key else None
    try:
        # The client asks again for ever while no worker takes the update; its own time-out is one of each question.
        async with asyncio.timeout(PATIENCE.total_seconds()):
            if start is not None:
                return await client.execute_update_with_start_workflow(
                    update, arg, id=named, start_workflow_operation=start, rpc_timeout=PATIENCE
                )
            return await handle.execute_update(update, arg, id=named, rpc_timeout=PATIENCE)
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise HTTPException(503, UNANSWERED) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            kind, _, of = workflow_id.partition(":")
            if "already completed" in error.message:
                raise Conflict(f"The {_SPOKEN.get(kind, kind)} of {of} has ended.", code="ended") from error
            subject = f"{kind} of {of}"
            raise NotFound(f"There is no open journey {subject}.", code="no_journey") from error
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            raise Conflict("The journey has ended.", code="ended") from error
        raise HTTPException(503, "Temporal does not answer; try again in a moment.") from error


def _refusal(cause: BaseException | None) -> Refused:
    detail = getattr(cause, "message", None) or str(cause)
    kinds = {"Refused": Refused, "NotFound": NotFound}
    kind = kinds.get(cause.type or "", Conflict) if isinstance(cause, ApplicationError) else Conflict
    field = None
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], str):
        field = cause.details[0]
    return kind(detail, field=field, code="refused")


async def standstill(client: Client | None, task_queue: str) -> str | None:
    """Why no journey goes on, as a sentence for the operator; None while a worker takes work."""
    try:
        seen = await workers.last_seen(client, task_queue) if client is not None else None
    except (RPCError, RuntimeError):  # the second from a client that connects at its first use
        client = None
    if client is not None and seen is not None and seen <= workers.GONE:
        return None
    what = "Temporal does not answer" if client is None else "No worker takes work"
    return f"{what}: journeys stand still, mail goes on in its caps. Whoever runs this installation must look at it."


def link(settings: Settings, workflow_id: str, run_id: str | None) -> dict[str, str | None]:
    """The journey in the Temporal UI, and its newest run; the run is None until its first activity."""
    path = f"/namespaces/{settings.temporal_namespace}/workflows/{quote(workflow_id, safe='')}"
    return {"id": workflow_id, "run_id": run_id, "url": settings.temporal_ui_url + path}
