"""Each event counts once, in the slice and for the provider it belongs to."""

from __future__ import annotations

import time
from random import Random
from typing import Any

from domain.events import Kind, MailEvent
from domain.figures import Figures
from domain.words import MailboxProvider
from store import events
from store.database import Database

IP = "198.51.100.7"
DAY = 86_400_000
START = 20_000 * DAY
GMAIL, YAHOO = MailboxProvider.GMAIL, MailboxProvider.YAHOO


def _event(name: str, kind: Kind, at: int = START, **more: Any) -> MailEvent:
    told = {"source": "generic", "event_id": name, "kind": kind, "address": IP, "provider": GMAIL, "at_ms": at}
    return MailEvent(**{**told, **more})


async def _record(db: Database, *batch: MailEvent) -> int:
    async with db.write() as session:
        return len(await events.record(session, batch))


async def _sums(db: Database, start: int = START, end: int = START + DAY) -> dict[MailboxProvider, Figures]:
    async with db.read() as session:
        return await events.sums(session, IP, start, end)


async def test_the_same_event_twice_counts_once(db: Database) -> None:
    batch = [_event(f"e{n}", Kind.SENT) for n in range(50)] + [
        _event("d", Kind.DELIVERED),
        _event("d", Kind.DELIVERED),
    ]
    assert await _record(db, *batch) == 51
    assert await _record(db, *batch, _event("b", Kind.BOUNCED)) == 1
    assert await _sums(db) == {GMAIL: Figures(attempted=50, delivered=1, bounced=1)}


async def test_a_recipient_deferred_again_and_again_is_one_deferral(db: Database) -> None:
    tries = [_event(f"t{n}", Kind.DEFERRED, START + n, message_id="m", recipient="a@gmail.com") for n in range(5)]
    await _record(db, *tries[:2])
    await _record(db, *tries[2:], _event("other", Kind.DEFERRED, message_id="m", recipient="b@gmail.com"))
    assert (await _sums(db))[GMAIL].deferred == 2


async def test_who_was_deferred_was_tried_even_if_the_source_tells_no_attempts(db: Database) -> None:
    late = [_event(f"d{n}", Kind.DEFERRED, message_id=f"m{n}", recipient="a@gmail.com") for n in range(3)]
    await _record(db, *late, _event("ok", Kind.DELIVERED, message_id="m0", recipient="a@gmail.com"))
    assert await _sums(db) == {GMAIL: Figures(attempted=3, delivered=1, deferred=3)}


async def test_a_complaint_is_booked_on_the_day_the_mail_was_sent(db: Database) -> None:
    await _record(db, _event("c", Kind.COMPLAINED, START + 3 * DAY, sent_ms=START + 5))
    assert (await _sums(db))[GMAIL].complained == 1
    assert not await _sums(db, START + DAY, START + 9 * DAY)


async def test_a_source_whose_clock_is_ahead_books_nothing_on_a_day_to_come(db: Database) -> None:
    now = time.time_ns() // 1_000_000
    await _record(db, _event("a", Kind.DELIVERED, now + 3_600_000), _event("b", Kind.DELIVERED, now + 400 * DAY))
    assert (await _sums(db, now - DAY, now + 900_000))[GMAIL].delivered == 2


async def test_sums_keep_providers_and_days_apart(db: Database) -> None:
    await _record(
        db,
        _event("1", Kind.DELIVERED, START - 1),
        _event("2", Kind.DELIVERED),
        _event("3", Kind.BLOCKED, provider=YAHOO),
        _event("4", Kind.OPENED),
        _event("5", Kind.DELIVERED, START + DAY),
    )
    assert await _sums(db) == {
        GMAIL: Figures(attempted=1, delivered=1, opened=1),
        YAHOO: Figures(attempted=1, blocked=1),
    }


async def test_text_that_no_database_stores_is_cleaned_not_refused(db: Database) -> None:
    assert await _record(db, _event("nul\0", Kind.BOUNCED, detail="a\0b \ud800")) == 1


async def test_texts_longer_than_an_index_takes_are_stored_and_known_again(db: Database) -> None:
    random = Random(1)
    long = "".join(chr(random.randrange(0x4E00, 0x9FFF)) for _ in range(9_000))
    batch = [
        _event(long, Kind.DELIVERED, message_id=long, recipient=long, detail=long),
        _event(long + "2", Kind.DEFERRED, message_id=long, recipient=long, detail=long),
    ]
    assert await _record(db, *batch) == 2
    assert await _record(db, *batch) == 0


async def test_complaints_of_a_mail_are_never_more_than_its_candidates(db: Database) -> None:
    def told(number: int, **more: Any) -> MailEvent:
        one = {"source": "ses", "message_id": "m1", "recipient": "a@gmail.com", "candidates": 2, **more}
        return _event(f"f{number}", Kind.COMPLAINED, **one)

    for batch in ([told(1)], [told(1)], [told(2), told(3), told(4, message_id="m2")], [told(5)]):
        await _record(db, *batch)
    assert (await _sums(db))[GMAIL].complained == 3, "two of m1, whoever tells them, and one of m2"
