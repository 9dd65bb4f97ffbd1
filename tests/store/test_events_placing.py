"""Bounces and complaints that come before their mail: in whatever order, the sums are the same."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import Kind, MailEvent
from domain.warmup import slice_ms
from domain.words import MailboxProvider
from store import events, events_placing
from store.database import Database
from store.tables.events import UnplacedEvent

DAY = 86_400_000
START = 20_000 * DAY
IP = "198.51.100.7"
UNKNOWN = "550 5.1.1 no such user"


def _event(name: str, kind: Kind, at: int = START, **more: Any) -> MailEvent:
    given = {"provider": MailboxProvider.GMAIL, "message_id": "m1", "recipient": "a@gmail.com"}
    return MailEvent(source="sendgrid", event_id=name, kind=kind, at_ms=at, **{**given, **more})


def _mail(**more: Any) -> MailEvent:
    return _event("d", Kind.DELIVERED, address=IP, **more)


async def _record(db: Database, *batch: MailEvent) -> None:
    async with db.write() as session:
        await events.record(session, batch)


class Told:
    """Who must hear of events; keeps those that he heard of."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def __call__(self, session: AsyncSession, new: Sequence[MailEvent]) -> None:
        self.ids += [one.event_id for one in new]


async def _place(db: Database, then: events_placing.Then | None = None, *, later: int = DAY) -> None:
    """Look as often as there is something to look at, so many milliseconds after now."""
    now_ms = await _now(db) + later
    while (
        await events_placing.step(db, then or Told(), slice_ms=slice_ms(86_400), kept_ms=14 * DAY, now_ms=now_ms)
        == events_placing.STEP
    ):
        pass


async def _now(db: Database) -> int:
    return int((await _rows(db, "SELECT MAX(received_us) FROM event_key"))[0][0]) // 1000


async def _rows(db: Database, query: str) -> list[tuple[Any, ...]]:
    async with db.read() as session:
        return [tuple(row) for row in await (await session.connection()).execute(sa.text(query))]


async def _sums(db: Database) -> list[tuple[Any, ...]]:
    return await _rows(
        db,
        "SELECT address, slice_ms, campaign, delivered, bounced, complained FROM figure "
        "WHERE delivered + bounced + complained <> 0 ORDER BY address, slice_ms, campaign",
    )


def _story(number: int) -> list[MailEvent]:
    """One mail that was sent, taken and returned, another one that was complained about; twice what may come twice."""
    first = {"message_id": f"m{number}", "campaign": "spring"}
    only = {"message_id": f"m{number}"}
    return [
        _event(f"s{number}", Kind.SENT, START, **first),
        _event(f"d{number}", Kind.DELIVERED, START + DAY, address=f"2001:db8::{number:x}", **first),
        _event(f"b{number}", Kind.BOUNCED, START + 2 * DAY, detail=UNKNOWN, reply_class="unknown_user", **only),
        _event(f"c{number}", Kind.COMPLAINED, START + 3 * DAY, **only),
        _event(f"again c{number}", Kind.COMPLAINED, START + 4 * DAY, **only),
    ]


@pytest.mark.parametrize("between", [True, False])
async def test_every_order_of_a_mail_and_what_became_of_it_makes_the_same_sums(db: Database, *, between: bool) -> None:
    stories = [[_story(n)[at] for at in order] for n, order in enumerate(itertools.permutations(range(5)))]
    for day, turn in enumerate(zip(*stories, strict=True), start=1):
        await _record(db, *turn)
        if between:
            await _place(db, later=day * DAY)
    await _record(db, *(event for n in range(len(stories)) for event in _story(n)))
    await _place(db, later=7 * DAY)
    wanted = []
    for n in range(len(stories)):
        wanted += [(f"2001:db8::{n:x}", START, "spring", 0, 1, 1), (f"2001:db8::{n:x}", START + DAY, "spring", 1, 0, 0)]
    assert await _sums(db) == sorted(wanted)
    assert await _rows(db, "SELECT * FROM unplaced_event") == []
    replies = await _rows(db, "SELECT address, campaign, count FROM reply_count")
    assert sorted(replies) == sorted((f"2001:db8::{n:x}", "spring", 1) for n in range(len(stories)))
    parts = await _rows(db, "SELECT part, SUM(count) FROM reply_part GROUP BY part ORDER BY part")
    assert parts == [(part, 120) for part in ("", "campaign", "ip", "provider", "sender")]
    assert await _rows(db, "SELECT COUNT(*) FROM reply_part WHERE part = 'ip' AND name = ''") == [(0,)]
    nowhere = "SELECT COUNT(*) FROM mail_event WHERE address = '' AND kind = 'bounced'"
    assert await _rows(db, nowhere) == [(0,)]


