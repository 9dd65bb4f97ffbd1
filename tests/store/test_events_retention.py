"""Slices become days, events go before their keys, and nothing is counted twice or lost on the way."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import sqlalchemy as sa

from domain.events import Kind, MailEvent
from domain.figures import Figures
from domain.warmup import Progress, WarmupPlan, WarmupState
from domain.words import MailboxProvider
from store import events, events_retention, warmup
from store.database import Database
from store.tables.events import EventKey, Figure, UnplacedEvent
from store.tables.events import MailEvent as Row
from store.tables.warmup import WarmupDay

IP = "198.51.100.7"
DAY = 86_400_000
START = 20_000 * DAY
GMAIL = MailboxProvider.GMAIL


def _event(name: str, at: int, **more: Any) -> MailEvent:
    return MailEvent(source="generic", event_id=name, kind=Kind.DELIVERED, address=IP, provider=GMAIL, at_ms=at, **more)


async def _record(db: Database, *batch: MailEvent) -> int:
    async with db.write() as session:
        return len(await events.record(session, batch))


async def _slices(db: Database) -> list[tuple[int, int]]:
    async with db.read() as session:
        rows = (await session.exec(sa.select(Figure).order_by(Figure.slice_ms, Figure.campaign))).scalars()
        return [(row.slice_ms - START, row.delivered) for row in rows]


async def _delivered(db: Database) -> int:
    async with db.read() as session:
        return sum((await events.sums(session, IP, START, START + 9 * DAY)).values(), Figures()).delivered


async def _count(db: Database, table: type) -> int:
    async with db.read() as session:
        return int((await session.exec(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_slices_of_old_days_become_one_row_a_day_and_campaign(db: Database) -> None:
    for n in range(50):
        await _record(db, _event(f"e{n}", START + n * DAY // 16, campaign="spring" if n % 2 else ""))
    edge = START + 2 * DAY + 5
    assert await events_retention.roll_up(db, IP, edge_ms=edge, day_ms=DAY) == 30
    assert [one for one in await _slices(db) if one[0] < 2 * DAY] == [(0, 8), (0, 8), (DAY, 8), (DAY, 8)]
    assert await _delivered(db) == 50
    assert await events_retention.roll_up(db, IP, edge_ms=edge, day_ms=DAY) == 0
    assert await _delivered(db) == 50


async def test_a_late_event_joins_its_day_at_the_next_run(db: Database) -> None:
    await _record(db, _event("a", START + 5_000_000), _event("b", START + 9_000_000))
    await events_retention.roll_up(db, IP, edge_ms=START + DAY, day_ms=DAY)
    await _record(db, _event("late", START + 7_000_000))
    assert await _delivered(db) == 3
    await events_retention.roll_up(db, IP, edge_ms=START + DAY, day_ms=DAY)
    assert await _slices(db) == [(0, 3)]


async def test_days_that_a_running_warm_up_still_reads_stay_in_slices(db: Database) -> None:
    plan = WarmupPlan()
    progress = Progress(plan=plan, started=dt.datetime.fromtimestamp(START / 1000, dt.UTC))
    await _record(db, _event("a", START + 5_000_000))
    async with db.write() as session:
        await warmup.save(session, IP, "run", progress)
        await warmup.add_day(
            session,
            WarmupDay(
                address=IP, run="run", day=0, starts_ms=START - 3_600_000, ends_ms=START + DAY - 3_600_000,
                date="2024-10-04", step=0, cap=50, decision="grow", reason="", after=progress.model_dump(mode="json"),
            ),
        )  # fmt: skip
    assert await events_retention.roll_up(db, IP, edge_ms=START + 9 * DAY, day_ms=DAY) == 0
    async with db.write() as session:
        await warmup.save(session, IP, "run", progress.model_copy(update={"state": WarmupState.COMPLETED}))
    assert await events_retention.roll_up(db, IP, edge_ms=START + 9 * DAY, day_ms=DAY) == 1


async def test_an_event_that_was_dropped_is_still_a_duplicate_until_its_key_goes(db: Database) -> None:
    told = [_event(f"e{n}", START) for n in range(20)]
    assert await _record(db, *told) == 20
    tomorrow = int(time.time()) // 86_400 + 1
    assert await events_retention.drop_events(db, before_day=tomorrow) == 20
    assert await events_retention.drop_events(db, before_day=tomorrow) == 0
    assert await _count(db, Row) == 0
    assert await _record(db, *told) == 0
    assert await events_retention.drop_keys(db, before_us=(int(time.time()) - 60) * 1_000_000, after=("", "")) == (
        0,
        None,
    )
    assert await events_retention.drop_keys(db, before_us=(int(time.time()) + 60) * 1_000_000, after=("", "")) == (
        20,
        None,
    )
    assert await _count(db, EventKey) == 0
    assert await _delivered(db) == 20


async def test_keys_are_walked_in_chunks(db: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(events_retention, "CHUNK", 7)
    await _record(db, *(_event(f"e{n:02}", START) for n in range(20)))
    gone, after, walked = 0, ("", ""), 0
    while True:
        part, following = await events_retention.drop_keys(
            db, before_us=(int(time.time()) + 60) * 1_000_000, after=after
        )
        gone, walked = gone + part, walked + 1
        if following is None:
            break
        after = following
    assert (gone, walked) == (20, 3)


async def test_events_that_wait_for_their_mail_are_bounded_in_number(db: Database) -> None:
    for n in range(6):
        lost = MailEvent("sendgrid", f"b{n}", Kind.BOUNCED, START, message_id=f"m{n}", recipient="a@gmail.com")
        await _record(db, lost)
    async with db.write() as session:
        await session.exec(sa.text("UPDATE unplaced_event SET since_ms = CAST(substr(event_id, 2) AS INTEGER)"))
    assert await events_retention.waiting_edge(db, most=6) is None
    edge = await events_retention.waiting_edge(db, most=4)
    assert edge == 1
    assert await events_retention.drop_waiting(db, before_ms=edge) == 2
    assert await events_retention.waiting_edge(db, most=4) is None
    assert (await _count(db, UnplacedEvent), await _count(db, Row)) == (4, 6), "the longest waiting go, none is lost"
