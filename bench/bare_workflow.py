"""The bare one-activity workflow that journeys are measured against; nothing of ours."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def nothing() -> None:
    """Does nothing."""


@workflow.defn
class Bare:
    """One activity and the end."""

    @workflow.run
    async def run(self) -> None:
        """Run the one activity."""
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=20))
