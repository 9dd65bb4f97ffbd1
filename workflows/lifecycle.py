"""The life of one IP, from DNS to retirement."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import ApplicationError, ChildWorkflowError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.lifecycle import Assignment, LifecycleActivities, StageReached, Trouble
    from domain.dns import DnsInput
    from domain.lifecycle import (
        DnsDrifted,
        LifecycleInput,
        Reassign,
        ReputationChanged,
        Retire,
        check_startable,
    )
    from domain.refusals import Conflict
    from domain.warmup import WarmupInput, WarmupPlan, WarmupResult, WarmupState
    from domain.words import Actor, Stage
    from workflows import ids, options, search_attributes
    from workflows.dns import DnsPropagation
    from workflows.warmup import Warmup


@workflow.defn
class IpLifecycle:
    """Parent of an IP's DNS set-up and warm-ups; sleeps without cost at full capacity.

    Id ``ip:<address>``. Stages: awaiting_dns, active, warming, full_capacity, at_risk, retired.
    Updates: ``start_warmup``, ``reassign``, ``retire``. Signals: ``reputation_changed``,
    ``dns_drifted``. No time limit. Actions: about 10 beside those of its children.
    """

    @workflow.init
    def __init__(self, start: LifecycleInput) -> None:
        """Messages may come before ``run``."""
        self._start = start
        self._stage = start.stage
        self._plan: WarmupPlan | None = None
        self._warming = False
        self._troubles: list[ReputationChanged] = []
        self._assignments: list[Reassign] = []
        self._retire: Retire | None = None

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
            await workflow.wait_condition(self._something_to_do)
            await self._act()
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
    def reassign(self, change: Reassign) -> None:
        """Move the IP to another pool or sender."""
        self._assignments.append(change)

    @workflow.update
    def retire(self, command: Retire) -> None:
        """End the life of the IP; its mail stops."""
        self._retire = command

    @retire.validator
    def _check_retire(self, command: Retire) -> None:
        if not command.reason.strip():
            raise ApplicationError("Say why the IP is retired.", "reason", type="Refused")

    @workflow.signal
    def reputation_changed(self, change: ReputationChanged) -> None:
        """A line was crossed."""
        self._troubles.append(change)

    @workflow.signal
    def dns_drifted(self, drift: DnsDrifted) -> None:
        """DNS changed under us; mail is not stopped, a person must look."""
        reason = "DNS drifted: " + "; ".join(drift.findings[:3])
        self._troubles.append(ReputationChanged(reason=reason, source="DNS sweep"))

    @workflow.query
    def stage(self) -> Stage:
        """Where the journey stands."""
        return self._stage

    def _something_to_do(self) -> bool:
        return bool(self._plan or self._troubles or self._assignments or self._retire)

    async def _set_up_dns(self) -> None:
        workflow.set_current_details("Waits for **DNS** to be published, visible and verified.")
        dns = await workflow.start_child_workflow(
            DnsPropagation.run,
            DnsInput(address=self._start.address),
            id=ids.dns_id(self._start.address),
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"DNS of {self._start.address}",
            search_attributes=self._attributes(),
        )
        # An IP may be retired while DNS is still awaited; the other messages wait until DNS stands.
        await workflow.wait_condition(lambda: dns.done() or self._retire is not None)
        if self._retire is not None:
            dns.cancel()
            return
        await dns
        self._stage = Stage.ACTIVE

    async def _act(self) -> None:
        while self._assignments:
            await self._assign(self._assignments.pop(0))
        while self._troubles:
            await self._note(self._troubles.pop(0))
        if self._plan is not None and self._retire is None:
            await self._warm_up(self._plan)

    async def _warm_up(self, plan: WarmupPlan) -> None:
        """Run a warm-up beside the messages: while it lasts, trouble and retirement are still heard."""
        self._warming = True
        child = await workflow.start_child_workflow(
            Warmup.run,
            WarmupInput(
                address=self._start.address, plan=plan, pool=self._start.pool, sender=self._start.sender
            ),
            id=ids.warmup_id(self._start.address),
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"Warm-up of {self._start.address} to {plan.target:,} a day",
            search_attributes=self._attributes(),
        )
        self._stage = Stage.WARMING
        self._plan = None
        self._tell()
        while not child.done():
            await workflow.wait_condition(
                lambda: child.done() or bool(self._troubles or self._assignments or self._retire)
            )
            if self._retire is not None:
                child.cancel()
                break
            while self._assignments:
                await self._assign(self._assignments.pop(0))
            while self._troubles:
                await self._note(self._troubles.pop(0))
        self._warming = False
        try:
            result: WarmupResult = await child
        except ChildWorkflowError:
            if self._retire is None:
                self._stage = Stage.AT_RISK
            return
        stopped = result.outcome is WarmupState.STOPPED
        self._stage = Stage.AT_RISK if stopped else Stage.FULL_CAPACITY

    async def _assign(self, change: Reassign) -> None:
        await workflow.execute_activity_method(
            LifecycleActivities.assign,
            Assignment(address=self._start.address, pool=change.pool, sender=change.sender),
            summary=f"Assign to pool {change.pool or '(same)'}",
            **options.QUICK,
        )

    async def _note(self, change: ReputationChanged) -> None:
        if change.critical:
            self._stage = Stage.AT_RISK
        await workflow.execute_activity_method(
            LifecycleActivities.trouble,
            Trouble(
                address=self._start.address,
                reason=change.reason,
                critical=change.critical,
                source=change.source,
                recovered=change.recovered,
            ),
            summary=change.reason[:120],
            **options.QUICK,
        )

    async def _end(self, command: Retire) -> None:
        self._stage = Stage.RETIRED
        await workflow.execute_activity_method(
            LifecycleActivities.reach,
            StageReached(
                address=self._start.address,
                stage=Stage.RETIRED,
                waiting_for="",
                waiting_on=Actor.NOBODY,
            ),
            summary=f"Retire: {command.reason[:100]}",
            **options.QUICK,
        )
        workflow.set_current_details(f"**Retired**: {command.reason}")

    def _tell(self) -> None:
        words = {
            Stage.ACTIVE: "DNS is verified. Waits for an operator to **start the warm-up**.",
            Stage.WARMING: "**Warming up**, see the child workflow.",
            Stage.FULL_CAPACITY: "At **full capacity**. Watched by the sweeps; waits for nothing.",
            Stage.AT_RISK: "**At risk**. Waits for an operator to look at the incident.",
        }
        workflow.set_current_details(words.get(self._stage, f"Stage {self._stage}."))

    def _attributes(self) -> TypedSearchAttributes:
        return search_attributes.of(
            address=self._start.address, pool=self._start.pool, sender=self._start.sender
        )
