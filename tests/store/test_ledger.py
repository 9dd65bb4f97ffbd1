"""Caps hold, whoever spends, and a refusal says which one was met."""

from __future__ import annotations

import asyncio

import pytest

from api import leases as api_leases
from domain.blocks import Block
from domain.refusals import Refused
from domain.routing import Exit
from domain.words import MailboxProvider, Stage
from store import gate, leases, ledger, senders
from store.database import Database
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow
from tests.spending import spend

GMAIL, YAHOO = MailboxProvider.GMAIL, MailboxProvider.YAHOO
DAY = 86_400_000
START = 20_000 * DAY
NOON = START + DAY // 2
FIRST, SECOND, SPARE = "198.51.100.7", "198.51.100.8", "203.0.113.5"


async def _ip(db: Database, address: str, pool: str = "default", stage: Stage = Stage.WARMING) -> None:
    async with db.write() as session:
        session.add(Ip(address=address, pool=pool, stage=stage, safe_limit=30))


async def _window(db: Database, address: str, cap: int, gmail: int | None = None, hourly: int = 0) -> None:
    own = {} if gmail is None else {GMAIL: gmail}
    async with db.write() as session:
        await ledger.set_window(session, address, START, START + DAY, cap, own, hourly)


async def _lease(db: Database, count: int, *, at: int = NOON, **whose: str) -> leases.Lease:
    async with db.write() as session:
        return await leases.lease(session, provider=GMAIL, count=count, at_ms=at, **whose)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cap", "gmail", "hourly", "most"),
    [(100, None, 0, 100), (100, 40, 0, 40), (100, 60, 20, 12), (100, None, 20, 20)],
)
async def test_sixteen_at_once_never_pass_a_cap(
    db: Database, cap: int, gmail: int | None, hourly: int, most: int
) -> None:
    await _window(db, FIRST, cap, gmail, hourly)

    async def spender() -> int:
        got = 0
        for _ in range(6):
            async with db.write() as session:
                got += (await spend(session, FIRST, GMAIL, 7, NOON))[0]
        return got

    granted = await asyncio.gather(*(spender() for _ in range(16)))
    assert sum(granted) == most
    async with db.read() as session:
        row = await ledger.window(session, FIRST, NOON)
    assert row is not None
    assert row.granted == row.granted_gmail == most


async def test_the_hourly_cap_opens_again_and_the_day_closes(db: Database) -> None:
    await _window(db, FIRST, 25, hourly=10)
    hour = DAY // 24
    async with db.write() as session:
        got = [(await spend(session, FIRST, YAHOO, 50, START + n * hour))[0] for n in range(5)]
        after = await spend(session, FIRST, YAHOO, 50, START + DAY)
    assert got == [10, 10, 5, 0, 0]
    assert after == (0, 0)


async def test_a_cap_written_again_keeps_what_was_granted(db: Database) -> None:
    await _window(db, FIRST, 50)
    async with db.write() as session:
        await spend(session, FIRST, GMAIL, 30, NOON)
    await _window(db, FIRST, 35)
    async with db.write() as session:
        assert (await spend(session, FIRST, GMAIL, 30, NOON))[0] == 5


async def test_a_pause_stops_at_the_next_question_and_in_windows_made_later(
    db: Database,
) -> None:
    await _ip(db, FIRST)
    async with db.write() as session:
        await ledger.set_paused(session, FIRST, True, "listed on zen.spamhaus.org")
    await _window(db, FIRST, 50)
    refused = await _lease(db, 5, pool="default")
    assert not refused.grants
    assert refused.reason == f"{FIRST} is paused: listed on zen.spamhaus.org"
    async with db.write() as session:
        # By the statement itself: whoever asked before he heard of the pause gets nothing, either.
        assert await ledger.book(session, FIRST, GMAIL, 1, NOON) is None
        await ledger.set_paused(session, FIRST, False, "")
    assert sum(grant.count for grant in (await _lease(db, 5, pool="default")).grants) == 5


