"""When a listing counts: two looks, of which the second is no cache's echo of the first."""

from __future__ import annotations

import datetime as dt

import pytest

from domain.blocklists import LONGEST_ECHO_SECONDS, ZONES, Outcome, ZoneAnswer, read
from domain.figures import Figures
from domain.reputation import score
from store import reputation as scores
from store.database import Database
from store.tables.events import Figure
from store.tables.ips import Ip

IP = "203.0.113.10"
ZEN = ZONES[0]
GAP = 10.0


def listed(ttl: int) -> ZoneAnswer:
    return read(ZEN, Outcome.ADDRESSES, ["127.0.0.2"], ttl=ttl)


async def look(db: Database, answer: ZoneAnswer) -> tuple[list[ZoneAnswer], float | None]:
    async with db.write() as session:
        return await scores.see(session, IP, [answer], gap_seconds=GAP)


async def pass_time(db: Database, seconds: float) -> None:
    """Listings grow older by so much."""
    async with db.write() as session:
        for row in await scores.listings(session, IP):
            row.first_seen -= dt.timedelta(seconds=seconds)
            session.add(row)


@pytest.mark.parametrize(
    ("ttl", "after", "counts"),
    [
        (0, 5, False),
        (0, 11, True),
        (300, 11, False),
        (300, 299, False),
        (300, 301, True),
        (86_400, 3_500, False),
        (86_400, LONGEST_ECHO_SECONDS + 1, True),
    ],
)
async def test_a_second_look_counts_once_the_first_answer_has_left_the_caches(
    db: Database, ttl: int, after: float, counts: bool
) -> None:
    confirmed, again = await look(db, listed(ttl))
    assert confirmed == []
    assert again == pytest.approx(max(GAP, min(ttl, LONGEST_ECHO_SECONDS)), abs=2)
    await pass_time(db, after)
    confirmed, again = await look(db, listed(max(0, ttl - int(after))))
    assert bool(confirmed) is counts
    assert (again is None) is counts


async def test_a_list_that_saw_an_ip_once_is_named_as_such(db: Database) -> None:
    for confirmed in (False, True):
        await look(db, listed(0))
        async with db.read() as session:
            assert await scores.listed(session, [IP]) == {IP: [(ZEN.name, confirmed)]}
        await pass_time(db, 11)


async def test_looks_in_between_do_not_shorten_the_wait(db: Database) -> None:
    await look(db, listed(300))
    for left in (200, 100, 1):
        await pass_time(db, 90)
        assert (await look(db, listed(left)))[0] == []
    await pass_time(db, 31)
    assert [one.part for one in (await look(db, listed(300)))[0]] == ["SBL"]


async def test_unknown_neither_clears_nor_confirms(db: Database) -> None:
    await look(db, listed(0))
    await pass_time(db, 60)
    assert await look(db, read(ZEN, Outcome.FAILURE, [])) == ([], None)
    assert len((await look(db, listed(0)))[0]) == 1
    assert len((await look(db, read(ZEN, Outcome.FAILURE, [])))[0]) == 1


async def test_a_clean_answer_clears_and_a_new_stay_starts_again(db: Database) -> None:
    await look(db, listed(0))
    await pass_time(db, 60)
    await look(db, listed(0))
    assert await look(db, read(ZEN, Outcome.NXDOMAIN, [])) == ([], None)
    confirmed, again = await look(db, listed(0))
    assert (confirmed, again is None) == ([], False)
    async with db.read() as session:
        assert len(await scores.listings(session, IP, open_only=False)) == 2


async def test_the_trend_has_a_point_when_the_score_changes(db: Database) -> None:
    good = Figures(attempted=5000, delivered=4990, bounced=10)
    clean = [read(zone, Outcome.NXDOMAIN, []) for zone in ZONES]
    async with db.write() as session:
        session.add(Ip(address=IP))
        for confirmed in ([], [], [listed(0)]):
            await scores.write(session, IP, clean, score(clean, confirmed, good, good, good))
    async with db.read() as session:
        points = await scores.trend(session, IP)
        ip = await session.get(Ip, IP)
    assert [point.band for point in points] == ["green", "red"]
    assert ip is not None
    assert (ip.score, ip.band) == (10, "red")


async def test_the_youngest_figure(db: Database) -> None:
    async with db.write() as session:
        assert await scores.figures_until(session, IP) is None
        for at in (900_000, 1_800_000):
            session.add(Figure(address=IP, slice_ms=at, provider="gmail", attempted=1))
        session.add(Figure(address="203.0.113.11", slice_ms=2_700_000, provider="gmail", attempted=1))
        await session.flush()
        assert await scores.figures_until(session, IP) == 1_800_000
