"""Effects of a purchase. Each can be repeated: vendor and payment calls carry the order and its step."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.candidates import Vetter, Vetting
from activities.context import Context
from activities.purchase_messages import Authorise, Mark, OrderRef, Quoted, Step, Trouble
from domain import names
from domain import purchase as rules
from domain.refusals import Conflict, Refused
from domain.words import Actor, OrderStatus, Severity, Stage
from providers.ip_vendors.port import IpVendor, VendorError, VendorFault
from providers.payments.port import (
    Payment,
    PaymentProvider,
    PaymentRefused,
    PaymentStatus,
    PaymentUnavailable,
)
from settings import Settings
from store import incidents, ips, secrets
from store import purchase as orders
from store.instants import now
from store.tables.ips import Ip
from store.tables.purchase import Order

Message = TypeVar("Message", OrderRef, Step, Authorise)
Answer = TypeVar("Answer")
Effect = Callable[["PurchaseActivities", Message], Awaitable[Answer]]


def tells(effect: Effect[Message, Answer]) -> Effect[Message, Answer]:
    """While a vendor or a payment provider is not to be had the order says so; the step is asked again until it is."""

    @functools.wraps(effect)
    async def told(self: PurchaseActivities, message: Message) -> Answer:
        try:
            answer = await effect(self, message)
        except (PaymentUnavailable, VendorError) as error:
            await self.waits(message.order_id, rules.trying_again(str(error)))
            raise
        if activity.in_activity() and activity.info().attempt > 1:
            await self.waits(message.order_id, None)
        return answer

    return told


class PurchaseActivities:
    """What an order does to the world."""

    def __init__(
        self, context: Context, vendors: Mapping[str, IpVendor], payments: PaymentProvider, vetting: Vetting
    ) -> None:
        self._context = context
        self._vendors = vendors
        self._payments = payments
        self._vetter = Vetter(context, vetting)

    async def _order(self, order_id: str) -> Order:
        async with self._context.db.read() as session:
            return await orders.get(session, order_id)

    async def waits(self, order_id: str, told: str | None) -> None:
        """Write what an order waits for beyond its usual; None: that is over."""
        async with self._context.db.write() as session:
            order = await orders.get(session, order_id)
            usual = rules.waiting_for(OrderStatus(order.status), order.vendor)
            wanted = told if told else usual if order.waiting_for.startswith(rules.AGAIN) else order.waiting_for
            if wanted != order.waiting_for:
                await orders.change(session, order_id, waiting_for=wanted)

    @activity.defn(name="purchase_quote")
    @tells
    async def quote(self, ref: OrderRef) -> Quoted:
        """Vet candidates and price them; out of stock fails benignly until the waitlist's deadline."""
        order = await self._order(ref.order_id)
        vendor = self._vendors[order.vendor]
        refused = rules.refused([rules.Candidate.model_validate(one) for one in order.candidates])
        try:
            offers = await vendor.offer(order.type, order.region, order.count, order.id, refused)
        except VendorError as error:
            if error.kind is VendorFault.OUT_OF_STOCK:
                return await self._wait_for_stock(order, error.detail)
            if error.kind is VendorFault.RETRYABLE:
                raise
            return Quoted(status=OrderStatus.FAILED, reason=error.detail)
        candidates = await self._vetter.candidates(order, offers)
        good = [one.address for one in candidates if one.verdict is rules.Verdict.RECOMMENDED]
        if len(good) < order.count:
            why = rules.too_few(len(good), len(candidates), order.count, again=refused & rules.refused(candidates))
            return await self._wait_for_stock(order, why, candidates)
        cost = max(Decimal(one.cost.amount) for one in candidates if one.address in good)
        expires = now() + dt.timedelta(minutes=self._context.settings.quote_minutes)
        async with self._context.db.write() as session:
            await orders.change(
                session,
                order.id,
                status=OrderStatus.QUOTED,
                reason="",
                candidates=[one.model_dump(mode="json") for one in candidates],
                quote=rules.quote(order.count, cost, _prices(self._context.settings)).model_dump(mode="json"),
                expires_at=expires,
                waiting_for=rules.waiting_for(OrderStatus.QUOTED, order.vendor),
            )
        return Quoted(status=OrderStatus.QUOTED, recommended=good)

    async def _wait_for_stock(
        self, order: Order, why: str, candidates: Sequence[rules.Candidate] | None = None
    ) -> Quoted:
        """Look again later; without new candidates the ones of the last look stay, and which of them were refused."""
        shown = order.candidates if candidates is None else [one.model_dump(mode="json") for one in candidates]
        until = order.waitlist_until or now() + dt.timedelta(hours=self._context.settings.waitlist_hours)
        if now() >= until:
            return Quoted(status=OrderStatus.EXPIRED, reason=f"{why} The waitlist's deadline has passed.")
        async with self._context.db.write() as session:
            await orders.change(
                session,
                order.id,
                status=OrderStatus.WAITLISTED,
                reason=why,
                waitlist_until=until,
                candidates=shown,
                waiting_for=rules.waiting_for(OrderStatus.WAITLISTED, order.vendor),
            )
        look = dt.timedelta(seconds=self._context.settings.waitlist_look_seconds)
        delay = min(look, max(until - now(), dt.timedelta(milliseconds=100)))
        raise ApplicationError(why, type="OutOfStock", category=ApplicationErrorCategory.BENIGN, next_retry_delay=delay)

    @activity.defn(name="purchase_mark")
    async def mark(self, wanted: Mark) -> None:
        """Write where the order stands."""
        async with self._context.db.write() as session:
            order = await orders.change(
                session,
                wanted.order_id,
                status=wanted.status,
                reason=wanted.reason,
                step=wanted.step,
                waiting_for=rules.waiting_for(wanted.status, ""),
            )
            if wanted.status in rules.ENDED:
                await secrets.forget(session, rules.payment_purpose(wanted.order_id))
                await secrets.forget_login(session, order.smtp_secret)
        if wanted.status in rules.ENDED:
            # Some vendors show an address only by allocating it; an order that ends keeps none.
            await self._vendors[order.vendor].abandon(order.id, [])

    @activity.defn(name="purchase_reserve")
    @tells
    async def reserve(self, step: Step) -> list[str]:
        """Hold as many addresses as were chosen; a spare stands in for one just taken. Answers those held."""
        order = await self._order(step.order_id)
        async with self._context.db.read() as session:
            mine = {one.address for one in await orders.held_by(session, order.id)}
        # What an earlier attempt holds comes first, so that a repetition holds no more than was ordered.
        waiting = sorted(dict.fromkeys([*step.addresses, *step.spares]), key=lambda one: one not in mine)
        held: list[str] = []
        for index, address in enumerate(waiting):
            if len(held) == len(step.addresses):
                break
            try:
                await self._hold(order, address)
            except Conflict:
                if len(held) + len(waiting) - index - 1 < len(step.addresses):
                    raise
            else:
                held.append(address)
        return held

    async def _hold(self, order: Order, address: str) -> None:
        """In our store first: its key keeps two orders apart at every vendor."""
        async with self._context.db.write() as session:
            await orders.reserve(session, self._context.db.dialect, address, order.id)
        try:
            await _vendor(self._vendors[order.vendor].reserve(address, order.id))
        except Conflict:
            async with self._context.db.write() as session:
                await orders.release(session, address, order.id)
            raise

    @activity.defn(name="purchase_vet")
    @tells
    async def vet(self, step: Step) -> list[str]:
        """Look again, now that money is about to move; answers the addresses to buy, all of them held.

        One that fails is replaced by the next vetted candidate, unless the operator named the candidates.
        """
        order = await self._order(step.order_id)
        passed: list[str] = []
        failed: list[str] = []
        # What an earlier attempt took instead comes first, so that a repetition ends at the same addresses.
        async with self._context.db.read() as session:
            mine = {one.address for one in await orders.held_by(session, order.id)}
        for address in sorted(dict.fromkeys([*step.addresses, *step.spares]), key=lambda one: one not in mine):
            if len(passed) == len(step.addresses):
                break
            verdict, reasons = await self._vetter.again(address)
            if verdict is rules.Verdict.REFUSED:
                failed.append(f"{address} failed the second vetting: {reasons[0]}.")
                continue
            try:
                await self._hold(order, address)
            except Conflict as conflict:
                failed.append(conflict.detail)
            else:
                passed.append(address)
        if len(passed) < len(step.addresses):
            why = "It was chosen by name, so no other takes its place." if step.chosen else "No candidate is left."
            raise Refused(f"{' '.join(failed)} {why} Nothing was charged.", code="vetting")
        for address in mine - set(passed):
            await _vendor(self._vendors[order.vendor].release(address, order.id))
            async with self._context.db.write() as session:
                await orders.release(session, address, order.id)
        return passed

    @activity.defn(name="purchase_authorise")
    @tells
    async def authorise(self, wanted: Authorise) -> None:
        """Hold the amount of the quote; the payment's id is written down before any money is held."""
        order = await self._order(wanted.order_id)
        amount = Decimal(order.quote["total"]["amount"])
        ref = order.payment_ref
        try:
            if ref is None:
                method = await self._context.secrets.get(wanted.payment_secret)
                opened = await self._payments.open(order.id, amount, rules.CURRENCY, method, f"{order.id}:open")
                ref = opened.ref
                await self._paid(order.id, opened)
            paid = await self._payments.authorise(ref, f"{order.id}:authorise")
        except PaymentRefused as refusal:
            shown = {"id": ref, "status": PaymentStatus.DECLINED, "detail": str(refusal)}
            async with self._context.db.write() as session:
                await orders.change(session, order.id, payment=shown)
            raise Refused(f"Payment refused: {refusal}", field="payment_method", code="declined") from refusal
        await self._paid(order.id, paid)

    @activity.defn(name="purchase_provision")
    @tells
    async def provision(self, step: Step) -> None:
        """Make the addresses ours."""
        order = await self._order(step.order_id)
        for address in step.addresses:
            ref = await _vendor(self._vendors[order.vendor].provision(address, order.id))
            async with self._context.db.write() as session:
                await orders.provisioned(session, address, ref)

    @activity.defn(name="purchase_capture")
    @tells
    async def capture(self, step: Step) -> None:
        """Take the money that was held; what was taken by an attempt whose answer was lost is not asked again."""
        order = await self._order(step.order_id)
        assert order.payment_ref is not None
        known = await self._payments.look(order.payment_ref)
        if known.status is PaymentStatus.CAPTURED:
            await self._paid(order.id, known)
            return
        try:
            paid = await self._payments.capture(order.payment_ref, f"{order.id}:capture")
        except PaymentRefused as refusal:
            raise Refused(f"Payment could not be taken: {refusal}", code="capture") from refusal
        await self._paid(order.id, paid)

    @activity.defn(name="purchase_hand_over")
    @tells
    async def hand_over(self, step: Step) -> None:
        """Write the IPs and the end of the order in one transaction."""
        order = await self._order(step.order_id)
        await _vendor(self._vendors[order.vendor].abandon(order.id, step.addresses))
        async with self._context.db.write() as session:
            refs = {held.address: held.vendor_ref for held in await orders.held_by(session, order.id)}
            for index, address in enumerate(step.addresses):
                await ips.insert(
                    session,
                    Ip(
                        address=address,
                        type=order.type,
                        safe_limit=self._context.settings.safe_limits[order.type],
                        vendor=order.vendor,
                        vendor_ref=refs.get(address, ""),
                        region=order.region,
                        order_id=order.id,
                        stage=Stage.AWAITING_DNS,
                        pool=order.pool,
                        sender=order.sender,
                        domain=order.domain,
                        hostname=names.nth(order.hostname, index),
                        mx=order.mx,
                        smtp_secret=order.smtp_secret,
                        smtp_login=order.smtp_login,
                        waiting_for="DNS set-up to begin",
                        waiting_on=Actor.NOBODY,
                    ),
                )
            await orders.change(
                session,
                order.id,
                status=OrderStatus.PURCHASED,
                ips=list(step.addresses),
                step="handed over",
                waiting_for="",
            )
            await secrets.forget(session, rules.payment_purpose(order.id))

    @activity.defn(name="purchase_release")
    @tells
    async def release(self, step: Step) -> None:
        """Undo reserve and provision: give the addresses back, then end the hold."""
        order = await self._order(step.order_id)
        async with self._context.db.read() as session:
            held = [one.address for one in await orders.held_by(session, order.id)]
        addresses = list(dict.fromkeys([*step.addresses, *held]))
        for address in addresses:
            await _vendor(self._vendors[order.vendor].release(address, order.id))
        async with self._context.db.write() as session:
            for address in addresses:
                await orders.release(session, address, order.id)

    @activity.defn(name="purchase_undo_payment")
    @tells
    async def undo_payment(self, step: Step) -> None:
        """Cancel what is open or held, refund what was taken; also a payment whose last answer never came.

        An order without a payment id opened none, or one whose answer was lost: that one holds no money.
        """
        ref = (await self._order(step.order_id)).payment_ref
        if ref is None:
            return
        paid = await self._payments.look(ref)
        key = f"{step.order_id}:undo:{ref}"
        try:
            if paid.status in (PaymentStatus.OPEN, PaymentStatus.AUTHORISED):
                paid = await self._payments.cancel(ref, key)
            elif paid.status is PaymentStatus.CAPTURED:
                paid = await self._payments.refund(ref, key)
        except PaymentRefused as refusal:
            paid = await self._payments.look(ref)
            if paid.status in (PaymentStatus.OPEN, PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED):
                raise Refused(f"Payment {ref} could not be undone: {refusal}", code="undo") from refusal
        await self._undone(step.order_id, paid)

    async def _undone(self, order_id: str, paid: Payment) -> None:
        """Write how it ended; a card that was declined stays shown as declined."""
        declined = (await self._order(order_id)).payment.get("status") == PaymentStatus.DECLINED
        if not (declined and paid.status is PaymentStatus.CANCELLED):
            await self._paid(order_id, paid)

    @activity.defn(name="purchase_escalate")
    async def escalate(self, trouble: Trouble) -> None:
        """Open an incident: money or an address is where it should not be."""
        titles = {"payment": "A paid order lost its payment"}
        title = titles.get(trouble.kind, "A purchase could not be undone")
        detail = f"Order {trouble.order_id}: {' '.join(trouble.failed)} Put it right at the provider by hand."
        async with self._context.db.write() as session:
            for address in trouble.addresses:
                await incidents.open_incident(session, trouble.kind, address, Severity.CRITICAL, title, detail)

    async def _paid(self, order_id: str, paid: Payment) -> None:
        shown = {"id": paid.ref, "status": paid.status, "amount": f"{paid.amount:.2f}", "currency": paid.currency}
        async with self._context.db.write() as session:
            await orders.change(session, order_id, payment=shown, payment_ref=paid.ref)


