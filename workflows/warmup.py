"""The warm-up of one IP."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.warmup_messages import Tick, Ticked
    from domain.lifecycle import WarmupTold
    from domain.refusals import Refused
    from domain.warmup import (
        Adjust,
        Complete,
        Pause,
        Progress,
        Restart,
        Resume,
        StopSignal,
        WarmupInput,
        WarmupResult,
        WarmupState,
        jitter_seconds,
    )
    from workflows import ids, options

_STILL = (WarmupState.PAUSED, WarmupState.STOPPED)
_DONE = (WarmupState.GRADUATED, WarmupState.COMPLETED)


@workflow.defn
class Warmup:
    """Raise the cap of an IP day by day until it may send its safe limit.

    Id ``warmup:<address>``. States: warming, paused, stopped (waits for resume, restart or complete),
    graduated and completed (the ends). Updates: ``pause``, ``resume``, ``adjust``, ``complete``,
    ``restart``; signal ``stop``; query ``state``. No time limit. Actions: one timer and one activity a
    day, one activity a message, one signal to the life of the IP when trouble begins or ends.
    """

    @workflow.init
    def __init__(self, start: WarmupInput) -> None:
        """Messages may come before ``run``."""
        self._address = start.address
        self._now = Progress(plan=start.plan, started=workflow.now(), step=start.step)
        self._asked = 0
        self._written = 0
        self._run = workflow.info().run_id
        #: Whether the life of the IP was told of trouble that ends when mail goes again.
        self._troubled = start.troubled

    @workflow.run
    async def run(self, start: WarmupInput) -> WarmupResult:
        """Write the first cap, then close a day at a time; a message is written down at once."""
        await self._write_down(close=False)
        tick = self._start_tick()
        while self._now.state not in _DONE:
            await self._wait_for_tick_or_message(tick)
            if self._asked > self._written:
                await self._write_down(close=False)
            elif self._now.state is WarmupState.PAUSED or self._now.state is WarmupState.STOPPED:
                await workflow.wait_condition(lambda: self._asked > self._written)
            elif self._day_is_over() or not workflow.patched("a-day-ends-before-it-is-closed"):
                await self._write_down(close=True)
            if tick.done() and self._now.state is WarmupState.WARMING:
                tick = self._start_tick()
        tick.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return WarmupResult(
            address=self._address,
            outcome=self._now.state,
            reason=self._now.reason,
            step=self._now.step,
            cap=self._now.cap,
        )

    @workflow.update
    async def pause(self, command: Pause) -> Progress:
        """Stop mail at the gate; the level stays."""
        self._now.state = WarmupState.PAUSED
        return await self._ask("pause", command.reason or "Paused by an operator.")

    @workflow.update
    async def resume(self, command: Resume) -> Progress:
        """Go on from the level it stood at; a long rest lowers it."""
        self._wake()
        return await self._ask("resume", command.reason or "Resumed by an operator.")

    @workflow.update
    async def adjust(self, command: Adjust) -> Progress:
        """Follow another plan from the nearest step that is not higher than the present cap."""
        cap = self._now.cap
        plan = command.plan.model_copy(update={"day_seconds": self._now.plan.day_seconds})
        below = [step for step, one in enumerate(plan.ladder()) if one <= cap]
        self._now.plan, self._now.step, self._now.held_days = plan, below[-1] if below else 0, 0
        return await self._ask("adjust", command.reason or "The plan was changed by an operator.")

    @workflow.update
    async def complete(self, command: Complete) -> Progress:
        """Declare the IP warm."""
        self._now.state = WarmupState.COMPLETED
        self._now.step = len(self._now.plan.ladder()) - 1
        return await self._ask("complete", command.reason or "Completed early by an operator.")

    @workflow.update
    async def restart(self, command: Restart) -> Progress:
        """Go on from a step."""
        self._wake()
        self._now.step, self._now.held_days, self._now.holding = command.step, 0, ""
        self._now.behind = {}
        return await self._ask("restart", command.reason or f"Restarted from step {command.step}.")

    @pause.validator
    def _check_pause(self, command: Pause) -> None:
        self._check_open()
        if self._now.state in _STILL:
            raise ApplicationError(f"The warm-up is {self._now.state} already.", type="Conflict")

    @resume.validator
    def _check_resume(self, command: Resume) -> None:
        self._check_open()
        if self._now.state not in _STILL:
            raise ApplicationError("The warm-up is not paused.", type="Conflict")

    @adjust.validator
    def _check_adjust(self, command: Adjust) -> None:
        self._check_open()
        present = self._now.plan.time_zone
        if command.plan.time_zone != present:
            why = f"The days of a running warm-up are those of {present}; a new warm-up may take another time zone."
            raise ApplicationError(why, "time_zone", type="Refused")
        try:
            command.plan.checked()
        except Refused as refusal:
            raise ApplicationError(refusal.detail, refusal.field, type="Refused") from refusal

    @complete.validator
    def _check_complete(self, command: Complete) -> None:
        self._check_open()

    @restart.validator
    def _check_restart(self, command: Restart) -> None:
        self._check_open()
        steps = len(self._now.plan.ladder())
        if not 0 <= command.step < steps:
            ladder = self._now.plan.ladder()
            said = (
                f"Give a step from 0 (the first, {ladder[0]:,} a day) to {steps - 1} (the last, {ladder[-1]:,} a day)."
            )
            raise ApplicationError(said, "step", type="Refused")

    @workflow.signal
    def stop(self, alarm: StopSignal) -> None:
        """A deterministic alarm: mail stops at once."""
        if self._now.state in _DONE:
            return
        self._now.state, self._troubled = WarmupState.STOPPED, True
        self._now.decision, self._now.reason = "stop", alarm.told()
        # Who resumes has judged this day: its figures do not stop the ramp a second time.
        self._now.fresh_from = self._now.judged_until = self._now.day + 1
        self._asked += 1

    @workflow.query
    def state(self) -> Progress:
        """Where the warm-up stands."""
        return self._now

    def _check_open(self) -> None:
        if self._now.state in _DONE:
            raise ApplicationError(f"The warm-up is {self._now.state} and closed.", type="Conflict")

    def _wake(self) -> None:
        """Skip the days that passed at rest: their windows are over; idle days cost level."""
        plan = self._now.plan
        today = plan.day_at(self._now.started, self._now.day, workflow.now())
        slept, self._now.day = today - self._now.day, today
        if self._now.state is WarmupState.STOPPED:
            # Mail went on until the figures of the day before were in: who resumes has judged that, too.
            self._now.fresh_from = max(self._now.fresh_from, today)
            self._now.judged_until = max(self._now.judged_until, today)
        rest = plan.bounds
        lost = slept // rest.warmup_idle_decay_days
        self._now.step = 0 if slept >= rest.warmup_idle_restart_days else max(0, self._now.step - lost)
        self._now.held_days = 0
        self._now.state = WarmupState.WARMING

    async def _ask(self, decision: str, reason: str) -> Progress:
        self._now.decision, self._now.reason = decision, reason
        self._asked += 1
        wanted = self._asked
        await workflow.wait_condition(lambda: self._written >= wanted)
        return self._now

    async def _write_down(self, *, close: bool) -> None:
        """Hand the state to the activity; a message that came meanwhile is newer than its answer."""
        asked = self._asked
        ticked: Ticked = await workflow.execute_activity(
            "warmup_day",
            Tick(
                address=self._address, run=self._run, now=workflow.now(), close=close,
                progress=self._now.model_copy(deep=True), troubled=self._troubled,
            ),
            result_type=Ticked,
            summary=f"Close day {self._now.day + 1}" if close else f"Write caps: {self._now.decision}",
            **options.QUICK,
        )  # fmt: skip
        if self._asked == asked:
            self._now = ticked.progress
        elif close:
            self._now = self._merge(ticked.progress)
        self._written = asked
        workflow.set_current_details(
            f"**{self._now.state.capitalize()}**, day {self._now.day + 1}, step {self._now.step + 1} of "
            f"{len(self._now.plan.ladder())}, cap {self._now.cap:,} a day. {self._now.reason}"
        )
        if ticked.told is not None:
            await self._tell_life(ticked.told)

    async def _tell_life(self, told: WarmupTold) -> None:
        """What the Temporal UI says of the IP follows; a warm-up without a life has nobody to tell."""
        self._troubled = told.stopped
        with contextlib.suppress(FailureError):
            await workflow.get_external_workflow_handle(ids.ip_id(self._address)).signal("warmup_told", told)

    def _merge(self, closed: Progress) -> Progress:
        """A command given while a day was closed: its state stands, and the day's level unless it set one."""
        if self._now.decision == "adjust" and closed.state is WarmupState.STOPPED:
            # Another plan frees no mail: that takes somebody who resumes.
            verdict = ("state", "decision", "reason", "fresh_from", "judged_until", "day")
            return self._now.model_copy(update={name: getattr(closed, name) for name in verdict})
        if self._now.decision in ("pause", "resume", "stop"):
            said = {name: getattr(self._now, name) for name in ("state", "decision", "reason")}
            if self._now.decision == "stop":
                said |= {"fresh_from": closed.day, "judged_until": closed.day}
            return closed.model_copy(update=said)
        return self._now.model_copy(update={"day": closed.day})

    async def _wait_for_tick_or_message(self, tick: asyncio.Task[None]) -> None:
        await workflow.wait_condition(lambda: tick.done() or self._asked > self._written)

    def _day_is_over(self) -> bool:
        """Who resumes after midnight is on the next day already when the tick of the day before comes."""
        return self._now.plan.day_bounds(self._now.started, self._now.day)[1] <= workflow.now()

    def _start_tick(self) -> asyncio.Task[None]:
        """One timer a day, spread over addresses."""
        ends = self._now.plan.day_bounds(self._now.started, self._now.day)[1]
        late = dt.timedelta(seconds=jitter_seconds(self._address, self._now.plan.day_seconds))
        wait = max(dt.timedelta(milliseconds=1), ends + late - workflow.now())
        return asyncio.create_task(workflow.sleep(wait, summary=f"Day {self._now.day + 1}"))
