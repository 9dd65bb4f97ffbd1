"""A gate comes back by itself, however its store was lost, and leases nothing while a pause may pass unheard."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest
import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.blocks import Block
from domain.routing import Exit, Scope
from domain.words import MailboxProvider
from gate import desk, service
from gate.desk import Desk, Key, Need
from gate.lessor import Ask, Lessor
from gate.service import Gate
from settings import Settings
from store import gate as repository
from store import ledger, pauses, senders
from store.database import Database
from tests.gate.conftest import DAY, Client, inventory, until, url_of
from tests.gate.processes import Proxy

Start = Callable[..., Awaitable[tuple[Gate, Settings]]]
FIRST = "198.51.100.7"
GMAIL = MailboxProvider.GMAIL


async def _acme(db: Database, cap: int = 5000) -> None:
    await inventory(db, {FIRST: cap})
    async with db.write() as session:
        await senders.add_sender(session, "acme", "main", ["acme.example"])


async def _rename(db: Database, old: str, new: str) -> None:
    async with db.write() as session:
        await (await session.connection()).execute(sa.text(f"ALTER TABLE {old} RENAME TO {new}"))


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_a_gate_that_nobody_asks_is_ready_again_once_its_store_answers(db: Database, start: Start) -> None:
    await _acme(db)
    gate, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    await _rename(db, "ledger_window", "away")
    assert "the caps cannot be read" in await client.ask("a@gmail.com", instance="1")
    assert gate._trouble()
    await _rename(db, "away", "ledger_window")
    # A gate that is not ready gets no mail: no question may be needed to find out.
    await until(lambda: not gate._trouble(), 5)
    assert (await client.ask("a@gmail.com", instance="2")).startswith("FILTER")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_a_question_whose_worker_was_lost_is_taken_up_by_the_next(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _acme(db)
    memory, need = Desk(), Need(Exit(FIRST, "main"), GMAIL)
    lessor = Lessor(db, memory, 86_400)
    monkeypatch.setattr(lessor, "_take", _lost)
    ask = lessor._join(need, 1)
    lessor._asks[FIRST, GMAIL] = ask  # came while the worker was on its way out
    await until(lambda: lessor._at_work == 0)
    monkeypatch.undo()
    lessor._asks[FIRST, GMAIL] = type(ask)(need.exit)
    await asyncio.wait_for(lessor.lease(need), 5)
    assert memory.blocks


async def _lost(*_: object) -> None:
    raise asyncio.CancelledError


@pytest.fixture
async def proxy(db: Database) -> AsyncIterator[tuple[Proxy, str]]:
    """Between the gate and its store, and the URL of the store behind it."""
    port = db.reader.url.port
    assert port is not None
    made = Proxy(port)
    await made.start()
    yield made, url_of(db).replace(f":{port}/", f":{made.port}/")
    await made.stop()


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_connections_that_fall_silent_keep_no_pause_from_a_gate_for_long(
    db: Database, proxy: tuple[Proxy, str], start: Start
) -> None:
    between, url = proxy
    await _acme(db)
    gate, chosen = await start(database_url=url)
    client = await Client.to(chosen.gate_policy_port)
    assert (await client.ask("a@gmail.com", instance="1")).startswith("FILTER")

    async def hold() -> None:
        async with gate._db.read() as session:
            await (await session.connection()).execute(sa.text("SELECT pg_sleep(0.2)"))

    await asyncio.gather(*(hold() for _ in range(8)))  # the pool is full of connections
    between.silence()
    async with db.write() as session:
        await pauses.pause(session, Scope.ALL, "", "wrong link")
    began, turn = time.monotonic(), 1
    while "all mail is paused" not in (said := await client.ask("a@gmail.com", instance=f"m{turn}")):
        turn += 1
        assert time.monotonic() - began < 6, said
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_nothing_is_leased_while_pauses_cannot_be_heard(
    db: Database, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _acme(db)
    gate, chosen = await start(gate_block_most=1)
    client = await Client.to(chosen.gate_policy_port)
    assert (await client.ask("a@gmail.com", instance="1")).startswith("FILTER")
    monkeypatch.setattr(service, "READ_SECONDS", 0.0)  # the ledger answers, the reading of routes does not
    async with db.write() as session:
        await pauses.pause(session, Scope.ALL, "", "wrong link")
    await until(lambda: bool(gate._watching))
    said = await client.ask("a@gmail.com", instance="2")
    assert "the caps cannot be read: the store cannot be read (TimeoutError)" in said
    monkeypatch.undo()
    await until(lambda: not gate._trouble())
    assert "all mail is paused" in await client.ask("a@gmail.com", instance="3")


async def test_a_block_that_was_booked_before_a_cut_and_came_after_it_was_read_goes_back(
    db: Database, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _acme(db)
    gate, chosen = await start()
    book = gate._lessor._book

    async def late(batch: dict[Key, Ask]) -> dict[Key, Block | repository.Refusal]:
        taken = await book(batch)
        now = int(time.time() * 1000)
        async with db.write() as session:
            await ledger.set_window(session, FIRST, now, now + DAY, 1, {}, 0)
        readings = gate.desk.readings
        await until(lambda: gate.desk.readings > readings)
        return taken

    monkeypatch.setattr(gate._lessor, "_book", late)
    monkeypatch.setattr(desk, "IDLE_SECONDS", 60.0)
    assert (await (await Client.to(chosen.gate_policy_port)).ask("a@gmail.com", instance="1")).startswith("FILTER")
    await until(lambda: not any(one.left for one in gate.desk.blocks.values()), 1.5)


async def test_a_block_that_was_booked_before_a_cut_and_came_while_that_was_read_goes_back(
    db: Database, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _acme(db)
    gate, chosen = await start()
    book, snapshot = gate._lessor._book, gate._db.snapshot
    cut, reading = asyncio.Event(), asyncio.Event()

    async def late(batch: dict[Key, Ask]) -> dict[Key, Block | repository.Refusal]:
        taken = await book(batch)
        now = int(time.time() * 1000)
        cut.set()
        async with db.write() as session:
            await ledger.set_window(session, FIRST, now, now + DAY, 1, {}, 0)
        await reading.wait()
        return taken

    @contextlib.asynccontextmanager
    async def waiting() -> AsyncIterator[AsyncSession]:
        if cut.is_set() and not reading.is_set():
            reading.set()  # what is held was noted before this
            await until(lambda: bool(gate.desk.blocks))
        async with snapshot() as session:
            yield session

    monkeypatch.setattr(gate._lessor, "_book", late)
    monkeypatch.setattr(gate._db, "snapshot", waiting)
    monkeypatch.setattr(desk, "IDLE_SECONDS", 60.0)
    assert (await (await Client.to(chosen.gate_policy_port)).ask("a@gmail.com", instance="1")).startswith("FILTER")
    await until(lambda: not any(one.left for one in gate.desk.blocks.values()), 1.5)


async def test_a_doubt_outlives_a_look_that_fails_and_one_that_began_before_it(
    gate_settings: Callable[..., Settings], db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _acme(db)
    gate, now = Gate(gate_settings()), int(time.time() * 1000)
    gate.desk.put(Block(FIRST, GMAIL, now - now % DAY, 0, 4, 4, now + DAY))
    gate._lessor.doubtful = {FIRST}
    async with db.write() as session:
        await ledger.set_window(session, FIRST, now, now + DAY, 1, {}, 0)
    outdated = repository.outdated

    async def fails(session: AsyncSession, blocks: Iterable[Block], at_ms: int) -> set[str]:
        raise TimeoutError

    async def slow(session: AsyncSession, blocks: Iterable[Block], at_ms: int) -> set[str]:
        found = await outdated(session, blocks, at_ms)
        gate._lessor.doubtful.add(FIRST)
        return found

    monkeypatch.setattr(repository, "outdated", fails)
    with pytest.raises(TimeoutError):
        await gate._cut()
    monkeypatch.setattr(repository, "outdated", slow)
    assert await gate._cut() == {FIRST}
    monkeypatch.setattr(repository, "outdated", outdated)
    assert await gate._cut() == {FIRST}
    assert await gate._cut() == set()
    await gate.stop()


async def test_a_block_of_a_window_that_was_cut_short_goes_back_whatever_else_is_held(db: Database) -> None:
    await inventory(db, {FIRST: 100})
    now = int(time.time() * 1000)
    async with db.read() as session:
        row = await ledger.window(session, FIRST, now)
    assert row is not None
    old, new = row.starts_ms, now
    async with db.write() as session:
        await ledger.set_window(session, FIRST, new, new + DAY, 50, {}, 0)
    held = [
        Block(FIRST, one, starts, 0, 4, 4, new + DAY) for one, starts in ((GMAIL, old), (MailboxProvider.YAHOO, new))
    ]
    async with db.read() as session:
        assert await repository.outdated(session, held, now + 1) == {FIRST}
        assert await repository.outdated(session, held[1:], now + 1) == set()
