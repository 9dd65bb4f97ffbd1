"""Stripe's own events: what happened to a payment without our doing, to its order, each event once."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from api.webhooks.reading import Rejected, document, mapping, unreadable
from domain.purchase import ENDED, PaymentEvent, PaymentEventKind, payment_reason
from domain.words import OrderStatus, Severity
from providers.payments.port import PaymentRefused
from providers.payments.stripe import verify_webhook
from settings import Settings
from store import incidents, outbox
from store import purchase as orders
from store.database import Database
from store.tables.purchase import Order
from workflows.ids import purchase_id

#: Types of Stripe's events that end or reverse a payment; the others are answered and not kept.
KINDS = {
    "payment_intent.canceled": PaymentEventKind.CANCELLED,
    "charge.expired": PaymentEventKind.CANCELLED,
    "payment_intent.payment_failed": PaymentEventKind.FAILED,
    "charge.refunded": PaymentEventKind.REFUNDED,
    "charge.dispute.created": PaymentEventKind.DISPUTED,
    "charge.dispute.funds_withdrawn": PaymentEventKind.DISPUTED,
}


class Notice(BaseModel):
    """An event of Stripe as far as it concerns an order."""

    event: PaymentEvent
    ref: str = ""


def read(body: bytes, signature: str, settings: Settings) -> Notice | None:
    """The verified event; None for a type that says nothing about a payment's end.

    Raises:
        Rejected: not configured (404), forged or stale (401), or unreadable (400).
    """
    secret = settings.stripe_webhook_secret
    if secret is None:
        raise Rejected(
            "This webhook is not there yet: set WARMPATH_STRIPE_WEBHOOK_SECRET.", status=404, code="not_configured"
        )
    try:
        verify_webhook(body, signature, secret.get_secret_value())
    except PaymentRefused as refusal:
        raise Rejected(f"{refusal} Check WARMPATH_STRIPE_WEBHOOK_SECRET and the clock.") from None
    told = mapping(document(body), "body")
    identity, kind = told.get("id"), told.get("type")
    if not isinstance(identity, str) or not 0 < len(identity) <= 255 or not isinstance(kind, str):
        raise unreadable("id and type must be texts.", "id")
    if kind not in KINDS:
        return None
    subject = mapping(mapping(told.get("data"), "data").get("object"), "data.object")
    ref = subject.get("id") if kind.startswith("payment_intent.") else subject.get("payment_intent")
    return Notice(
        event=PaymentEvent(event_id=identity, kind=KINDS[kind], detail=_detail(subject)),
        ref=str(ref or "")[:255],
    )


def _detail(subject: dict[str, Any]) -> str:
    """Stripe's own reason, whichever field of the object holds it."""
    error = subject.get("last_payment_error")
    said = error.get("message") if isinstance(error, dict) else None
    said = said or subject.get("cancellation_reason") or subject.get("reason") or subject.get("failure_message")
    return f"Stripe says: {str(said)[:300]}." if said else ""


async def store(db: Database, notice: Notice) -> tuple[bool, bool]:
    """Keep the event, and what must follow, in one transaction; answers (new, signal to deliver).

    Raises:
        Rejected: 404, no order has this payment; a dead letter is kept.
    """
    async with db.write() as session:
        order = await orders.by_payment(session, notice.ref) if notice.ref else None
        if order is not None:
            if not await orders.add_payment_event(session, db.dialect, order.id, notice.event):
                return False, False
            return True, await _follow(session, order, notice.event)
        why = f"no order has the payment {notice.ref!r}" if notice.ref else "the event names no payment"
        await orders.dead_letter(session, db.dialect, notice.event, notice.ref, why)
    raise Rejected(f"{notice.event.event_id}: {why}; it was kept as a dead letter.", status=404, code="unknown_order")


async def _follow(session: AsyncSession, order: Order, event: PaymentEvent) -> bool:
    if order.status not in ENDED:
        await outbox.put(session, "signal", purchase_id(order.id), "payment_changed", event.model_dump(mode="json"))
        return True
    # Our own undo of an order that failed comes back as an event too; only a purchase that stands is in trouble.
    if order.status == OrderStatus.PURCHASED and event.kind is not PaymentEventKind.FAILED:
        await orders.change(session, order.id, payment={**order.payment, "status": event.kind})
        severity = Severity.CRITICAL if event.kind is PaymentEventKind.DISPUTED else Severity.WARNING
        detail = (
            f"Order {order.id}: {payment_reason(event)} Its IPs are still in use. Settle it at the payment "
            "provider, or retire the IPs."
        )
        for address in order.ips:
            await incidents.open_incident(
                session, "payment", address, severity, "A paid order lost its payment", detail
            )
    return False


__all__ = ["KINDS", "Notice", "read", "store"]
