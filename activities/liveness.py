"""Signs of life: an activity whose worker was killed is tried again within seconds, not after its whole time limit."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

#: Part of the heartbeat time-out after which the first sign of life goes out. Nearly every activity ends
#: before, so that signs of life cost no action.
FIRST_BEAT = 0.5


class SignsOfLife(Interceptor):
    """Beats for every activity that has a heartbeat time-out."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Put the beat around the activity."""
        return _Beating(super().intercept_activity(next))


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        limit = activity.info().heartbeat_timeout
        if not limit:
            return await self.next.execute_activity(input)
        running = asyncio.ensure_future(self.next.execute_activity(input))
        pause = limit.total_seconds() * FIRST_BEAT
        while not running.done():
            try:
                if not (await asyncio.wait({running}, timeout=pause))[0]:
                    activity.heartbeat()
            except asyncio.CancelledError:
                if _asked_by_workflow():
                    # The attempt ends by itself: a call cut off in the middle could still act after its undo.
                    continue
                running.cancel()
                await asyncio.wait({running})
                raise
        return running.result()


def _asked_by_workflow() -> bool:
    """Whether only the workflow wants an end, not a worker that stops or a server that gave up on the attempt."""
    why = activity.cancellation_details()
    return why is not None and why.cancel_requested and not (why.worker_shutdown or why.timed_out or why.not_found)
