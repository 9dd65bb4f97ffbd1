"""What waits for a person: worst first, each trouble named once, each with the place where it is dealt with."""

from __future__ import annotations

import datetime as dt

from domain.words import Actor, OrderStatus, Severity, Stage
from store import attention, incidents
from store.database import Database
from store.instants import now
from store.tables.ips import Ip
from store.tables.purchase import Order


async def test_a_trouble_is_named_once_and_stands_before_what_merely_waits(db: Database) -> None:
    async with db.write() as session:
        session.add(
            Ip(address="198.51.100.1", stage=Stage.AT_RISK, waiting_for="a recovery", waiting_on=Actor.OPERATOR)
        )
        session.add(
            Ip(address="198.51.100.2", stage=Stage.WARMING, waiting_for="Paused; resume the warm-up.",
               waiting_on=Actor.OPERATOR)
        )  # fmt: skip
        session.add(
            Ip(address="198.51.100.3", stage=Stage.AWAITING_DNS, waiting_for="the A record",
               waiting_on=Actor.REGISTRAR)
        )  # fmt: skip
        await incidents.open_incident(session, "at_risk", "198.51.100.1", Severity.CRITICAL, "listed by zen", "twice")
        found = await attention.items(session)
    assert [item.text for item in found] == [
        "198.51.100.1: Listed by zen",
        "198.51.100.2: Paused; resume the warm-up.",
        "198.51.100.3 waits for the A record",
    ]


async def test_orders_say_what_they_need_and_a_failed_one_is_shown_for_a_day(db: Database) -> None:
    kept = {"vendor": "sandbox", "domain": "d.test", "type": "dedicated", "region": "", "count": 1, "pool": "default"}
    async with db.write() as session:
        for number, (status, hours) in enumerate(
            [(OrderStatus.QUOTED, 1), (OrderStatus.FAILED, 2), (OrderStatus.FAILED, 30), (OrderStatus.PURCHASED, 1)]
        ):
            moment = now() - dt.timedelta(hours=hours)
            session.add(
                Order(id=f"o{number}", status=status, hostname=f"m{number}.d.test", reason="The card was declined.",
                      created_at=moment, updated_at=moment, idempotency_key=f"k{number}", **kept)
            )  # fmt: skip
    async with db.read() as session:
        found = await attention.items(session)
    assert [(item.severity, item.text, item.order) for item in found] == [
        (Severity.WARNING, "The order for m1.d.test failed: The card was declined.", "o1"),
        (Severity.INFO, "The order for m0.d.test waits for your payment", "o0"),
    ]
