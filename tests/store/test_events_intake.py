"""Batches that come together share a transaction; each gets its own answer, and one fault is one batch's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import Kind, MailEvent
from domain.words import MailboxProvider, Stage
from store import events
from store.database import Database
from store.events_intake import Batch, Intake
from store.tables.events import MailEvent as Row
from store.tables.ips import Ip

IP, OTHER = "198.51.100.7", "198.51.100.8"
DAY = 86_400_000
START = 20_000 * DAY


def _event(name: str, kind: Kind = Kind.DELIVERED, **more: Any) -> MailEvent:
    given = {"address": IP, "at_ms": START, "provider": MailboxProvider.GMAIL}
    return MailEvent(source="generic", event_id=name, kind=kind, **{**given, **more})


async def _nothing(session: AsyncSession, new: Sequence[MailEvent]) -> None:
    """Nobody must act."""


@pytest.fixture
async def intake(db: Database) -> AsyncIterator[Intake]:
    """The way in, closed at the end."""
    made = Intake(db, _nothing)
    yield made
    await made.close()


async def _complained(db: Database, day: int) -> int:
    async with db.read() as session:
        found = await events.sums(session, IP, START + day * DAY, START + (day + 1) * DAY)
    return sum(one.complained for one in found.values())


async def test_batches_at_once_are_answered_each_with_its_own_new_events(intake: Intake) -> None:
    batches = [Batch([_event(f"{n}:{one}") for one in range(5)] + [_event("shared")]) for n in range(30)]
    answers = await asyncio.gather(*(intake.take(one) for one in batches))
    new = [len(one) for one in answers if one is not None]
    assert sorted(new) == [5] * 29 + [6]
    assert [len(one or []) for one in await asyncio.gather(*(intake.take(one) for one in batches))] == [0] * 30


async def test_a_batch_that_cannot_be_stored_does_not_take_the_others_with_it(intake: Intake) -> None:
    bad = Batch([_event("bad", at_ms=2**80)])
    good = [Batch([_event(f"good{n}")]) for n in range(4)]
    answers = await asyncio.gather(*(intake.take(one) for one in (good[0], bad, *good[1:])), return_exceptions=True)
    assert isinstance(answers[1], Exception)
    assert [len(one) for place, one in enumerate(answers) if place != 1 and isinstance(one, list)] == [1] * 4


async def test_a_key_of_use_once_is_refused_the_second_time(intake: Intake) -> None:
    first = await intake.take(Batch([_event("a")], once=("mailgun token", "t")))
    again = await intake.take(Batch([_event("b")], once=("mailgun token", "t")))
    assert first is not None
    assert again is None
    assert len(await intake.take(Batch([_event("b")], once=("mailgun token", "u"))) or []) == 1


async def test_what_must_act_is_told_in_the_transaction_of_its_event(db: Database) -> None:
    told: list[str] = []

    async def fails(session: AsyncSession, new: Sequence[MailEvent]) -> None:
        told.extend(one.event_id for one in new)
        raise RuntimeError("no outbox")

    intake = Intake(db, fails)
    with pytest.raises(RuntimeError, match="no outbox"):
        await intake.take(Batch([_event("stop", Kind.BLOCKED)]))
    await intake.close()
    assert told
    async with db.read() as session:
        assert (await session.exec(sa.select(sa.func.count()).select_from(Row))).scalar_one() == 0


async def test_a_complaint_that_names_its_mail_counts_for_its_ip_on_its_send_day(db: Database, intake: Intake) -> None:
    mail = {"message_id": "m1", "recipient": "a@gmail.com"}
    await intake.take(Batch([_event("d", at_ms=START + 5, campaign="spring", **mail)]))
    report = _event("c", Kind.COMPLAINED, address="", at_ms=START + 3 * DAY, **{**mail, "recipient": "A@gmail.com"})
    stranger = _event("s", Kind.COMPLAINED, address="", at_ms=START + 3 * DAY, message_id="m2", recipient="a@gmail.com")
    (found,) = await intake.take(Batch([report])) or []
    assert (found.address, found.campaign) == (IP, "spring")
    await intake.take(Batch([stranger]))
    assert await _complained(db, 0) == 1
    assert await _complained(db, 3) == 0


async def test_a_report_that_comes_together_with_its_mail_counts_for_its_ip_on_its_send_day(
    db: Database, intake: Intake
) -> None:
    mail = {"message_id": "m1", "recipient": "a@gmail.com"}
    report = _event("c", Kind.COMPLAINED, address="", at_ms=START + DAY, **mail)
    sent = [_event("d", at_ms=START + 9, **mail), _event("s", Kind.SENT, at_ms=START + 5, campaign="spring", **mail)]
    new = {one.event_id: one for one in await intake.take(Batch([report, *sent])) or []}
    assert (new["c"].address, new["c"].campaign, new["c"].sent_ms) == (IP, "spring", START + 5)
    assert await _complained(db, 0) == 1


async def test_the_event_that_names_the_ip_need_not_be_the_first_of_its_mail(db: Database, intake: Intake) -> None:
    mail = {"message_id": "m1", "recipient": "a@gmail.com"}
    await intake.take(Batch([_event("s", Kind.SENT, address="", at_ms=START + 5, **mail)]))
    await intake.take(Batch([_event("d", at_ms=START + DAY, **mail)]))
    (report,) = (
        await intake.take(Batch([_event("c", Kind.COMPLAINED, address="", at_ms=START + 3 * DAY, **mail)])) or []
    )
    assert (report.address, report.sent_ms) == (IP, START + 5)
    assert await _complained(db, 0) == 1


async def test_a_bound_address_counts_for_its_public_one(db: Database, intake: Intake) -> None:
    async with db.write() as session:
        session.add(Ip(address=OTHER, bind_address="10.0.0.1", stage=Stage.WARMING, mx=None, disposal=""))
    new = await intake.take(
        Batch([_event("a", address="", bound_address="10.0.0.1"), _event("b", address="", bound_address="10.0.0.2")])
    )
    assert [one.address for one in new or []] == [OTHER, "10.0.0.2"]


async def test_a_local_deferral_does_not_hide_the_receivers_own(db: Database, intake: Intake) -> None:
    mail = {"message_id": "m", "recipient": "a@gmail.com"}
    for name, local in (("1", True), ("2", True), ("3", False), ("4", False)):
        await intake.take(Batch([_event(name, Kind.DEFERRED, local=local, **mail)]))
    async with db.read() as session:
        found = await events.sums(session, IP, START, START + DAY)
    assert found[MailboxProvider.GMAIL].deferred == 1
