"""Sweeps: a fleet at a time, in chunks, so that a healthy IP costs almost no action."""

from __future__ import annotations

import abc
import asyncio
from datetime import timedelta

from pydantic import BaseModel, Field
from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.reputation import ReputationActivities
    from activities.reputation_messages import Chunk, Crossing, ListAddresses, Swept
    from domain.lifecycle import DnsDrifted, ReputationChanged
    from domain.warmup import StopSignal
    from settings import Settings
    from workflows.figures import FiguresSweep
    from workflows.ids import ip_id, warmup_id
    from workflows.options import QUICK, SWEEP

#: Schedules, by the id that an operator sees in the Temporal UI.
REPUTATION_SCHEDULE, DNS_SCHEDULE, FIGURES_SCHEDULE = "sweep-reputation", "sweep-dns", "sweep-figures"


class SweepInput(BaseModel):
    """What to sweep."""

    addresses: list[str] = Field([], description="Only these; empty is the whole fleet.")
    chunk: int = Field(50, gt=0, le=200, description="IPs of one activity.")
    at_once: int = Field(4, gt=0, description="Activities under way at a time.")
    second_look_seconds: float = Field(60.0, ge=0, description="Shortest wait before the second look.")
    patience_seconds: float = Field(
        3600.0, ge=0, description="Longest wait; a listing that caches hold longer is left to the next sweep."
    )
    after: str = Field("", description="Where the run before left off.")


class _Fleet(abc.ABC):
    """Goes through a fleet page by page; each kind of sweep says what a chunk is."""

    dns = False

    async def _pages(self, wanted: SweepInput) -> None:
        if wanted.addresses:
            await self._page(wanted, wanted.addresses)
            return
        page = await workflow.execute_activity_method(
            ReputationActivities.addresses,
            ListAddresses(after=wanted.after, dns=self.dns),
            summary="list IPs in service",
            **QUICK,
        )
        await self._page(wanted, page.addresses)
        if len(page.addresses) == ListAddresses().limit:
            # One page a run keeps histories short, however large the fleet.
            workflow.continue_as_new(wanted.model_copy(update={"after": page.addresses[-1]}))

    @abc.abstractmethod
    async def _page(self, wanted: SweepInput, addresses: list[str]) -> None:
        """Sweep one page, and tell what was found."""

    async def _chunks(self, wanted: SweepInput, addresses: list[str]) -> Swept:
        slots = asyncio.Semaphore(wanted.at_once)

        async def one(part: list[str]) -> Swept:
            async with slots:
                return await self._chunk(part)

        parts = [addresses[at : at + wanted.chunk] for at in range(0, len(addresses), wanted.chunk)]
        swept = await asyncio.gather(*(one(part) for part in parts))
        return Swept(
            crossings=[crossing for found in swept for crossing in found.crossings],
            second_look=[address for found in swept for address in found.second_look],
            again_seconds=max((found.again_seconds for found in swept), default=0.0),
        )

    @abc.abstractmethod
    async def _chunk(self, part: list[str]) -> Swept:
        """One activity."""


async def _signal(workflow_id: str, name: str, message: BaseModel) -> None:
    """Tell a journey; one that does not run has nothing to stop."""
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal(name, message)
    except ApplicationError as gone:
        workflow.logger.info("nobody to tell", extra={"workflow": workflow_id, "why": str(gone)})


