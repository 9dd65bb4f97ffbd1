"""Repository of orders and reservations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.lifecycle import Disposal
from domain.purchase import PaymentEvent as PaymentNotice
from domain.purchase import Verdict
from domain.refusals import Conflict, NotFound
from domain.words import OrderStatus
from store.database import upsert
from store.instants import now
from store.tables.ips import Ip
from store.tables.purchase import Order, PaymentDeadLetter, PaymentEvent, Reservation


async def get(session: AsyncSession, order_id: str) -> Order:
    """One order.

    Raises:
        NotFound: no such order.
    """
    row = await session.get(Order, order_id)
    if row is None:
        raise NotFound(f"There is no order {order_id}.", field="id", code="unknown_order")
    return row


async def change(session: AsyncSession, order_id: str, **values: Any) -> Order:  # noqa: ANN401
    """Set columns of an order."""
    row = await get(session, order_id)
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = now()
    session.add(row)
    await session.flush()
    return row


async def put_right(session: AsyncSession, order_id: str, values: dict[str, Any], *, seen: dt.datetime) -> bool:
    """Write what the journey says over what the row says; False when the row was written since it was ``seen``."""
    changed = await session.exec(
        sa.update(Order)
        .where(col(Order.id) == order_id, col(Order.updated_at) == seen)
        .values(**values, updated_at=now())
        .returning(col(Order.id))
    )
    return changed.first() is not None


async def by_payment(session: AsyncSession, ref: str) -> Order | None:
    """The order that a payment of the provider belongs to."""
    return (await session.exec(select(Order).where(col(Order.payment_ref) == ref).with_for_update())).first()


async def add_payment_event(session: AsyncSession, dialect: str, order_id: str, event: PaymentNotice) -> bool:
    """Keep an event of the payment provider; False when it was kept before."""
    insert = upsert(dialect, PaymentEvent).values(
        event_id=event.event_id, order_id=order_id, kind=event.kind, detail=event.detail, at=now()
    )
    kept = await session.exec(insert.on_conflict_do_nothing().returning(col(PaymentEvent.event_id)))
    return kept.first() is not None


async def dead_letter(session: AsyncSession, dialect: str, event: PaymentNotice, ref: str, why: str) -> None:
    """Keep an event that names no order of ours; the same again only counts."""
    insert = upsert(dialect, PaymentDeadLetter).values(
        event_id=event.event_id, kind=event.kind, payment_ref=ref, why=why, received=1, at=now()
    )
    await session.exec(
        insert.on_conflict_do_update(index_elements=["event_id"], set_={"received": PaymentDeadLetter.received + 1})
    )


async def list_page(session: AsyncSession, *, after: str | None, limit: int) -> tuple[Sequence[Order], str | None]:
    """Orders, newest first, and the cursor of the next page (ids grow with time)."""
    query = select(Order).order_by(col(Order.id).desc()).limit(limit + 1)
    if after:
        query = query.where(col(Order.id) < after)
    rows = (await session.exec(query)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


async def reserve(session: AsyncSession, dialect: str, address: str, order_id: str) -> None:
    """Hold an address for an order; the same again changes nothing.

    Raises:
        Conflict: another order holds it, or it is in the inventory.
    """
    await session.exec(
        upsert(dialect, Reservation)
        .values(address=address, order_id=order_id, vendor_ref="", created_at=now())
        .on_conflict_do_nothing()
    )
    held = await session.get(Reservation, address)
    if held is None or held.order_id != order_id:
        raise Conflict(f"{address} was taken by another order.", field="candidates", code="taken")
    ip = await session.get(Ip, address)
    if ip is not None and ip.order_id != order_id and ip.disposal != Disposal.RELEASED:
        raise Conflict(f"{address} is already in the inventory.", field="candidates", code="taken")


async def provisioned(session: AsyncSession, address: str, vendor_ref: str) -> None:
    """Remember the vendor's own id of a reserved address."""
    held = await session.get(Reservation, address)
    if held is not None:
        held.vendor_ref = vendor_ref
        session.add(held)


async def release(session: AsyncSession, address: str, order_id: str) -> None:
    """End an order's hold on an address."""
    held = await session.get(Reservation, address)
    if held is not None and held.order_id == order_id:
        await session.delete(held)


async def held_by(session: AsyncSession, order_id: str) -> Sequence[Reservation]:
    """The addresses that an order holds."""
    return (await session.exec(select(Reservation).where(col(Reservation.order_id) == order_id))).all()


async def quoted_elsewhere(session: AsyncSession, order_id: str) -> set[str]:
    """Addresses that were recommended to other orders which may still be bought."""
    query = select(Order.candidates).where(
        col(Order.status).in_((OrderStatus.QUOTED, OrderStatus.PURCHASING)), col(Order.id) != order_id
    )
    rows = (await session.exec(query)).all()
    return {str(one["address"]) for row in rows for one in row or [] if one["verdict"] == Verdict.RECOMMENDED}


async def in_use(session: AsyncSession, addresses: Sequence[str], order_id: str) -> set[str]:
    """Which of the addresses belong to somebody else."""
    held = await session.exec(
        select(Reservation.address).where(
            col(Reservation.address).in_(addresses), col(Reservation.order_id) != order_id
        )
    )
    owned = await session.exec(
        select(Ip.address).where(col(Ip.address).in_(addresses), col(Ip.disposal) != Disposal.RELEASED)
    )
    return {*held.all(), *owned.all()}
