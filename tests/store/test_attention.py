"""What waits for a person: worst first, each trouble named once, each with the place where it is dealt with."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.purchase import trying_again
from domain.refusals import Refused
from domain.words import WORST_FIRST, Actor, OrderStatus, Severity, Stage
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
        found, _ = await attention.page(session)
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
                      created_at=moment, updated_at=moment, **kept)
            )  # fmt: skip
        for name, waits in (("o8", "the purchase to run"), ("o9", trying_again("Stripe does not answer.\n<html>"))):
            status = OrderStatus.PURCHASING
            session.add(Order(id=name, status=status, hostname=f"{name}.d.test", waiting_for=waits, **kept))
    async with db.read() as session:
        found, _ = await attention.page(session)
    assert [(item.severity, item.text, item.order) for item in found] == [
        (Severity.WARNING, "The order for m1.d.test failed: The card was declined.", "o1"),
        (Severity.WARNING, "The order for o9.d.test waits for another try: Stripe does not answer.", "o9"),
        (Severity.INFO, "The order for m0.d.test waits for your payment", "o0"),
    ]


async def test_the_worst_come_first_also_among_more_than_fit(db: Database) -> None:
    async with db.write() as session:
        for number in range(30):
            await incidents.open_incident(
                session, "dns_drift", f"198.51.100.{number}", Severity.WARNING, "a record is gone", ""
            )
        for number in range(40):
            session.add(
                Ip(address=f"203.0.113.{number}", stage=Stage.AWAITING_DNS, waiting_for="the A record",
                   waiting_on=Actor.REGISTRAR, waiting_since=now() - dt.timedelta(days=2))
            )  # fmt: skip
        session.add(
            Ip(address="203.0.113.200", stage=Stage.AT_RISK, waiting_for="a recovery", waiting_on=Actor.OPERATOR,
               waiting_since=now())
        )  # fmt: skip
        await incidents.open_incident(session, "at_risk", "198.51.100.99", Severity.CRITICAL, "listed by zen", "")
        (found, _), total = await attention.page(session), await attention.total(session)
    assert {item.ip for item in found[:2]} == {"198.51.100.99", "203.0.113.200"}
    assert (len(found), total) == (attention.MOST, 30 + 40 + 2)


async def test_ips_in_incidents_leave_room_for_others_that_wait(db: Database) -> None:
    async with db.write() as session:
        for number in range(30):
            address = f"198.51.100.{number}"
            session.add(
                Ip(address=address, stage=Stage.WARMING, waiting_for="a look", waiting_on=Actor.OPERATOR,
                   waiting_since=now() - dt.timedelta(days=2))
            )  # fmt: skip
            if number >= 20:
                continue
            await incidents.open_incident(session, "at_risk", address, Severity.INFO, "rates are high", "")
        (found, _), total = await attention.page(session), await attention.total(session)
    assert total == 30
    assert {item.ip for item in found if item.text.endswith("a look")} == {f"198.51.100.{n}" for n in range(20, 30)}


async def test_the_pages_hold_everything_once_in_one_order(db: Database) -> None:
    async with db.write() as session:
        for number in range(8):
            session.add(
                Ip(address=f"203.0.113.{number}", stage=Stage.AT_RISK if number == 5 else Stage.WARMING,
                   waiting_for="a look", waiting_on=Actor.OPERATOR,
                   waiting_since=now() - dt.timedelta(hours=number % 3) if number else None)
            )  # fmt: skip
            status = OrderStatus.FAILED if number % 2 else OrderStatus.QUOTED
            session.add(
                Order(id=f"o{number}", vendor="v", region="r", domain="d.test", hostname=f"m{number}.d.test",
                      status=status, created_at=now() - dt.timedelta(hours=20 - number),
                      updated_at=now() - dt.timedelta(hours=number))
            )  # fmt: skip
        # Trouble of a domain names the IPs that see it: they are not told again as waiting.
        for number in range(2):
            seen_by = f"203.0.113.{number}"
            await incidents.hold(session, "dns_drift", "d.test", seen_by, Severity.WARNING, "a record is gone")
        whole, _ = await attention.page(session, limit=500)
        pages = await _walked(session)
        total = await attention.total(session)
    assert len(whole) == total == 1 + 6 + 8
    assert pages == whole
    assert [WORST_FIRST.index(one.severity) for one in whole] == [0] + [1] * 5 + [2] * 9


async def _walked(session: AsyncSession, limit: int = 3) -> list[attention.Item]:
    pages, after = await attention.page(session, limit=limit)
    while after is not None:
        more, after = await attention.page(session, after=after, limit=limit)
        pages += more
    return pages


async def test_what_is_done_between_two_pages_hides_nothing_of_the_next(db: Database) -> None:
    moment = now()
    async with db.write() as session:
        for number in range(9):
            # Three that are as bad and as old as each other, and one of every kind among them.
            since = moment - dt.timedelta(hours=9 - number // 3)
            if number % 3 == 0:
                session.add(
                    Order(id=f"o{number}", vendor="v", region="r", domain="d.test", hostname=f"m{number}.d.test",
                          status=OrderStatus.QUOTED, created_at=since, updated_at=since)
                )  # fmt: skip
            elif number % 3 == 1:
                session.add(
                    Ip(address=f"203.0.113.{number}", stage=Stage.WARMING, waiting_for="a look",
                       waiting_on=Actor.OPERATOR, waiting_since=since)
                )  # fmt: skip
            else:
                made, _ = await incidents.open_incident(session, "drift", f"198.51.100.{number}", Severity.INFO, "gone")
                made.opened_at = since
                session.add(made)
    async with db.write() as session:
        whole, _ = await attention.page(session, limit=500)
        assert await _walked(session, 1) == await _walked(session, 2) == whole
        first, after = await attention.page(session, limit=4)
        assert first == whole[:4]
        # The last one told, and one before it, are dealt with: the page after them begins where it would have.
        await incidents.close_incident(session, "drift", "198.51.100.2", "it is back")
        (await session.get_one(Ip, "203.0.113.1")).waiting_for = ""
        (await session.get_one(Ip, "203.0.113.4")).waiting_for = ""
        await session.flush()
        assert (await attention.page(session, after=after, limit=500))[0] == [
            one for one in whole[4:] if one.ip != "203.0.113.4"
        ]


@pytest.mark.parametrize("cursor", ["0", "x", "3.1.1.a", "0.999999999999999999.1.a", "0.1.4.a", "0.-1.1.a"])
async def test_what_is_no_cursor_is_refused(db: Database, cursor: str) -> None:
    async with db.read() as session:
        with pytest.raises(Refused, match="no cursor of the list"):
            await attention.page(session, after=cursor)
