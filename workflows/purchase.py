"""The purchase of one order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from activities.purchase import PurchaseActivities
    from activities.purchase_messages import Authorise, Mark, OrderRef, Quoted, Step, Trouble
    from domain.lifecycle import LifecycleInput
    from domain.purchase import (
        ENDED,
        Cancel,
        Complete,
        PaymentEvent,
        PaymentEventKind,
        PurchaseInput,
        PurchaseState,
        payment_reason,
    )
    from domain.words import OrderStatus
    from workflows import ids, options, starts


#: What an order's row says when its workflow was cancelled at the Temporal server.
CALLED_OFF = "the order's workflow was cancelled"
#: The step that makes the IPs ours: once begun, nothing stops it.
HAND_OVER = "hand over"


class Stopped(Exception):
    """The operator cancelled, or the payment moved by itself, between two steps."""


@workflow.defn
class Purchase:
    """Quote, wait for the operator, then buy as a saga.

    Id ``purchase:<order>``. States: quoting, waitlisted, quoted, purchasing; ends as purchased, failed,
    cancelled or expired. Updates: ``complete`` (pay and buy), ``cancel`` (undo and end). Signal:
    ``payment_changed`` (the provider's own events). Query: ``state``.
    A cancellation at the Temporal server is taken like ``cancel``, and too late once the IPs are handed over.
    A quote expires; nothing else has a time limit, since money is never left half moved. Actions: start,
    quote (and each look at stock), expiry timer, update, two marks, six steps, one child an IP.
    """

    @workflow.init
    def __init__(self, start: PurchaseInput) -> None:
        """Messages may come before ``run``."""
        self._order = start.order_id
        self._state = PurchaseState()
        self._recommended: list[str] = []
        self._complete: Complete | None = None
        self._cancel: Cancel | None = None
        self._lost: PaymentEvent | None = None
        # Slow and paid calls wait on a queue of their own, so that an emergency never waits behind them.
        self._vendor = options.on(options.VENDOR, start.vendor_queue)
        self._undo: list[Callable[[Step], Coroutine[Any, Any, None]]] = []
        self._marked = False
        self._called_off = False

    @workflow.run
    async def run(self, start: PurchaseInput) -> PurchaseState:
        """Quote, wait, buy."""
        if await self._quote() and await self._wait_for_operator(start.quote_seconds):
            await self._buy(start)
        await self._until(workflow.all_handlers_finished)
        if self._called_off and self._state.status is OrderStatus.CANCELLED:
            raise asyncio.CancelledError(CALLED_OFF)
        return self._state

    @workflow.update
    async def complete(self, command: Complete) -> PurchaseState:
        """Start the purchase; answers once that is written down. A second press changes nothing."""
        # The read model shows the quote a moment before this workflow hears of it; a waitlist lasts longer.
        if self._state.status is OrderStatus.QUOTING:
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._state.status is not OrderStatus.QUOTING, timeout=options.QUOTE_IS_NEAR
                )
        self._check_buyable(command)
        if self._complete is None:
            self._complete = command
        await workflow.wait_condition(lambda: self._marked or self._state.status in ENDED)
        return self._state

    @complete.validator
    def _check_complete(self, command: Complete) -> None:
        if self._state.status is not OrderStatus.QUOTING:
            self._check_buyable(command)

    def _check_buyable(self, command: Complete) -> None:
        if self._complete is not None and self._cancel is None:
            return
        if self._cancel is not None or self._state.status is not OrderStatus.QUOTED:
            raise ApplicationError(f"This order is {self._state.status} and cannot be bought.", type="Conflict")
        unknown = [one for one in command.candidates if one not in self._recommended]
        if unknown:
            raise ApplicationError(f"{unknown[0]} is no recommended candidate of this order.", type="Refused")

    @workflow.update
    async def cancel(self, command: Cancel) -> PurchaseState:
        """Stop at the next step, undo, and answer with the end."""
        self._cancel = self._cancel or command
        await workflow.wait_condition(lambda: self._state.status in ENDED)
        return self._state

    @cancel.validator
    def _check_cancel(self, command: Cancel) -> None:
        if self._state.status in ENDED or self._state.step == HAND_OVER:
            raise ApplicationError(f"This order is {self._state.status} and cannot be cancelled.", type="Conflict")

    @workflow.signal
    def payment_changed(self, event: PaymentEvent) -> None:
        """The payment moved without our doing: an order under way stops at once and is undone.

        A decline is left to the step that asks for the payment: it hears the same with the card's own words.
        """
        if self._state.status is OrderStatus.PURCHASING and event.kind is not PaymentEventKind.FAILED:
            self._lost = self._lost or event

    @workflow.query
    def state(self) -> PurchaseState:
        """How the order stands."""
        return self._state

    async def _quote(self) -> bool:
        self._tell("Candidates are being **vetted**, or the order waits for the vendor's stock.")
        quoting = workflow.start_activity_method(
            PurchaseActivities.quote,
            OrderRef(order_id=self._order),
            summary="Vet candidates and quote; waits for stock",
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **self._vendor,
        )
        quoted = await self._unless_cancelled(quoting)
        if quoted is None:
            await self._mark(OrderStatus.CANCELLED, self._cancel.reason if self._cancel else "")
            return False
        self._recommended = quoted.recommended
        if quoted.status is not OrderStatus.QUOTED:
            await self._mark(quoted.status, quoted.reason)
            return False
        self._state.status = OrderStatus.QUOTED
        return True

    async def _unless_cancelled(self, task: asyncio.Task[Any]) -> Quoted | None:
        """The result, or None once a cancel came and the attempt in flight is over."""
        await self._until(lambda: task.done() or self._cancel is not None)
        if not task.done():
            task.cancel()
            await self._until(task.done)
        if self._cancel is not None:
            return None
        result: Quoted = task.result()
        return result

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait; a cancellation of the workflow is noted as the operator's own, so that it stops nothing half done."""
        while not holds():
            try:
                await workflow.wait_condition(holds)
            except asyncio.CancelledError:
                self._called_off = True
                self._cancel = self._cancel or Cancel(reason=CALLED_OFF)

    async def _to_its_end(self, doing: Coroutine[Any, Any, None]) -> None:
        """What was begun ends before anything else is done, whoever cancels meanwhile."""
        task = asyncio.create_task(doing)
        await self._until(task.done)
        task.result()

    async def _wait_for_operator(self, seconds: float) -> bool:
        self._tell("Quoted; waits for the operator to **complete** or cancel.")
        try:
            await workflow.wait_condition(
                lambda: self._complete is not None or self._cancel is not None,
                timeout=timedelta(seconds=seconds),
                timeout_summary="The quote expires",
            )
        except TimeoutError:
            await self._mark(OrderStatus.EXPIRED, "The quote expired before the purchase was completed.")
            return False
        except asyncio.CancelledError:
            self._called_off = True
            self._cancel = self._cancel or Cancel(reason=CALLED_OFF)
        if self._cancel is not None:
            await self._mark(OrderStatus.CANCELLED, self._cancel.reason)
            return False
        return True

    async def _buy(self, start: PurchaseInput) -> None:
        command = self._complete
        assert command is not None
        chosen = list(dict.fromkeys(command.candidates)) or self._recommended[: start.count]
        spares = [] if command.candidates else self._recommended[start.count :]
        step = Step(
            order_id=self._order,
            addresses=chosen,
            spares=spares,
            chosen=bool(command.candidates),
        )
        self._state.addresses = chosen
        await self._mark(OrderStatus.PURCHASING, "")
        self._marked = True
        try:
            chosen = await self._saga(step, command.payment_secret)
        except Exception as failure:  # noqa: BLE001 - whatever it is, nothing stays half bought
            await self._compensate(step)
            await self._end_badly(failure)
            return
        await self._to_its_end(self._start_lives(start, chosen))
        if self._lost is not None:
            # It came while the last step ran: the IPs are handed over, and a person must settle the payment.
            await self._to_its_end(self._escalate([payment_reason(self._lost)], kind="payment"))
        self._state.status = OrderStatus.PURCHASED
        self._tell(f"Purchased: {', '.join(chosen)}.")

    async def _saga(self, step: Step, payment_secret: str) -> list[str]:
        """The addresses bought.

        Each compensation is registered before its step: a step that failed may still have had effect.
        """
        self._undo.append(self._release)
        held: list[str] = await self._step("reserve", PurchaseActivities.reserve, step)
        # Whoever was not held may still stand in for one that is listed since the quote.
        left = [one for one in [*step.addresses, *step.spares] if one not in held]
        step = step.model_copy(update={"addresses": held, "spares": [] if step.chosen else left})
        self._state.addresses = held
        held = await self._step("vet again", PurchaseActivities.vet, step)
        step = step.model_copy(update={"addresses": held, "spares": []})
        self._state.addresses = held
        self._undo.append(self._undo_payment)
        paying = Authorise(order_id=self._order, payment_secret=payment_secret)
        await self._step("authorise payment", PurchaseActivities.authorise, step, paying)
        await self._step("provision", PurchaseActivities.provision, step)
        await self._step("capture payment", PurchaseActivities.capture, step)
        await self._step(HAND_OVER, PurchaseActivities.hand_over, step)
        return held

    async def _step(self, name: str, method: Any, step: Step, message: Authorise | None = None) -> Any:  # noqa: ANN401
        if self._halted():
            raise Stopped
        self._state.step = name
        self._tell(f"Purchasing: **{name}** of {', '.join(step.addresses)}.")
        running = workflow.start_activity_method(
            method,
            message or step,
            summary=f"{name}: {', '.join(step.addresses)}",
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            **self._vendor,
        )
        await self._until(lambda: running.done() or (self._halted() and name != HAND_OVER))
        if not running.done():
            running.cancel()
            # The attempt in flight ends before anything is undone, so that it cannot act after the undo.
            await self._until(running.done)
            if running.cancelled() or running.exception() is not None:
                raise Stopped
        return running.result()

    def _halted(self) -> bool:
        return self._cancel is not None or self._lost is not None

    async def _compensate(self, step: Step) -> None:
        self._tell("Undoing what was done: payment, then addresses.")
        failed: list[str] = []
        for undo in reversed(self._undo):
            try:
                await self._to_its_end(undo(step))
            except Exception as error:  # noqa: BLE001 - each undo is caught alone
                cause = error.cause if isinstance(error, ActivityError) and error.cause else error
                failed.append(str(cause))
                workflow.logger.error("a compensation failed", extra={"order": self._order, "error": str(error)})
        if failed:
            await self._to_its_end(self._escalate(failed))

    async def _release(self, step: Step) -> None:
        await workflow.execute_activity_method(
            PurchaseActivities.release, step, summary="Undo: give the addresses back", **self._vendor
        )

    async def _undo_payment(self, step: Step) -> None:
        await workflow.execute_activity_method(
            PurchaseActivities.undo_payment,
            step,
            summary="Undo: cancel or refund the payment",
            **self._vendor,
        )

    async def _escalate(self, failed: list[str], kind: str = "purchase") -> None:
        await workflow.execute_activity_method(
            PurchaseActivities.escalate,
            Trouble(order_id=self._order, addresses=self._state.addresses, failed=failed, kind=kind),
            summary=f"Open an incident of kind {kind}",
            **options.QUICK,
        )

    async def _end_badly(self, failure: Exception) -> None:
        if isinstance(failure, Stopped) and self._cancel is not None:
            await self._mark(OrderStatus.CANCELLED, self._cancel.reason)
        elif isinstance(failure, Stopped) and self._lost is not None:
            await self._mark(OrderStatus.FAILED, payment_reason(self._lost))
        elif isinstance(failure, ActivityError) and isinstance(failure.cause, ApplicationError):
            await self._mark(OrderStatus.FAILED, failure.cause.message)
        else:
            await self._mark(OrderStatus.FAILED, "the order's workflow failed")
            raise failure

    async def _start_lives(self, start: PurchaseInput, addresses: list[str]) -> None:
        for address in addresses:
            try:
                life = LifecycleInput(
                    address=address,
                    type=start.type,
                    pool=start.pool,
                    sender=start.sender,
                    vendor_queue=start.vendor_queue,
                )
                await workflow.start_child_workflow(
                    "IpLifecycle",
                    life,
                    id=ids.ip_id(address),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    **starts.of_life(life),
                )
            except WorkflowAlreadyStartedError:
                workflow.logger.info("the life of an IP runs already", extra={"address": address})

    async def _mark(self, status: OrderStatus, reason: str) -> None:
        await self._to_its_end(self._write_down(status, reason))
        self._state.status, self._state.reason = status, reason
        self._tell(f"Order is **{status}**. {reason}")

    async def _write_down(self, status: OrderStatus, reason: str) -> None:
        await workflow.execute_activity_method(
            PurchaseActivities.mark,
            Mark(order_id=self._order, status=status, reason=reason, step=self._state.step),
            summary=f"Write down: {status}",
            # The end of an order also gives back what a vendor holds for it.
            **(self._vendor if status in ENDED else options.QUICK),
        )

    def _tell(self, text: str) -> None:
        workflow.set_current_details(text)