async def test_a_pool_spreads_then_overflows_and_says_why(db: Database) -> None:
    for address in (FIRST, SECOND):
        await _ip(db, address, "main")
        await _window(db, address, 20, gmail=8)
    await _ip(db, SPARE, "spare", Stage.FULL_CAPACITY)
    await _window(db, SPARE, 20, gmail=8)
    await _ip(db, "203.0.113.6", "spare")
    await _window(db, "203.0.113.6", 20)
    async with db.write() as session:
        await senders.put_pool(session, "spare", None)
        await senders.put_pool(session, "main", "spare")
        await senders.add_sender(session, "acme", "main")
    spread = await _lease(db, 10, sender="acme")
    assert {grant.ip: grant.count for grant in spread.grants} == {FIRST: 5, SECOND: 5}
    rest = await _lease(db, 20, pool="main")
    assert {grant.ip: grant.count for grant in rest.grants} == {
        FIRST: 3,
        SECOND: 3,
        SPARE: 8,
    }
    assert rest.deferred == 6
    assert f"daily cap of {FIRST} for gmail reached, 8 of 8; resumes 00:00 UTC" in rest.reason


def test_counts_are_grouped_in_what_a_cap_says() -> None:
    full = LedgerWindow(address=FIRST, starts_ms=0, ends_ms=86_400_000, cap=12_000, granted=12_000, hourly_cap=0)
    said = ledger.why(FIRST, MailboxProvider.GMAIL, full, 1)
    assert said == f"daily cap of {FIRST} reached, 12,000 of 12,000; resumes 00:00 UTC"


async def test_an_ip_at_full_capacity_has_its_safe_limit_each_day(db: Database) -> None:
    await _ip(db, FIRST, stage=Stage.FULL_CAPACITY)
    assert (await _lease(db, 50, pool="default")).deferred == 20
    assert (await _lease(db, 50, at=NOON + DAY, pool="default")).deferred == 20


async def test_pools_in_a_circle_are_refused(db: Database) -> None:
    async with db.write() as session:
        await senders.put_pool(session, "a", None)
        await senders.put_pool(session, "b", "a")
    with pytest.raises(Refused, match="a -> b -> a"):
        async with db.write() as session:
            await senders.put_pool(session, "a", "b")


async def test_hours_of_providers_open_and_close_with_the_day(db: Database) -> None:
    await _window(db, FIRST, 25, gmail=10, hourly=5)
    hour = DAY // 24
    async with db.write() as session:
        got = [(await spend(session, FIRST, GMAIL, 50, START + n * hour))[0] for n in (0, 0, 1, 2, 3, 4, 5)]
        yahoo = [(await spend(session, FIRST, YAHOO, 50, START + 5 * hour))[0] for _ in range(2)]
    assert got == [2, 0, 2, 2, 2, 2, 0]
    assert yahoo == [5, 0]


async def test_a_clock_that_is_behind_opens_no_closed_hour(db: Database) -> None:
    await _window(db, FIRST, 100, hourly=10)
    hour = DAY // 24
    async with db.write() as session:
        got = [(await spend(session, FIRST, GMAIL, 50, START + at))[0] for at in (hour, hour - 1, hour)]
    assert got == [10, 0, 0]


async def test_a_block_given_back_after_its_hour_frees_nothing_of_the_present_one(db: Database) -> None:
    await _window(db, FIRST, 100, hourly=10)
    hour = DAY // 24
    async with db.write() as session:
        block = await gate.take(session, Exit(FIRST), GMAIL, 8, START, 86_400.0)
        assert isinstance(block, Block)
        assert (await spend(session, FIRST, GMAIL, 50, START + hour))[0] == 10
        assert await gate.give_back(session, [block]) == 8
        assert (await spend(session, FIRST, GMAIL, 50, START + hour)) == (0, 0)
        row = await ledger.window(session, FIRST, START)
    assert row is not None
    assert (row.granted, row.granted_gmail, row.hour_granted) == (10, 10, 10)


async def test_a_block_given_back_within_its_hour_is_free_in_that_hour_again(db: Database) -> None:
    await _window(db, FIRST, 100, gmail=100, hourly=10)
    async with db.write() as session:
        block = await gate.take(session, Exit(FIRST), GMAIL, 8, START, 86_400.0)
        assert isinstance(block, Block)
        assert await gate.give_back(session, [block]) == block.left
        assert (await spend(session, FIRST, GMAIL, 50, START))[0] == 10
        row = await ledger.window(session, FIRST, START)
    assert row is not None
    assert (row.granted, row.hour_granted, row.hour_gmail) == (10, 10, 10)


