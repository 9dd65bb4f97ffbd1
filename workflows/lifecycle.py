"""The life of one IP, from DNS to retirement."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from temporalio import workflow
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.lifecycle import (
        Assignment,
        Follow,
        Followed,
        GiveBack,
        LifecycleActivities,
        StageReached,
        Trouble,
    )
    from domain.dns import DnsInput
    from domain.lifecycle import (
        DnsDrifted,
        Life,
        LifecycleInput,
        Reassign,
        ReputationChanged,
        Retire,
        WarmupTold,
        check_startable,
    )
    from domain.refusals import Conflict
    from domain.warmup import StopSignal, WarmupInput, WarmupPlan, WarmupResult, WarmupState
    from domain.words import Actor, Stage
    from workflows import ids, options, search_attributes
    from workflows.dns import DnsPropagation
    from workflows.warmup import Warmup


#: Kind of the incident that a broken DNS set-up opens.
DNS_FAILED = "dns_failed"


@dataclass
class Running:
    """A child, or what runs under its id without being ours (``adopted``, followed by an activity)."""

    task: asyncio.Task[Any]
    adopted: str | None = None
    result: WarmupResult | Followed | None = None


def _history_is_long() -> bool:
    return workflow.info().is_continue_as_new_suggested()


@workflow.defn
class IpLifecycle:
    """Parent of an IP's DNS set-up and warm-ups; sleeps without cost at full capacity.

    Id ``ip:<address>``. Stages: awaiting_dns, active, warming, full_capacity, at_risk, retired.
    Updates: ``start_warmup``, ``reassign``, ``retire``. Signals: ``reputation_changed``, ``warmup_told``,
    ``dns_drifted``. No time limit. Actions: about 10 beside those of its children. A child that runs already is
    followed, a DNS set-up that fails is begun again, and a retired address goes back to its vendor. A history that
    grows long over the years is begun anew, between two things to do.
    """

    @workflow.init
    def __init__(self, start: LifecycleInput) -> None:
        """Messages may come before ``run``."""
        self._start = start
        self._stage = start.stage
        self._plan: WarmupPlan | None = None
        self._warming = False
        self._troubles: list[ReputationChanged] = []
        self._risk, self._drift = start.risk, start.drift
        self._assignments: list[Reassign] = []
        self._assigning = asyncio.Lock()
        self._retire: Retire | None = None
        self._retired = False

    @workflow.run
    async def run(self, start: LifecycleInput) -> str:
        """DNS first, then whatever the operator or the world asks for, until retirement."""
        if start.stage is Stage.AWAITING_DNS:
            await self._set_up_dns()
        elif start.stage is Stage.WARMING:
            self._stage = Stage.ACTIVE
            self._plan = WarmupPlan(target=start.safe_limit, day_seconds=start.day_seconds)
        while self._retire is None:
            self._tell()
            if workflow.patched("a-long-history-ends-without-anything-to-do"):
                await workflow.wait_condition(lambda: self._something_to_do() or self._begins_anew())
            else:
                await workflow.wait_condition(self._something_to_do)
            await self._act()
            self._begin_anew()
        await self._end(self._retire)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._retire.reason

    @workflow.update
    async def start_warmup(self, plan: WarmupPlan) -> Stage:
        """Begin a warm-up; answers once its first day is open."""
        self._plan = plan
        # A retirement that came meanwhile ends the life; a handler that waited on would keep it open for ever.
        await workflow.wait_condition(lambda: self._plan is None or self._retire is not None)
        if self._plan is not None:
            raise ApplicationError(f"{self._start.address} is being retired.", type="Conflict")
        return self._stage

    @start_warmup.validator
    def _check_start(self, plan: WarmupPlan) -> None:
        try:
            stage = Stage.WARMING if self._plan or self._warming else self._stage
            check_startable(Stage.RETIRED if self._retire else stage, self._start.address)
        except Conflict as conflict:
            raise ApplicationError(conflict.detail, type="Conflict") from conflict

    @workflow.update
    async def reassign(self, change: Reassign) -> None:
        """Move the IP to another pool or sender; answers once that is written, or refuses what is gone meanwhile."""
        if not workflow.patched("an-assignment-is-answered-once-it-is-written"):
            self._assignments.append(change)
            return
        # One after the other, as they came: the last one stands.
        async with self._assigning:
            try:
                await self._assign(change)
            except ActivityError as error:
                raise error.cause or error from error

    @workflow.update
    async def retire(self, command: Retire) -> None:
        """End the life of the IP; answers once its mail is stopped. The address goes back after that."""
        self._retire = self._retire or command
        await workflow.wait_condition(lambda: self._retired)

    @retire.validator
    def _check_retire(self, command: Retire) -> None:
        if not command.reason.strip():
            raise ApplicationError("Say why the IP is retired.", "reason", type="Refused")

    @workflow.signal
    def reputation_changed(self, change: ReputationChanged) -> None:
        """A line was crossed."""
        self._troubles.append(change)

    @workflow.signal
    def warmup_told(self, told: WarmupTold) -> None:
        """The warm-up stopped by itself, or somebody let its mail go again. It wrote down everything itself."""
        self._risk = told.risk
        if self._warming:
            self._stage = Stage.QUARANTINED if told.stopped else Stage.WARMING
        self._tell()

    @workflow.signal
    def dns_drifted(self, drift: DnsDrifted) -> None:
        """DNS changed under us, or is right again; mail is not stopped. Who saw it wrote down the incident."""
        self._drift = "DNS drifted: " + "; ".join(drift.findings[:3]) if drift.findings else ""
        self._tell()

    @workflow.query
    def standing(self) -> Life:
        """What the read model can be rebuilt from; the children know the rest."""
        return Life(start=self._start, stage=self._stage, risk=self._risk)

    @workflow.query
    def stage(self) -> Stage:
        """Where the journey stands."""
        return self._stage

    def _something_to_do(self) -> bool:
        return bool(self._plan or self._troubles or self._assignments or self._retire)

    async def _set_up_dns(self) -> None:
        """Until DNS is verified; a set-up that fails is begun again, later each time."""
        workflow.set_current_details("Waits for **DNS** to be published, visible and verified.")
        pause, failed = options.AGAIN_FIRST, False
        while self._retire is None:
            dns = await self._child(
                DnsPropagation.run,
                DnsInput(address=self._start.address, vendor_queue=self._start.vendor_queue),
                ids.dns_id(self._start.address),
                f"DNS of {self._start.address}",
                Stage.AWAITING_DNS,
            )
            if (why := await self._beside(dns)) is None:
                break
            failed = True
            said = f"The DNS set-up broke off and begins again: {why}"
            await self._tell_incident(
                Trouble(address=self._start.address, reason=said, source="its workflow", kind=DNS_FAILED)
            )
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._retire is not None, timeout=pause, timeout_summary="Begin DNS again"
                )
            pause = min(pause * 2, options.AGAIN_LONGEST)
        if self._retire is None:
            self._stage = Stage.ACTIVE
        if failed and self._retire is None:
            over = "The DNS set-up went through."
            await self._tell_incident(
                Trouble(
                    address=self._start.address, reason=over, source="its workflow", kind=DNS_FAILED, recovered=True
                )
            )

    async def _child(self, run: Any, start: BaseModel, child_id: str, summary: str, stage: Stage) -> Running:  # noqa: ANN401
        """A child, or whatever runs under its id already: after a reset a month of warm-up is not thrown away.

        It is found by the stage that it is, also while it rests; the life says how the IP stands.
        """
        try:
            child = await workflow.start_child_workflow(
                run,
                start,
                id=child_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=summary,
                search_attributes=self._attributes(stage),
            )
        except WorkflowAlreadyStartedError:
            following = workflow.start_activity_method(
                LifecycleActivities.follow,
                Follow(workflow_id=child_id),
                summary=f"{summary}: it runs already, follow it",
                **options.FOLLOW,
            )
            return Running(following, adopted=child_id)
        return Running(child)

    async def _beside(self, running: Running) -> str | None:
        """Hear messages while a child runs; answers why it failed, or None. Retirement ends it."""
        while not running.task.done():
            await workflow.wait_condition(
                lambda: running.task.done() or bool(self._troubles or self._assignments or self._retire)
            )
            if self._retire is not None:
                await self._end_child(running)
                return None
            await self._hear()
        try:
            running.result = await running.task
        except (ChildWorkflowError, ActivityError) as error:
            return str(error.cause or error)
        if isinstance(running.result, Followed) and running.result.failed:
            return running.result.failed
        return None

    async def _end_child(self, running: Running) -> None:
        if running.adopted is not None:
            with contextlib.suppress(FailureError):
                await workflow.get_external_workflow_handle(running.adopted).cancel()
        else:
            running.task.cancel()
        # It ends before the retirement is written down, so that it writes nothing afterwards.
        with contextlib.suppress(FailureError, asyncio.CancelledError):
            await running.task

    async def _hear(self) -> None:
        while self._assignments:
            with contextlib.suppress(ActivityError):  # Its pool or sender is gone; who asked was answered long ago.
                await self._assign(self._assignments.pop(0))
        while self._troubles:
            await self._note(self._troubles.pop(0))

    async def _act(self) -> None:
        alarms = self._alarms()
        await self._hear()
        if self._plan is not None and self._retire is None:
            await self._warm_up(self._plan, alarms)

    def _alarms(self) -> list[ReputationChanged]:
        return [one for one in self._troubles if one.critical]

    def _begins_anew(self) -> bool:
        """Nothing is lost on the way: no child runs, nothing was said that is not done, nobody waits for an answer."""
        return _history_is_long() and not self._something_to_do() and workflow.all_handlers_finished()

    def _begin_anew(self) -> None:
        if self._begins_anew():
            stands = {"stage": self._stage, "risk": self._risk, "drift": self._drift}
            workflow.continue_as_new(self._start.model_copy(update=stands))

    async def _warm_up(self, plan: WarmupPlan, alarms: list[ReputationChanged]) -> None:
        """Run a warm-up beside the messages: while it lasts, trouble and retirement are still heard.

        Args:
            alarms: came together with the command; the warm-up was not there to hear them itself.
        """
        self._warming = True
        child = await self._child(
            Warmup.run,
            WarmupInput(
                address=self._start.address,
                plan=plan,
                pool=self._start.pool,
                sender=self._start.sender,
                troubled=bool(self._risk),
            ),
            ids.warmup_id(self._start.address),
            f"Warm-up of {self._start.address} to {plan.target:,} a day",
            Stage.WARMING,
        )
        self._stage = Stage.WARMING
        self._plan = None
        self._tell()
        alarms = [*alarms, *self._alarms()]
        if alarms and workflow.patched("an-alarm-stops-the-warm-up-that-it-met"):
            await self._stop(alarms[-1])
        failed = await self._beside(child)
        self._warming = False
        if self._retire is not None:
            return
        if failed is not None:
            await self._note(
                ReputationChanged(reason=f"The warm-up broke off: {failed}", critical=True, source="its workflow")
            )
            return
        outcome = child.result.outcome if isinstance(child.result, WarmupResult | Followed) else ""
        self._stage = Stage.AT_RISK if outcome == WarmupState.STOPPED else Stage.FULL_CAPACITY
        if isinstance(child.result, WarmupResult):
            self._start = self._start.model_copy(update={"safe_limit": child.result.cap})

    async def _stop(self, alarm: ReputationChanged) -> None:
        warmup = workflow.get_external_workflow_handle_for(Warmup.run, ids.warmup_id(self._start.address))
        with contextlib.suppress(FailureError):  # It has ended already.
            await warmup.signal(Warmup.stop, StopSignal(reason=alarm.reason, source=alarm.source))

    async def _assign(self, change: Reassign) -> None:
        await workflow.execute_activity_method(
            LifecycleActivities.assign,
            Assignment(address=self._start.address, pool=change.pool, sender=change.sender),
            summary=f"Assign to pool {change.pool or '(same)'}",
            **options.QUICK,
        )
        # What begins from now on, a rebuild of the read model too, goes by the new assignment.
        start = self._start
        sender = start.sender if change.sender is None else change.sender or None
        self._start = start.model_copy(update={"pool": change.pool or start.pool, "sender": sender})
        self._tell()

    async def _note(self, change: ReputationChanged) -> None:
        """What the sweep sees it writes itself; a critical trouble also stops mail until a person looks."""
        self._risk = "" if change.recovered else change.reason
        if change.critical:
            self._stage = Stage.AT_RISK
            await self._tell_incident(Trouble(address=self._start.address, reason=change.reason, source=change.source))
        self._tell()

    async def _tell_incident(self, trouble: Trouble) -> None:
        await workflow.execute_activity_method(
            LifecycleActivities.trouble, trouble, summary=trouble.reason[:120], **options.QUICK
        )

    async def _end(self, command: Retire) -> None:
        """Mail stops first; then the address goes back to its vendor, however long that takes."""
        self._stage = Stage.RETIRED
        self._tell()
        await workflow.execute_activity_method(
            LifecycleActivities.reach,
            StageReached(
                address=self._start.address,
                stage=Stage.RETIRED,
                waiting_for="" if command.keep else "its address to be given back to the vendor",
                waiting_on=Actor.NOBODY if command.keep else Actor.VENDOR,
            ),
            summary=f"Retire: {command.reason[:100]}",
            **options.QUICK,
        )
        self._retired = True
        workflow.set_current_details(f"**Retired**: {command.reason}. Its address goes back to the vendor.")
        said = await workflow.execute_activity_method(
            LifecycleActivities.give_back,
            GiveBack(address=self._start.address, keep=command.keep),
            summary="Keep the address" if command.keep else "Give the address back to its vendor",
            **options.on(options.VENDOR, self._start.vendor_queue),
        )
        workflow.set_current_details(f"**Retired**: {command.reason}. {said}")

    def _tell(self) -> None:
        words = {
            Stage.ACTIVE: "DNS is verified. Waits for an operator to **start the warm-up**.",
            Stage.WARMING: "**Warming up**, see the child workflow.",
            Stage.FULL_CAPACITY: "At **full capacity**. Watched by the sweeps; waits for nothing.",
            Stage.QUARANTINED: "Its **warm-up stopped**. Waits for an operator to resume, restart or complete it.",
            Stage.AT_RISK: "**At risk**. Waits for an operator to look at the incident.",
        }
        told = [words.get(self._stage, f"Stage {self._stage}.")]
        told += [f"**At risk**: {self._risk}"] if self._risk else []
        told += [self._drift] if self._drift else []
        workflow.set_current_details("\n\n".join(told))
        # Whoever started this life may have set none.
        changed = search_attributes.changes(workflow.info().typed_search_attributes, self._attributes(self._stage))
        if changed:
            workflow.upsert_search_attributes(changed)

    def _attributes(self, stage: Stage) -> TypedSearchAttributes:
        start = self._start
        return search_attributes.of(address=start.address, stage=stage, pool=start.pool, sender=start.sender)
