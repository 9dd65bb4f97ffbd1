"""Effects of the life of an IP on the read model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field
from temporalio import activity

from activities.context import Context
from domain.words import Actor, Severity, Stage
from store import incidents, ips, ledger


class StageReached(BaseModel):
    """An IP stands at a stage and waits for something."""

    address: str
    stage: Stage
    waiting_for: str = ""
    waiting_on: Actor = Actor.NOBODY


class Trouble(BaseModel):
    """Something about an IP needs a person."""

    address: str
    reason: str
    critical: bool
    source: str
    recovered: bool = Field(False, description="The trouble is over; only a person lets mail go again.")


class Assignment(BaseModel):
    """Which pool and sender an IP belongs to from now on."""

    address: str
    pool: str | None = None
    sender: str | None = None


class LifecycleActivities:
    """Read model of the life of an IP."""

    def __init__(self, context: Context) -> None:
        self._db = context.db

    @activity.defn(name="lifecycle_reach")
    async def reach(self, reached: StageReached) -> None:
        """Write where the IP stands; a retired IP also sends no more."""
        async with self._db.write() as session:
            await ips.set_stage(
                session,
                reached.address,
                reached.stage,
                waiting_for=reached.waiting_for,
                waiting_on=reached.waiting_on,
            )
            if reached.stage is Stage.RETIRED:
                await ledger.set_paused(session, reached.address, True, reached.waiting_for or "retired")

    @activity.defn(name="lifecycle_trouble")
    async def trouble(self, trouble: Trouble) -> None:
        """Open an incident, or close it on recovery; a critical one puts the IP at risk and stops its mail."""
        async with self._db.write() as session:
            await ips.lock(session, trouble.address)
            if trouble.recovered:
                await incidents.close_incident(session, "reputation", trouble.address, trouble.reason)
                return
            severity = Severity.CRITICAL if trouble.critical else Severity.WARNING
            await incidents.open_incident(
                session, "reputation", trouble.address, severity, trouble.reason, f"Reported by {trouble.source}."
            )
            if trouble.critical:
                await ips.set_stage(
                    session,
                    trouble.address,
                    Stage.AT_RISK,
                    waiting_for=f"an operator to look: {trouble.reason}",
                    waiting_on=Actor.OPERATOR,
                )
                await ledger.set_paused(session, trouble.address, True, trouble.reason)

    @activity.defn(name="lifecycle_assign")
    async def assign(self, assignment: Assignment) -> None:
        """Write the pool and sender."""
        async with self._db.write() as session:
            row = await ips.get(session, assignment.address)
            row.pool = assignment.pool or row.pool
            row.sender = assignment.sender if assignment.sender is not None else row.sender
            session.add(row)


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities of this journey, bound to a worker's context."""
    bound = LifecycleActivities(context)
    return [bound.reach, bound.trouble, bound.assign]