async def test_what_fails_in_between_changes_nothing_and_is_told_once_afterwards(db: Database) -> None:
    await _record(db, _event("b", Kind.BLOCKED, detail="550 5.7.1 your IP is blocked"))
    await _record(db, _mail())
    before = await _sums(db), await _rows(db, "SELECT * FROM unplaced_event")

    async def fails(session: AsyncSession, new: Sequence[MailEvent]) -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await _place(db, fails)
    assert (await _sums(db), await _rows(db, "SELECT * FROM unplaced_event")) == before
    told = Told()
    await _place(db, told)
    await _place(db, told)
    assert told.ids == ["b"]
    assert await _rows(db, "SELECT address, SUM(blocked) FROM figure GROUP BY address") == [(IP, 1)]


async def test_many_at_once_place_each_event_once(db: Database) -> None:
    names = [f"m{n}" for n in range(3 * events_placing.STEP)]
    await _record(db, *(_event(f"c{n}", Kind.COMPLAINED, message_id=n, recipient=f"{n}@gmail.com") for n in names))
    await _record(db, *(_mail(message_id=n, recipient=f"{n}@gmail.com", once=n) for n in names))
    told = Told()
    await asyncio.gather(*(_place(db, told) for _ in range(3)))
    await _place(db, told)
    assert sorted(told.ids) == sorted(f"c{n}" for n in names)
    assert await _sums(db) == [(IP, START, "", len(names), 0, len(names))]


async def test_a_complaint_that_names_its_ip_moves_to_the_day_its_mail_was_sent(db: Database) -> None:
    await _record(db, _event("c", Kind.COMPLAINED, START + 3 * DAY, address=IP))
    assert await _sums(db) == [(IP, START + 3 * DAY, "", 0, 0, 1)]
    await _place(db)
    await _record(db, _mail(campaign="spring"))
    told = Told()
    await _place(db, told, later=3 * DAY)
    assert await _sums(db) == [(IP, START, "spring", 1, 0, 1)]
    assert told.ids == [], "it had its IP from the start"


async def test_what_was_summed_to_its_day_long_ago_stays_there(db: Database) -> None:
    await _record(db, _event("c", Kind.COMPLAINED, START + 3 * DAY, address=IP), _event("d", Kind.DELIVERED, START))
    async with db.write() as session:
        await (await session.connection()).execute(sa.text("UPDATE figure SET slice_ms = slice_ms - 1"))
    await _record(db, _mail(once="x"))
    await _place(db)
    assert await _rows(db, "SELECT SUM(complained) FROM figure") == [(1,)]
    assert await _rows(db, "SELECT COUNT(*) FROM figure WHERE complained < 0") == [(0,)]


async def test_a_mail_that_nobody_tells_of_is_sought_less_and_less_and_not_for_ever(db: Database) -> None:
    await _record(db, _event("c", Kind.COMPLAINED))
    now = await _now(db)
    waits = []
    for _ in range(400):
        await _place(db, later=now - await _now(db))
        rows = await _rows(db, "SELECT due_ms FROM unplaced_event")
        if not rows:
            break
        waits.append(rows[0][0] - now)
        now = rows[0][0]
    assert waits[:4] == [2_000, 2_000, 4_000, 8_000]
    assert max(waits) == events_placing.LATEST_MS
    assert sum(waits) == 14 * DAY
    assert await _rows(db, "SELECT COUNT(*) FROM mail_event WHERE kind = 'complained'") == [(1,)]


async def test_words_that_no_database_stores_wait_like_others(db: Database) -> None:
    odd = {"message_id": "m\0\ud800", "recipient": "a@gmail.com"}
    await _record(db, _event("b", Kind.BOUNCED, detail=f"{UNKNOWN} \0 \ud800" + "x" * 5_000, **odd))
    await _record(db, _mail(**odd))
    await _place(db)
    assert await _sums(db) == [(IP, START, "", 1, 1, 0)]
    assert await _rows(db, "SELECT address, count FROM reply_count") == [(IP, 1)]


@pytest.mark.parametrize(("source", "waiting"), [("postmark", 0), ("sendgrid", 2)])
async def test_where_all_events_of_a_mail_name_its_ip_or_none_does_nothing_waits(
    db: Database, source: str, waiting: int
) -> None:
    batch = [_event(kind, kind, message_id="m") for kind in (Kind.DELIVERED, Kind.BOUNCED)]
    await _record(db, *(dataclasses.replace(one, source=source) for one in batch))
    async with db.read() as session:
        count = sa.select(sa.func.count()).select_from(UnplacedEvent)
        assert (await session.exec(count)).scalar_one() == waiting


async def test_an_attempt_without_an_ip_waits_for_nothing_and_its_result_is_the_attempt(db: Database) -> None:
    await _record(db, _event("s", Kind.SENT))
    async with db.read() as session:
        assert (await session.exec(sa.select(sa.func.count()).select_from(UnplacedEvent))).scalar_one() == 0
    await _record(db, _mail())
    await _place(db)
    async with db.read() as session:
        (sums,) = (await events.sums(session, IP, START, START + DAY)).values()
    assert (sums.attempted, sums.delivered) == (1, 1)
