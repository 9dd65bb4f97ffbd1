"""The sweep that keeps figures and events small."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.figures import FiguresActivities, Kept
    from workflows.options import KEEPING


@workflow.defn
class FiguresSweep:
    """Rolls figures up to days and takes away old events and their keys.

    Id: given by the schedule ``sweep-figures``. No messages. Actions: 1.
    """

    @workflow.run
    async def run(self) -> Kept:
        """One activity; what it could not do in its time is left to the next sweep."""
        return await workflow.execute_activity_method(
            FiguresActivities.sweep, summary="roll figures up, drop old events", **KEEPING
        )
