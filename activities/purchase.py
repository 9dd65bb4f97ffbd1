"""Effects of a purchase. Each can be repeated: vendor and payment calls carry the order and its step."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.context import Context
from activities.purchase_messages import Mark, OrderRef, Quoted, Step, Trouble
from domain import purchase as rules
from domain.refusals import Conflict, Refused
from domain.words import Actor, OrderStatus, Severity, Stage
from providers.ip_vendors.port import IpVendor, Offer, VendorError, VendorFault
from providers.payments.port import (
    Payment,
    PaymentProvider,
    PaymentRefused,
    PaymentStatus,
)
from store import incidents, ips
from store import purchase as orders
from store.database import now
from store.tables.ips import Ip
from store.tables.purchase import Order

#: Candidates vetted beyond what was ordered, so that a refused one has a substitute.
SPARE = 4
#: Neighbours on each side whose listings are looked at: a sample, since a /24 would be 256 times 10 questions.  # noqa: E501
NEIGHBOURS = 1
WAITLIST_LOOK = dt.timedelta(seconds=30)


class Vetting(Protocol):
    """What blocklists say of an address."""

    async def look(self, address: str) -> tuple[list[str], list[str]]:
        """Lists that name the address with a weight that acts, and lists without a true answer."""
        ...


class PurchaseActivities:
    """What an order does to the world."""

    def __init__(
        self, context: Context, vendors: Mapping[str, IpVendor], payments: PaymentProvider, vetting: Vetting
    ) -> None:
        self._context = context
        self._vendors = vendors
        self._payments = payments
        self._vetting = vetting

    async def _order(self, order_id: str) -> Order:
        async with self._context.db.read() as session:
            return await orders.get(session, order_id)

    @activity.defn(name="purchase_quote")
    async def quote(self, ref: OrderRef) -> Quoted:
        """Vet candidates and price them; out of stock fails benignly until the waitlist's deadline."""
        order = await self._order(ref.order_id)
        vendor = self._vendors[order.vendor]
        try:
            offers = await vendor.offer(order.type, order.region, order.count, order.id)
        except VendorError as error:
            if error.kind is VendorFault.OUT_OF_STOCK:
                return await self._wait_for_stock(order, error.detail)
            if error.kind is VendorFault.RETRYABLE:
                raise
            return Quoted(status=OrderStatus.FAILED, reason=error.detail)
        candidates = await self._candidates(order, offers)
        good = [one.address for one in candidates if one.verdict is rules.Verdict.RECOMMENDED]
        if len(good) < order.count:
            return await self._wait_for_stock(
                order, f"Only {len(good)} of {order.count} addresses on offer passed vetting.", candidates
            )
        cost = max(Decimal(one.cost.amount) for one in candidates if one.address in good)
        expires = now() + dt.timedelta(minutes=self._context.settings.quote_minutes)
        async with self._context.db.write() as session:
            await orders.change(
                session,
                order.id,
                status=OrderStatus.QUOTED,
                reason="",
                candidates=[one.model_dump(mode="json") for one in candidates],
                quote=rules.quote(order.count, cost).model_dump(mode="json"),
                expires_at=expires,
                waiting_for="an operator to complete the purchase",
            )
        return Quoted(status=OrderStatus.QUOTED, recommended=good)

    async def _wait_for_stock(
        self, order: Order, why: str, candidates: Sequence[rules.Candidate] = ()
    ) -> Quoted:
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
                candidates=[one.model_dump(mode="json") for one in candidates],
                waiting_for=f"stock at {order.vendor}",
            )
        delay = min(WAITLIST_LOOK, max(until - now(), dt.timedelta(milliseconds=100)))
        raise ApplicationError(
            why, type="OutOfStock", category=ApplicationErrorCategory.BENIGN, next_retry_delay=delay
        )

    async def _candidates(self, order: Order, offers: Sequence[Offer]) -> list[rules.Candidate]:
        async with self._context.db.read() as session:
            used = await orders.in_use(session, [one.address for one in offers], order.id)
        found: list[rules.Candidate] = []
        good = 0
        for offer in offers:
            if offer.address in used:
                continue
            if len(found) >= order.count + SPARE and good >= order.count:
                break
            verdict, reasons = rules.vet(await self._evidence(offer.address, offer.ptr))
            good += verdict is rules.Verdict.RECOMMENDED
            found.append(
                rules.Candidate(
                    address=offer.address,
                    price=rules.Money.of(rules.MONTHLY_PRICE),
                    cost=rules.Money.of(offer.monthly),
                    verdict=verdict,
                    reasons=reasons,
                    ptr=offer.ptr,
                )
            )
        return found

    async def _evidence(self, address: str, ptr: str | None) -> rules.Evidence:
        listed, unknown = await self._vetting.look(address)
        own = ipaddress.ip_address(address)
        around = [str(own + step) for step in range(-NEIGHBOURS, NEIGHBOURS + 1) if step]
        neighbours = [one for one in around if (await self._vetting.look(one))[0]]
        return rules.Evidence(listed=listed, unknown=unknown, neighbours_listed=neighbours, ptr=ptr)

    @activity.defn(name="purchase_mark")
    async def mark(self, wanted: Mark) -> None:
        """Write where the order stands."""
        async with self._context.db.write() as session:
            await orders.change(
                session,
                wanted.order_id,
                status=wanted.status,
                reason=wanted.reason,
                step=wanted.step,
                waiting_for="the purchase to run" if wanted.status is OrderStatus.PURCHASING else "",
            )
        if wanted.status in rules.ENDED:
            # Some vendors show an address only by allocating it; an order that ends keeps none.
            order = await self._order(wanted.order_id)
            await self._vendors[order.vendor].abandon(order.id, [])

    @activity.defn(name="purchase_reserve")
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
    async def vet(self, step: Step) -> None:
        """Look again, now that money is about to move."""
        for address in step.addresses:
            verdict, reasons = rules.vet(await self._evidence(address, None))
            if verdict is rules.Verdict.REFUSED:
                raise Refused(f"{address} failed the second vetting: {reasons[0]}.", code="vetting")

    @activity.defn(name="purchase_authorise")
    async def authorise(self, step: Step) -> None:
        """Hold the amount of the quote."""
        order = await self._order(step.order_id)
        amount = Decimal(order.quote["total"]["amount"])
        try:
            paid = await self._payments.authorise(
                order.id, amount, rules.CURRENCY, step.payment_method, f"{order.id}:authorise"
            )
        except PaymentRefused as refusal:
            await self._paid(order.id, {"status": PaymentStatus.DECLINED, "detail": str(refusal)})
            raise Refused(f"Payment refused: {refusal}", field="payment_method", code="declined") from refusal
        await self._paid(order.id, _shown(paid))

    @activity.defn(name="purchase_provision")
    async def provision(self, step: Step) -> None:
        """Make the addresses ours."""
        order = await self._order(step.order_id)
        for address in step.addresses:
            ref = await _vendor(self._vendors[order.vendor].provision(address, order.id))
            async with self._context.db.write() as session:
                await orders.provisioned(session, address, ref)

    @activity.defn(name="purchase_capture")
    async def capture(self, step: Step) -> None:
        """Take the money that was held; what was taken by an attempt whose answer was lost is not asked again."""
        order = await self._order(step.order_id)
        ref = order.payment["id"]
        known = next((one for one in await self._payments.find(order.id) if one.ref == ref), None)
        if known is not None and known.status is PaymentStatus.CAPTURED:
            await self._paid(order.id, _shown(known))
            return
        try:
            paid = await self._payments.capture(ref, f"{order.id}:capture")
        except PaymentRefused as refusal:
            raise Refused(f"Payment could not be taken: {refusal}", code="capture") from refusal
        await self._paid(order.id, _shown(paid))

    @activity.defn(name="purchase_hand_over")
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
                        vendor=order.vendor,
                        vendor_ref=refs.get(address, ""),
                        region=order.region,
                        order_id=order.id,
                        stage=Stage.AWAITING_DNS,
                        pool=order.pool,
                        sender=order.sender,
                        domain=order.domain,
                        hostname=rules.hostname_for(order.hostname, index),
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

    @activity.defn(name="purchase_release")
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
    async def undo_payment(self, step: Step) -> None:
        """Cancel what is held, refund what was taken; also a payment whose answer never came."""
        for paid in await self._payments.find(step.order_id):
            key = f"{step.order_id}:undo:{paid.ref}"
            try:
                if paid.status is PaymentStatus.AUTHORISED:
                    await self._paid(step.order_id, _shown(await self._payments.cancel(paid.ref, key)))
                elif paid.status is PaymentStatus.CAPTURED:
                    await self._paid(step.order_id, _shown(await self._payments.refund(paid.ref, key)))
            except PaymentRefused as refusal:
                if not await self._let_go(step.order_id, paid.ref):
                    raise Refused(f"Payment {paid.ref} could not be undone: {refusal}", code="undo") from refusal

    async def _let_go(self, order_id: str, ref: str) -> bool:
        """Whether a payment moves no money any more, whoever ended it."""
        moving = (PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED)
        return all(one.status not in moving for one in await self._payments.find(order_id) if one.ref == ref)

    @activity.defn(name="purchase_escalate")
    async def escalate(self, trouble: Trouble) -> None:
        """Open an incident of kind ``purchase``: money or an address is where it should not be."""
        detail = f"Order {trouble.order_id}: {' '.join(trouble.failed)} Put it right at the provider by hand."
        async with self._context.db.write() as session:
            for address in trouble.addresses:
                await incidents.open_incident(
                    session, "purchase", address, Severity.CRITICAL, "A purchase could not be undone", detail
                )

    async def _paid(self, order_id: str, shown: dict[str, Any]) -> None:
        async with self._context.db.write() as session:
            await orders.change(session, order_id, payment=shown)


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


def _shown(paid: Payment) -> dict[str, Any]:
    return {"id": paid.ref, "status": paid.status, "amount": f"{paid.amount:.2f}", "currency": paid.currency}


def build(context: Context) -> PurchaseActivities:
    """The purchase's activities with the adapters that the settings name."""
    from activities.vetting import BlocklistVetting
    from providers.ip_vendors.registry import vendors
    from providers.payments.port import provider

    settings = context.settings
    return PurchaseActivities(context, vendors(settings), provider(settings), BlocklistVetting(settings))


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities to register with a worker."""
    it = build(context)
    return [
        *(it.quote, it.mark, it.reserve, it.vet, it.authorise, it.provision, it.capture, it.hand_over),
        *(it.release, it.undo_payment, it.escalate),
    ]
