"""The DNS set-up of one IP."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.dns import DnsActivities
    from activities.dns_messages import Escalate, Look, Outcome, Prepare, Prepared
    from domain.dns import ChangeRecords, ContactSupport, DnsInput, DnsResult, Reverify, check_overrides
    from domain.dns_options import DnsOptions, checked
    from domain.refusals import Refused
    from workflows import options


class Titled(options.Limits):
    """Limits of an activity with its line in the Temporal UI."""

    summary: str


def _titled(limits: options.Limits, summary: str) -> Titled:
    """The options of an activity with its line in the Temporal UI."""
    return {**limits, "summary": summary}


@workflow.defn
class DnsPropagation:
    """Publish the records of an IP and wait until the world sees them.

    Id ``dns:<address>``. States: preparing, waiting (before or past the deadline), verified (the end);
    refused waits for ``change_records`` or ``reverify``. Updates: ``reverify`` (look now),
    ``contact_support`` (hand over the evidence), ``change_records`` (other expected values). Signal:
    ``records_published`` (look now). Without a time limit: past the deadline it escalates and keeps waiting.
    A set-up that was verified is opened again by ``change_records`` with start (``reopened``); a change that is
    refused then ends the run. A retired IP is waited for no longer.
    Slow and paid calls wait on a queue of their own: the vendor sets the PTR beside the wait for the world.
    Actions: start, prepare, PTR at the vendor, deadline timer, and one a look.
    """

    @workflow.init
    def __init__(self, start: DnsInput) -> None:
        """Messages may come before ``run``."""
        self._address = start.address
        self._deadline_hours = start.deadline_hours
        self._reopened = start.reopened
        self._vendor = options.on(options.VENDOR, start.vendor_queue)
        self._pointing: asyncio.Task[None] | None = None
        self._changes: list[ChangeRecords] = []
        self._support: ContactSupport | None = None
        self._prepared = Prepared()
        self._wanted = 0
        self._done = 0
        self._escalated = False
        self._verified = False
        self._retired = False

    @workflow.run
    async def run(self, start: DnsInput) -> DnsResult:
        """Prepare, then wait; every message leads back to one of the two."""
        if self._reopened:
            await workflow.wait_condition(lambda: self._wanted > 0)
        await self._prepare()
        if self._reopened and self._prepared.refused:
            # What was verified stays as it is; the command answers with the refusal.
            self._done = self._wanted
            await workflow.wait_condition(workflow.all_handlers_finished)
            return DnsResult(address=self._address)
        deadline = self._start_deadline()
        try:
            while not self._verified and not self._retired:
                await self._wait_for_the_world_or_a_message(deadline)
                await self._act_on_messages()
                await self._act_on_deadline(deadline)
        finally:
            deadline.cancel()
            self._stop_pointing()
        workflow.set_current_details(
            "Every record is **verified**; DNS is re-verified by the sweep from here on."
            if self._verified
            else "The IP is retired; its DNS is not waited for any more."
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return DnsResult(address=self._address, verified=self._verified, escalated=self._escalated)

    @workflow.update
    async def reverify(self, command: Reverify) -> bool:
        """Ask every server now; answers, once that is written down, whether all is verified."""
        self._wanted += 1
        await self._acted(self._wanted)
        return self._verified

    @workflow.update
    async def contact_support(self, command: ContactSupport) -> bool:
        """Open the support case; answers when it is open."""
        self._support = command
        self._wanted += 1
        await self._acted(self._wanted)
        return True

    @workflow.update
    async def change_records(self, command: ChangeRecords) -> bool:
        """Expect other values; answers when they are handed out, refuses what cannot be expected."""
        self._changes.append(command)
        self._wanted += 1
        await self._acted(self._wanted)
        if any(one is command for one in self._changes):
            why = "The DNS set-up ended in this moment, and nothing was changed. Give the change again."
            raise ApplicationError(why, type="Conflict", non_retryable=True)
        if self._prepared.refused:
            raise ApplicationError(self._prepared.refused, self._prepared.field, type="Refused", non_retryable=True)
        return self._verified

    @change_records.validator
    def _check_change(self, command: ChangeRecords) -> None:
        self._check_open()
        if not command.values and command.options is None:
            raise ApplicationError("Name at least one record or option to change.", type="Refused")
        try:
            checked(command.options or DnsOptions())
            check_overrides(self._prepared.keys or list(command.values), command.values)
        except Refused as refusal:
            raise ApplicationError(refusal.detail, refusal.field, type="Refused") from refusal

    @reverify.validator
    def _check_reverify(self, command: Reverify) -> None:
        self._check_open()

    @contact_support.validator
    def _check_support(self, command: ContactSupport) -> None:
        self._check_open()

    @workflow.signal
    def records_published(self) -> None:
        """Somebody entered records: look now."""
        self._wanted += 1

    @workflow.query
    def prepared(self) -> Prepared:
        """What was handed out."""
        return self._prepared

    def _check_open(self) -> None:
        if self._verified:
            raise ApplicationError("This DNS set-up is verified and closed.", type="Conflict")

    async def _acted(self, number: int) -> None:
        await workflow.wait_condition(lambda: self._done >= number or self._verified or self._retired)

    async def _prepare(self) -> None:
        changes, self._changes = self._changes, []
        # Of commands that came together the later one wins where both name the same.
        values = {key: value for change in changes for key, value in change.values.items()}
        wishes = [change.options for change in changes if change.options is not None]
        self._stop_pointing()
        life = workflow.info().parent
        self._prepared = await workflow.execute_activity_method(
            DnsActivities.prepare,
            Prepare(
                address=self._address,
                deadline_hours=self._deadline_hours,
                overrides=values if changes else None,
                options=wishes[-1] if wishes else None,
                reopened=self._reopened,
                parent=(life.workflow_id, life.run_id) if life else None,
            ),
            **_titled(options.DNS_WAIT, f"Render and publish the records of {self._address}"),
        )
        if self._prepared.at_vendor:
            self._pointing = asyncio.create_task(self._point(self._prepared))
        self._tell()

    async def _point(self, prepared: Prepared) -> None:
        """Reverse DNS is the vendor's: a slow one holds nothing else up, and what it refuses is shown."""
        problem = await workflow.execute_activity_method(
            DnsActivities.set_ptr,
            Look(address=self._address),
            **_titled(self._vendor, f"The vendor sets the PTR of {self._address}"),
        )
        if problem:
            prepared.problems.append(problem)
            self._tell()

    def _stop_pointing(self) -> None:
        if self._pointing is not None:
            self._pointing.cancel()

    def _tell(self) -> None:
        prepared = self._prepared
        if prepared.refused:
            text = f"**Refused**: {prepared.refused} Waits for an operator to correct it."
        elif self._escalated:
            text = "**Past the deadline**, handed to support; goes on when the records appear."
        else:
            who = "the records to spread" if prepared.automatic else "the records to be entered at the registrar"
            text = f"Waits for {who} ({prepared.records} records of {prepared.domain})."
            text += "".join(f"\n- {problem}" for problem in prepared.problems)
        workflow.set_current_details(text)

    def _start_deadline(self) -> asyncio.Task[None]:
        seconds = self._prepared.seconds_left or (self._deadline_hours or 48.0) * 3_600
        return asyncio.create_task(workflow.sleep(timedelta(seconds=seconds), summary="DNS deadline"))

    async def _wait_for_the_world_or_a_message(self, deadline: asyncio.Task[None]) -> None:
        """One activity waits for the world; a message or the deadline ends the wait."""

        def called() -> bool:
            return self._done < self._wanted or (deadline.done() and not self._escalated)

        if self._prepared.refused:
            await workflow.wait_condition(called)
            return
        looking = workflow.start_activity_method(
            DnsActivities.await_records,
            Look(address=self._address),
            **_titled(options.DNS_WAIT, f"Wait for the DNS of {self._address}"),
        )
        await workflow.wait_condition(lambda: looking.done() or called())
        if looking.done():
            self._note(looking.result())
            return
        looking.cancel()
        with contextlib.suppress(ActivityError):
            await looking  # Only to take note of its end: nobody else asks how a called-off look went.

    async def _act_on_messages(self) -> None:
        if self._done >= self._wanted or self._verified or self._retired:
            return
        upto = self._wanted
        if self._changes or self._prepared.refused or self._prepared.problems:
            await self._prepare()
        support, self._support = self._support, None
        if support is not None:
            await self._escalate(support.message, past_deadline=False)
        if not self._prepared.refused:
            outcome = await workflow.execute_activity_method(
                DnsActivities.check,
                Look(address=self._address),
                **_titled(options.DNS_WAIT, "Re-verify now"),
            )
            self._note(outcome)
        self._done = upto

    async def _act_on_deadline(self, deadline: asyncio.Task[None]) -> None:
        if deadline.done() and not self._escalated and not self._verified and not self._retired:
            self._escalated = True
            await self._escalate("", past_deadline=True)
            self._tell()

    async def _escalate(self, message: str, *, past_deadline: bool) -> None:
        await workflow.execute_activity_method(
            DnsActivities.escalate,
            Escalate(address=self._address, message=message, past_deadline=past_deadline),
            **_titled(options.QUICK, "Hand the evidence to support"),
        )

    def _note(self, outcome: Outcome) -> None:
        self._verified = self._verified or outcome.verified
        self._retired = self._retired or outcome.retired