async def test_what_is_left_is_told_by_the_tightest_limit(db: Database) -> None:
    await _window(db, FIRST, 25, gmail=10, hourly=5)
    async with db.write() as session:
        booked = await ledger.book(session, FIRST, GMAIL, 1, START)
        assert booked is not None
        assert booked.left.room == 1, "gmail's part of an hour is 2"
        row = await ledger.window(session, FIRST, START)
        assert row is not None
        assert ledger.allowance(row, GMAIL, START).room == 1


async def test_windows_do_not_overlap_and_what_a_later_one_granted_counts(db: Database) -> None:
    await _window(db, FIRST, 50)
    async with db.write() as session:
        await spend(session, FIRST, GMAIL, 30, NOON)
        await ledger.set_window(session, FIRST, START - DAY // 24, START + DAY * 23 // 24, 40, {}, 0)
        got = [(await spend(session, FIRST, GMAIL, 30, at))[0] for at in (NOON, START + DAY - 1)]
    assert got == [10, 0]


async def test_trouble_that_is_not_critical_takes_the_safe_limit_from_no_ip(db: Database) -> None:
    async with db.write() as session:
        session.add(Ip(address=FIRST, stage=Stage.AT_RISK, stage_before=Stage.FULL_CAPACITY, safe_limit=30))
        session.add(Ip(address=SECOND, stage=Stage.AT_RISK, stage_before=Stage.WARMING, safe_limit=30))
    async with db.snapshot() as session:
        routes = await gate.routes(session)
    assert {address: one.warm for address, one in routes.exits.items()} == {FIRST: True, SECOND: False}


async def test_the_ip_with_the_largest_part_of_its_cap_left_is_leased_first(db: Database) -> None:
    for address, cap in ((FIRST, 20), (SECOND, 10)):
        await _ip(db, address)
        await _window(db, address, cap)
    async with db.write() as session:
        await spend(session, FIRST, GMAIL, 5, NOON)
        await spend(session, SECOND, GMAIL, 2, NOON)
    got = [(await _lease(db, 1, pool="default")).grants[0].ip for _ in range(4)]
    # 15 of 20 and 8 of 10; then 7 of 10; then 14 of 20 and 7 of 10, where the address decides.
    assert got == [SECOND, FIRST, FIRST, SECOND]
    assert {one.ip: one.count for one in (await _lease(db, 100, pool="default")).grants} == {FIRST: 13, SECOND: 6}


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_two_apis_that_lease_several_ips_do_not_wait_for_each_other_in_a_circle(db: Database) -> None:
    addresses = [f"198.51.100.{one}" for one in range(1, 7)]
    for address in addresses:
        await _ip(db, address)
        await _window(db, address, 1000)

    async def batch(order: list[str]) -> int:
        questions = [api_leases.Question(GMAIL, 1, NOON, ip=one) for one in order]
        answers = await asyncio.gather(*(api.ask(one) for api in [api_leases.Leases(db, 86_400)] for one in questions))
        return sum(grant.count for one in answers for grant in one.grants)

    for _ in range(10):
        assert await asyncio.gather(batch(addresses), batch(addresses[::-1])) == [6, 6]


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_a_snapshot_sees_one_instant(db: Database) -> None:
    await _ip(db, FIRST)
    async with db.snapshot() as session:
        assert (await session.get(Ip, FIRST)) is not None
        await _ip(db, SECOND)
        assert set((await gate.routes(session)).exits) == {FIRST}
    async with db.snapshot() as session:
        assert set((await gate.routes(session)).exits) == {FIRST, SECOND}


@pytest.mark.parametrize(
    ("hourly", "at", "ends"),
    [
        (0, NOON, START + DAY),
        (10, NOON + 60_000, NOON + DAY // 24),  # kept for later it would be sent on top of the next hour's own
        (10, NOON + DAY // 24 - 1000, NOON + DAY // 24 + 4000),  # a moment to send it in
        (10, START + DAY - 1000, START + DAY),  # never past the day
    ],
)
async def test_a_lease_ends_with_what_caps_it(db: Database, hourly: int, at: int, ends: int) -> None:
    await _ip(db, FIRST)
    await _window(db, FIRST, 100, hourly=hourly)
    assert [one.expires_ms for one in (await _lease(db, 5, at=at, ip=FIRST)).grants] == [ends]