@workflow.defn
class ReputationSweep(_Fleet):
    """Reads blocklists and figures of the fleet and tells the journeys whose IP crossed a line.

    Id: given by the schedule ``sweep-reputation``, or ``sweep-reputation:<address>`` by hand. No messages.
    Limits: one page of 1,000 IPs a run. Actions: 1 a chunk of 50 IPs, 1 a page; a crossing 2-3; new
    listings one timer and one more chunk.
    """

    @workflow.run
    async def run(self, wanted: SweepInput) -> None:
        """List, look, look again at what is new, tell."""
        await self._pages(wanted)

    async def _page(self, wanted: SweepInput, addresses: list[str]) -> None:
        first = await self._chunks(wanted, addresses)
        await self._tell(first.crossings)
        # A cache answers from memory: looked at before its TTL ends, a list only repeats itself. The second
        # more is for caches that round it.
        pause = max(wanted.second_look_seconds, first.again_seconds + 1 if first.again_seconds else 0.0)
        if first.second_look and pause <= max(wanted.patience_seconds, wanted.second_look_seconds):
            workflow.set_current_details(f"Looking again at {len(set(first.second_look))} IPs with a new listing.")
            await workflow.sleep(timedelta(seconds=pause), summary="before the second look")
            second = await self._chunks(wanted, sorted(set(first.second_look)))
            await self._tell(second.crossings)

    async def _chunk(self, part: list[str]) -> Swept:
        return await workflow.execute_activity_method(
            ReputationActivities.sweep, Chunk(addresses=part), summary=f"read lists: {len(part)} IPs", **SWEEP
        )

    async def _tell(self, crossings: list[Crossing]) -> None:
        for crossing in crossings:
            change = ReputationChanged(
                reason=crossing.reason,
                critical=crossing.critical,
                source="sweep",
                recovered=not crossing.lines,
            )
            if crossing.critical:
                stop = StopSignal(reason=crossing.reason, source="sweep")
                await _signal(warmup_id(crossing.address), "stop", stop)
            await _signal(ip_id(crossing.address), "reputation_changed", change)
            # Only now: a sweep that dies in between tells again rather than never.
            await workflow.execute_activity_method(ReputationActivities.told, crossing, **QUICK)


@workflow.defn
class DnsSweep(_Fleet):
    """Re-verifies DNS of the fleet for ever, and tells the life of an IP that drifted.

    Id: given by the schedule ``sweep-dns``. No messages. Actions: 1 a chunk of 50 IPs, 1 a page, 1 a drift.
    """

    dns = True

    @workflow.run
    async def run(self, wanted: SweepInput) -> None:
        """List, verify, tell."""
        await self._pages(wanted)

    async def _page(self, wanted: SweepInput, addresses: list[str]) -> None:
        found = await self._chunks(wanted, addresses)
        for crossing in found.crossings:
            drift = DnsDrifted(findings=[crossing.reason] if crossing.reason else [])
            await _signal(ip_id(crossing.address), "dns_drifted", drift)

    async def _chunk(self, part: list[str]) -> Swept:
        return await workflow.execute_activity_method(
            ReputationActivities.dns, Chunk(addresses=part), summary=f"verify DNS of {len(part)} IPs", **SWEEP
        )


WORKFLOWS = (ReputationSweep, DnsSweep, FiguresSweep)


def _interval(schedule: str, kind: type, said: str, minutes: float, settings: Settings) -> Schedule:
    # Longer than to the next sweep is no use: that sweep looks anyway.
    wanted = SweepInput(second_look_seconds=settings.blocklist_second_look_seconds, patience_seconds=60 * minutes)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            kind.run,  # type: ignore[attr-defined]
            args=[] if kind is FiguresSweep else [wanted],
            id=schedule,
            task_queue=settings.task_queue,
            static_summary=said,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(minutes=minutes))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=minutes)),
    )


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make the three schedules, or bring them up to date with the settings; the same again changes nothing."""
    for name, kind, said, minutes in (
        (REPUTATION_SCHEDULE, ReputationSweep, "Blocklists and scores of the fleet", settings.sweep_minutes),
        (DNS_SCHEDULE, DnsSweep, "DNS of the fleet", settings.dns_sweep_minutes),
        (FIGURES_SCHEDULE, FiguresSweep, "Figures, added up and thinned out", settings.figures_sweep_minutes),
    ):
        schedule = _interval(name, kind, said, minutes, settings)
        try:
            await client.create_schedule(name, schedule, trigger_immediately=True)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(_replacing(schedule))


def _replacing(schedule: Schedule):  # type: ignore[no-untyped-def]  # noqa: ANN202
    def update(found: ScheduleUpdateInput) -> ScheduleUpdate:
        # An operator's pause of a schedule survives a restart of the worker.
        schedule.state = found.description.schedule.state
        return ScheduleUpdate(schedule)

    return update


__all__ = ["DNS_SCHEDULE", "REPUTATION_SCHEDULE", "WORKFLOWS", "SweepInput", "ensure_schedules"]
