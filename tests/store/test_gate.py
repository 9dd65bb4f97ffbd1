"""When what a gate holds in memory is no longer good."""

from __future__ import annotations

import pytest

from domain.routing import Exit
from domain.words import MailboxProvider
from store import gate, ledger
from store.database import Database

GMAIL = MailboxProvider.GMAIL
DAY = 86_400_000
START = 20_000 * DAY
NOON = START + DAY // 2
IP = "198.51.100.7"


async def _caps(db: Database, cap: int, gmail: int | None = None, hourly: int = 0, starts: int = START) -> None:
    own = {} if gmail is None else {GMAIL: gmail}
    async with db.write() as session:
        await ledger.set_window(session, IP, starts, starts + DAY, cap, own, hourly)


@pytest.mark.parametrize(
    ("cap", "gmail", "hourly", "back"),
    [
        (100, 50, 20, False),
        (10, 10, 10, False),  # cut to what is granted
        (9, 10, 10, True),
        (100, 9, 20, True),
        (100, 50, 9, True),
    ],
)
async def test_a_block_goes_back_when_a_cap_is_cut_below_what_is_granted(
    db: Database, cap: int, gmail: int, hourly: int, back: bool
) -> None:
    await _caps(db, 100, 50, 50)
    async with db.write() as session:
        block = await gate.take(session, Exit(IP), GMAIL, 10, NOON, 86_400.0)
    assert not isinstance(block, gate.Refusal)
    assert block.left == 10
    await _caps(db, cap, gmail, hourly)
    async with db.read() as session:
        assert await gate.outdated(session, [block], NOON) == ({IP} if back else set())


async def test_a_block_goes_back_when_its_ip_is_paused_or_its_day_is_over(db: Database) -> None:
    await _caps(db, 100)
    async with db.write() as session:
        block = await gate.take(session, Exit(IP), GMAIL, 10, NOON, 86_400.0)
    assert not isinstance(block, gate.Refusal)
    async with db.read() as session:
        assert await gate.outdated(session, [block], NOON) == set()
        assert await gate.outdated(session, [block], NOON + DAY) == {IP}, "no window covers it any more"
    async with db.write() as session:
        await ledger.set_paused(session, IP, True, "listed")
    async with db.read() as session:
        assert await gate.outdated(session, [block], NOON) == {IP}
    async with db.write() as session:
        await ledger.set_paused(session, IP, False, "")
    await _caps(db, 100, starts=START + DAY)
    async with db.read() as session:
        assert await gate.outdated(session, [block], NOON + DAY) == {IP}, "a new day has begun"
