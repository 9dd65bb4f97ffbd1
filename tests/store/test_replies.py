"""Replies are counted once, by their words, and who was written to is not kept with them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from domain.events import Kind, MailEvent
from domain.performance import By
from domain.words import MailboxProvider
from store import events, replies
from store.database import Database
from store.replies import Order, Seen
from store.tables.events import ReplyCount, ReplyPart, ReplyText

IP, OTHER_IP = "198.51.100.7", "198.51.100.8"
DAY = 86_400_000
TODAY = int(time.time() * 1000) // DAY
START = (TODAY - 9) * DAY
BLOCK = "550 5.7.1 [{}] Our system has detected an unusual rate of unsolicited mail originating from your IP, id {}"


def _event(name: str, detail: str, *, at: int = START, **more: Any) -> MailEvent:
    told = {"source": "generic", "event_id": name, "kind": Kind.BLOCKED, "address": IP, "at_ms": at, "detail": detail}
    return MailEvent(**{"provider": MailboxProvider.GMAIL, **told, **more})


async def _record(db: Database, *batch: MailEvent) -> int:
    async with db.write() as session:
        return len(await events.record(session, batch))


async def _seen(db: Database, only: dict[By, str] | None = None, **more: Any) -> list[Seen]:
    async with db.read() as session:
        found = await replies.page(session, 0, TODAY + 1, only or {}, **more)
        await replies.fill_shares(session, found, 0, TODAY + 1, only or {}, 5)
        return found


async def _rows(db: Database, table: type) -> int:
    async with db.read() as session:
        return int((await session.exec(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_replies_that_differ_in_numbers_only_are_one(db: Database) -> None:
    await _record(db, *(_event(f"e{n}", BLOCK.format(IP, n), at=START + n) for n in range(40)))
    (one,) = await _seen(db)
    assert (one.count, one.first_ms, one.last_ms) == (40, START, START + 39)
    assert one.shares[By.IP].parts == [(IP, 40)]
    assert (await _rows(db, ReplyText), await _rows(db, ReplyCount)) == (1, 1)


async def test_an_event_that_arrives_twice_counts_once(db: Database) -> None:
    batch = [_event(f"e{n}", BLOCK.format(IP, n)) for n in range(10)]
    assert await _record(db, *batch, *batch) == 10
    assert await _record(db, *reversed(batch)) == 0
    tries = [
        _event(f"t{n}", "450 4.2.1 try later", kind=Kind.DEFERRED, message_id="m", recipient="ada@example.org")
        for n in range(5)
    ]
    await _record(db, *tries[:2])
    await _record(db, *tries[2:])
    assert sorted(one.count for one in await _seen(db)) == [1, 10]


async def test_good_news_and_empty_words_are_no_replies(db: Database) -> None:
    await _record(
        db,
        _event("d", "250 2.0.0 OK", kind=Kind.DELIVERED),
        _event("a", "HighBounceRate firing", kind=Kind.ALERT),
        _event("b", "", kind=Kind.BOUNCED),
    )
    assert await _seen(db) == []


async def test_counts_are_kept_apart_by_all_that_can_be_asked_for(db: Database) -> None:
    said = BLOCK.format(IP, 1)
    await _record(
        db,
        _event("1", said),
        _event("2", said, address=OTHER_IP, at=START + DAY),
        _event("3", said, provider=MailboxProvider.YAHOO),
        _event("4", said, sender="acme", campaign="spring"),
        _event("5", said, sender="acme", campaign="autumn"),
        _event("6", "552 5.2.2 mailbox full", kind=Kind.FAILED),
    )
    assert await _rows(db, ReplyCount) == 6
    often, rare = await _seen(db)
    assert (often.count, rare.count) == (5, 1)
    assert often.shares[By.IP].parts == [(IP, 4), (OTHER_IP, 1)]
    assert often.shares[By.CAMPAIGN].parts == [("", 3), ("autumn", 1), ("spring", 1)]
    for only, count in (
        ({By.IP: OTHER_IP}, 1),
        ({By.PROVIDER: "yahoo"}, 1),
        ({By.SENDER: "acme"}, 2),
        ({By.SENDER: "acme", By.CAMPAIGN: "spring"}, 1),
        ({By.SENDER: ""}, 3),
    ):
        assert (await _seen(db, only))[0].count == count, only
    async with db.read() as session:
        assert [(one.address, one.count) for one in await replies.by_ip(session, often.id, 0, TODAY, {}, 9)] == [
            (IP, 4), (OTHER_IP, 1),
        ]  # fmt: skip
        assert await replies.by_day(session, often.id, 0, TODAY, {}) == [(TODAY - 9, 4), (TODAY - 8, 1)]
        assert await replies.by_day(session, often.id, TODAY - 8, TODAY, {}) == [(TODAY - 8, 1)]


@pytest.mark.parametrize("asked", [(), (By.IP,), (By.PROVIDER,), (By.SENDER, By.CAMPAIGN), tuple(By)[:3], tuple(By)])
async def test_shares_are_of_the_mail_that_the_filters_let_through(db: Database, asked: tuple[By, ...]) -> None:
    batch = [
        _event(
            f"e{n}",
            ("550 5.1.1 no such user", "552 5.2.2 mailbox full")[n % 2],
            address=(IP, OTHER_IP)[n // 2 % 2],
            provider=(MailboxProvider.GMAIL, MailboxProvider.YAHOO)[n // 4 % 2],
            sender=("shop", "news")[n // 8 % 2],
            campaign=("spring", "autumn")[n // 16 % 2],
        )
        for n in range(60)
    ]
    await _record(db, *batch)
    wanted = {By.IP: IP, By.PROVIDER: "gmail", By.SENDER: "shop", By.CAMPAIGN: "spring"}
    only = {by: wanted[by] for by in asked}
    field = {By.IP: "address", By.PROVIDER: "provider", By.SENDER: "sender", By.CAMPAIGN: "campaign"}
    let = [one for one in batch if all(getattr(one, field[by]) == value for by, value in only.items())]
    seen = await _seen(db, only)
    assert len(seen) == 2
    for reply in seen:
        of_it = [one for one in let if one.detail == reply.example]
        assert reply.count == len(of_it)
        for by in By:
            counted = Counter(str(getattr(one, field[by])) for one in of_it)
            parts = sorted(counted.items(), key=lambda part: (-part[1], part[0]))
            assert (reply.shares[by].parts, reply.shares[by].of) == (parts, len(parts))


async def test_since_when_is_known_beyond_the_days_asked_for_and_events_may_come_late(db: Database) -> None:
    await _record(db, _event("new", BLOCK.format(IP, 1), at=START + 5 * DAY))
    await _record(db, _event("late", BLOCK.format(IP, 2), at=START))
    async with db.read() as session:
        (one,) = await replies.page(session, TODAY - 5, TODAY, {})
    assert (one.count, one.first_ms, one.last_ms) == (1, START, START + 5 * DAY)


async def test_pages_follow_each_other_in_both_orders(db: Database) -> None:
    words = ["alpha", "beta", "gamma", "delta", "eps"]
    await _record(
        db,
        *(
            _event(f"{word}{n}", f"550 {word}", at=START + place)
            for place, word in enumerate(words)
            for n in range(place % 3 + 1)
        ),
    )
    for order in Order:
        whole = [one.id for one in await _seen(db, order=order)]
        walked: list[str] = []
        place = None
        while part := await _seen(db, order=order, after=place, limit=2):
            walked += [one.id for one in part]
            place = (part[-1].count if order is Order.OFTEN else part[-1].last_ms, part[-1].id)
        assert walked == whole
        assert len(walked) == 5
    assert [one.template for one in await _seen(db, order=Order.NEWEST)][0] == "550 eps"


async def test_words_are_searched_as_they_are(db: Database) -> None:
    await _record(db, _event("1", "550 Disk 100% full"), _event("2", "550 disk is full"))
    assert [one.example for one in await _seen(db, words="100% F")] == ["550 Disk 100% full"]
    assert await _seen(db, words="dis_") == []


@pytest.mark.parametrize("batches", [1, 24])
async def test_who_was_written_to_is_not_kept_and_makes_no_row_of_its_own(db: Database, batches: int) -> None:
    names = ["Ada.Lovelace", "grace-hopper", "Margaret.Hamilton", "katherine_j", "radia", "BARBARA"] * 4
    told = [
        _event(
            f"e{n}",
            f"550 5.1.1 <{name}@Firm{chr(97 + n)}.Example>: User {name} unknown at mx.firm{chr(97 + n)}.example",
            kind=Kind.BOUNCED,
            recipient=f"{name}@firm{chr(97 + n)}.example",
        )
        for n, name in enumerate(names)
    ]
    for part in range(batches):
        await _record(db, *told[part::batches])
    (one,) = await _seen(db)
    assert one.count == 24
    assert one.template == "550 5.1.1 <addr>: user <addr> unknown at <domain>"
    async with db.read() as session:
        (row,) = (await session.exec(sa.select(ReplyText))).scalars()
    kept = " ".join(map(str, row.model_dump().values())).lower()
    assert not [name for name in names if name.lower() in kept]


async def test_an_event_of_tomorrow_counts_today(db: Database) -> None:
    await _record(db, _event("f", BLOCK.format(IP, 1), at=(TODAY + 400) * DAY))
    async with db.read() as session:
        ((day, count),) = await replies.by_day(session, (await _seen(db))[0].id, 0, TODAY + 999, {})
    assert TODAY <= day <= TODAY + 1
    assert count == 1


async def test_old_counts_go_in_chunks_and_a_text_goes_with_its_last_count(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "CHUNK", 3)
    await _record(
        db,
        *(_event(f"o{n}", "550 old", at=START, campaign=f"c{n}") for n in range(7)),
        _event("both-old", "550 both", at=START),
        _event("both-new", "550 both", at=START + 5 * DAY),
    )
    gone = []
    while part := await replies.drop(db, before_day=TODAY - 8):
        gone.append(part)
    assert gone == [3] * 7 + [2]
    (left,) = await _seen(db)
    assert (left.template, left.count, left.first_ms) == ("550 both", 1, START)
    assert (await _rows(db, ReplyText), await _rows(db, ReplyCount), await _rows(db, ReplyPart)) == (1, 1, 5)
    await _record(db, _event("again", "550 old", at=START + 5 * DAY))
    assert len(await _seen(db)) == 2


async def test_writers_side_by_side_lose_nothing(db: Database) -> None:
    async def writer(number: int) -> None:
        for n in range(5):
            batch = [_event(f"{number}-{n}-{k}", f"550 words {chr(97 + k)}") for k in range(9)]
            await _record(db, *(batch if (number + n) % 2 else batch[::-1]))

    await asyncio.gather(*map(writer, range(3)))
    assert sorted(one.count for one in await _seen(db)) == [15] * 9
    async with db.read() as session:
        total = await (await session.connection()).execute(sa.select(sa.func.sum(col(ReplyCount.count))))
        assert total.scalar_one() == 135


async def test_the_sums_by_one_column_are_those_of_the_counts(db: Database) -> None:
    words, ips, campaigns = ("550 one", "550 two", "550 three"), (IP, OTHER_IP, ""), ("a", "b", "")
    for part in range(4):
        await _record(
            db,
            *(
                _event(
                    f"{part}-{n}", words[n % 3], at=START + n % 5 * DAY + n, address=ips[n // 2 % 3],
                    campaign=campaigns[n // 3 % 3], sender=f"s{n % 2}",
                )
                for n in range(part, 60)
            ),
        )  # fmt: skip
    async with db.read() as session:
        connection = await session.connection()
        for by, column in {
            "": "''",
            **dict(zip(By, ("address", "provider", "sender", "campaign"), strict=True)),
        }.items():
            counted = await connection.execute(
                sa.text(
                    f"SELECT reply, day, {column}, SUM(count), MAX(last_ms) FROM reply_count "
                    f"GROUP BY reply, day{', ' + column if by else ''} ORDER BY 1, 2, 3"
                )
            )
            summed = await connection.execute(
                sa.text("SELECT reply, day, name, count, last_ms FROM reply_part WHERE part = :part ORDER BY 1, 2, 3"),
                {"part": str(by)},
            )
            assert [tuple(row) for row in summed] == [(*row[:3], *map(int, row[3:])) for row in counted] != []