def _prices(settings: Settings) -> rules.Prices:
    return rules.Prices(
        monthly_price=settings.extra_ip_monthly_price,
        fee_share=settings.payment_fee_share,
        fee_fixed=settings.payment_fee_fixed,
    )


async def _vendor(call: Any) -> Any:  # noqa: ANN401
    """Turn a vendor's final no into a refusal that is not retried; a broken line stays retryable."""
    try:
        return await call
    except VendorError as error:
        if error.kind is VendorFault.RETRYABLE:
            raise
        if error.kind is VendorFault.TAKEN:
            raise Conflict(error.detail, field="candidates", code=error.kind) from error
        raise Refused(error.detail, code=error.kind) from error


def build(context: Context) -> PurchaseActivities:
    """The purchase's activities with the adapters that the settings name."""
    from activities.vetting import BlocklistVetting
    from providers.ip_vendors.registry import vendors
    from providers.payments.registry import provider

    settings = context.settings
    return PurchaseActivities(context, vendors(settings), provider(settings), BlocklistVetting(settings))


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities to register with a worker."""
    it = build(context)
    return [
        *(it.quote, it.mark, it.reserve, it.vet, it.authorise, it.provision, it.capture, it.hand_over),
        *(it.release, it.undo_payment, it.escalate),
    ]
