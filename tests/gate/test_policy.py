"""The policy service of a gate: caps hold to the mail, whoever asks, and the answer says why."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from sqlmodel import col, select

from domain.words import MailboxProvider
from gate import desk
from gate.service import Gate
from settings import Settings
from store import ledger, senders
from store.database import Database
from store.tables.ledger import LedgerWindow
from tests.gate.conftest import Client, granted, inventory, takes_effect

Start = Callable[..., Awaitable[tuple[Gate, Settings]]]
FIRST, SECOND = "198.51.100.7", "198.51.100.8"


@pytest.fixture
async def acme(db: Database) -> None:
    """The sender acme of the pool main, known by the domain acme.example."""
    async with db.write() as session:
        await senders.put_pool(session, "main", None)
        await senders.add_sender(session, "acme", "main", ["acme.example"])


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("caps", "gmail", "exactly"),
    [
        ({FIRST: 300, SECOND: 150}, 1000, {FIRST: 300, SECOND: 150}),  # the day's cap is met
        ({FIRST: 1000, SECOND: 1000}, 70, {FIRST: 70, SECOND: 70}),  # the provider's cap is met
    ],
)
async def test_two_gates_and_sixteen_clients_hold_each_cap_to_the_mail(
    db: Database, start: Start, caps: dict[str, int], gmail: int, exactly: dict[str, int]
) -> None:
    await inventory(db, caps, by_provider={MailboxProvider.GMAIL: gmail})
    gates = [await start() for _ in range(2)]
    sent: Counter[str] = Counter()
    deadline = time.monotonic() + 15

    async def client(number: int) -> None:
        asked = await Client.to(gates[number % 2][1].gate_policy_port)
        after, turn = 0, 0
        while after < 10 and time.monotonic() < deadline:
            turn += 1
            said = await asked.ask(f"a{number}.{turn}@gmail.com", instance=f"{number}.{turn}")
            if said.startswith("FILTER wp-"):
                sent[said] += 1
                continue
            assert said.startswith("DEFER 4.7.1 ")
            assert "cap of" in said
            # What the other gate holds unused comes back in a moment; after the last mail ten more are refused.
            after += sum(sent.values()) >= sum(exactly.values())
            await asyncio.sleep(0.01)
        asked.close()

    await asyncio.gather(*(client(number) for number in range(16)))
    assert sent == {f"FILTER wp-{address.replace('.', '-')}:": count for address, count in exactly.items()}
    for gate, _ in gates:
        await gate.stop()
    assert {address: await granted(db, address) for address in caps} == exactly


@pytest.mark.usefixtures("acme")
async def test_a_deferral_says_which_cap_and_until_when(db: Database, start: Start) -> None:
    await inventory(db, {FIRST: 5}, by_provider={MailboxProvider.GMAIL: 2})
    _, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    said = [await client.ask(f"a{one}@gmail.com", instance=str(one)) for one in range(3)]
    assert said[:2] == ["FILTER wp-198-51-100-7:"] * 2
    assert said[2] == f"DEFER 4.7.1 daily cap of {FIRST} for gmail reached, 2 of 2; resumes 00:00 UTC"


@pytest.mark.usefixtures("acme")
async def test_a_recipient_asked_for_twice_counts_once_and_a_message_leaves_by_one_ip(
    db: Database, start: Start
) -> None:
    await inventory(db, {FIRST: 50, SECOND: 50})
    gate, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    once = await client.ask("a@gmail.com", instance="m1")
    assert {await client.ask("a@gmail.com", instance="m1") for _ in range(5)} == {once}
    assert {await client.ask(f"b{one}@yahoo.com", instance="m1") for one in range(10)} == {once}
    await gate.stop()
    assert await granted(db, FIRST) + await granted(db, SECOND) == 11


@pytest.mark.usefixtures("acme")
async def test_a_pause_and_a_cut_reach_a_gate_that_holds_a_block_within_a_second(
    db: Database, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "IDLE_SECONDS", 3600.0)
    await inventory(db, {FIRST: 1000})
    gate, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    for one in range(30):
        assert (await client.ask(f"a{one}@gmail.com", instance=str(one))).startswith("FILTER")
    assert any(block.left for block in gate.desk.blocks.values())
    async with db.write() as session:
        await ledger.set_paused(session, FIRST, True, "listed")
    numbers = itertools.count(30)

    async def ask() -> str:
        return await client.ask("a@gmail.com", instance=str(next(numbers)))

    said = await takes_effect(ask, lambda said: not said.startswith("FILTER"))
    assert said == f"DEFER 4.7.1 {FIRST} is paused: listed"
    async with db.write() as session:
        await ledger.set_paused(session, FIRST, False, "")
    await takes_effect(ask, lambda said: said.startswith("FILTER"))
    for _ in range(30):
        assert (await ask()).startswith("FILTER")
    assert await granted(db, FIRST) > gate.desk.counts["allowed"], "it holds a block"
    # What was granted is no more than the new cap: the block in memory goes back, and nothing more passes.
    now = int(time.time() * 1000)
    async with db.write() as session:
        row = await ledger.window(session, FIRST, now)
        assert row is not None
        await ledger.set_window(session, FIRST, row.starts_ms, row.ends_ms, 10, {}, 0)
    # Asked by nobody, so that it is not spent to its end, and never idle: only the cut takes it away.
    async with asyncio.timeout(10):
        while await granted(db, FIRST) > gate.desk.counts["allowed"]:
            await asyncio.sleep(0.01)
    assert await granted(db, FIRST) == gate.desk.counts["allowed"]
    said = await takes_effect(ask, lambda said: not said.startswith("FILTER"))
    assert f"daily cap of {FIRST} reached" in said


@pytest.mark.usefixtures("acme")
async def test_only_rcpt_is_counted_and_strangers_wait(db: Database, start: Start) -> None:
    await inventory(db, {FIRST: 50})
    gate, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    assert await client.ask("a@gmail.com", state="DATA", instance="1") == "DUNNO"
    # A client that names no stage does not pass uncounted.
    assert (await client.ask("a@gmail.com", state="", sender="x@elsewhere.example", instance="0")).startswith("DEFER")
    said = await client.ask("a@gmail.com", sender="x@elsewhere.example", instance="2")
    assert said == "DEFER 4.7.1 no sender is known for sender x@elsewhere.example; name its login or domain in Warmpath"
    await gate.stop()
    assert await granted(db, FIRST) == 0


async def test_days_that_change_under_load_keep_their_caps_and_lose_nothing(db: Database, start: Start) -> None:
    length, caps = 1_200, [150, 90, 150]
    await inventory(db, {FIRST: 0})
    begins = int(time.time() * 1000) + 200
    async with db.write() as session:
        await senders.add_sender(session, "acme", "main", ["acme.example"])
        for day, cap in enumerate(caps):
            starts = begins + day * length
            await ledger.set_window(session, FIRST, starts, starts + length, cap, {}, 0)
    gates = [await start() for _ in range(2)]
    granted_at: list[float] = []

    async def client(number: int) -> None:
        asks = await Client.to(gates[number % 2][1].gate_policy_port)
        turn = 0
        while time.time() * 1000 < begins + len(caps) * length:
            turn += 1
            if (await asks.ask(f"r{turn}@gmail.com", instance=f"{number}.{turn}")).startswith("FILTER"):
                granted_at.append(time.time() * 1000)
            else:
                await asyncio.sleep(0.01)
        asks.close()

    await asyncio.gather(*(client(number) for number in range(8)))
    for gate, _ in gates:
        await gate.stop()
    async with db.read() as session:
        rows = (await session.exec(select(LedgerWindow).where(col(LedgerWindow.starts_ms) >= begins))).all()
    booked = [row.granted for row in sorted(rows, key=lambda row: row.starts_ms)]
    # Every day has hours of 50 ms, so blocks end all the time, many in the middle of an answer.
    assert sum(booked) == len(granted_at)
    assert all(spent <= cap for spent, cap in zip(booked, caps, strict=True))
    assert min(booked) > 0
    assert min(granted_at) >= begins
