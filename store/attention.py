"""What waits for a person, read from the read model, worst first."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.words import Actor, OrderStatus, Severity, Stage
from store.tables.incidents import Incident
from store.tables.ips import Ip
from store.tables.purchase import Order

ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
#: More than this does not help anybody at three in the night.
MOST = 20


@dataclass
class Item:
    """One thing to do."""

    severity: Severity
    text: str
    page: str
    ip: str | None
    who: Actor
    since: dt.datetime | None


async def items(session: AsyncSession) -> list[Item]:
    """At most :data:`MOST` things, worst and oldest first."""
    found = [*await _incidents(session), *await _waiting(session), *await _orders(session)]
    found.sort(key=lambda item: (ORDER.index(item.severity), item.since or dt.datetime.max.replace(tzinfo=dt.UTC)))
    return found[:MOST]


async def _incidents(session: AsyncSession) -> list[Item]:
    query = (
        select(Incident)
        .where(col(Incident.closed_at).is_(None))
        .order_by(col(Incident.opened_at))
        .limit(MOST)
    )
    rows = (await session.exec(query)).all()
    return [
        Item(
            Severity(row.severity),
            row.title,
            "DNS Configuration" if row.kind.startswith("dns") else "Reputation Dashboard",
            row.address,
            Actor.OPERATOR,
            row.opened_at,
        )
        for row in rows
    ]


async def _waiting(session: AsyncSession) -> list[Item]:
    query = (
        select(Ip)
        .where(
            col(Ip.waiting_on).in_((Actor.OPERATOR, Actor.REGISTRAR)),
            col(Ip.waiting_for) != "",
            col(Ip.stage) != Stage.RETIRED,
        )
        .order_by(col(Ip.waiting_since))
        .limit(MOST)
    )
    pages = {Stage.AWAITING_DNS: "DNS Management Portal", Stage.AT_RISK: "Reputation Dashboard"}
    rows = (await session.exec(query)).all()
    return [
        Item(
            Severity.CRITICAL if row.stage == Stage.AT_RISK else Severity.INFO,
            f"{row.address} waits for {row.waiting_for}",
            pages.get(Stage(row.stage), "Warmup Dashboard"),
            row.address,
            Actor(row.waiting_on),
            row.waiting_since,
        )
        for row in rows
    ]


async def _orders(session: AsyncSession) -> list[Item]:
    query = (
        select(Order)
        .where(col(Order.status).in_((OrderStatus.QUOTED, OrderStatus.WAITLISTED)))
        .order_by(col(Order.created_at))
        .limit(MOST)
    )
    words = {
        OrderStatus.QUOTED: "is quoted and waits for payment",
        OrderStatus.WAITLISTED: "waits for the vendor's stock",
    }
    rows = (await session.exec(query)).all()
    return [
        Item(
            Severity.INFO,
            f"Order {row.id} for {row.domain} {words[OrderStatus(row.status)]}",
            "Payment Gateway",
            None,
            Actor.OPERATOR if row.status == OrderStatus.QUOTED else Actor.VENDOR,
            row.created_at,
        )
        for row in rows
    ]
