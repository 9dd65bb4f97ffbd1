"""Killed, not asked: SIGKILL around every step, and still one charge, exactly its IPs, no day counted twice.

One system serves all cases of a store, as it would an operator: what a crash leaves behind meets the next one.
The cases without the mark ``long`` are the ones that kill the most at the worst moment.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.crash import purchase as purchases
from tests.crash.dns import Setup
from tests.crash.purchase import Purchase
from tests.crash.system import KILLABLE, System, reached, running
from tests.crash.warmup import Warming

pytestmark = [pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

ALL = KILLABLE
PURCHASE = [
    ("asked", ("worker",)), ("asked", ("api",)), ("asked", ALL),
    ("quoted", ("worker",)), ("quoted", ("temporal",)),
    ("pressed", ("worker",)), ("pressed", ("api",)), ("pressed", ALL),
    ("reserved", ("worker",)), ("reserved", ("temporal",)), ("reserved", ALL),
    ("payment opened", ("worker",)), ("payment opened", ALL),
    ("authorised", ("worker",)), ("authorised", ("temporal",)), ("authorised", ALL),
    ("half provisioned", ("worker",)), ("half provisioned", ALL),
    ("provisioned", ("worker",)), ("provisioned", ("api",)), ("provisioned", ALL),
    ("captured", ("worker",)), ("captured", ("temporal",)), ("captured", ALL),
    ("handed over", ("worker",)), ("handed over", ALL),
]  # fmt: skip
#: Run by `make test`: the payment exists and nobody has heard of it. All is killed in its case on PostgreSQL.
AT_ONCE = [("payment opened", ("worker",))]
DNS = [
    ("begun", ("worker",)), ("first record", ("worker",)), ("first record", ALL),
    ("published", ("temporal",)), ("published", ALL), ("looked at", ("worker",)), ("looked at", ("api",)),
    ("looked at", ALL),
]  # fmt: skip
#: Who is killed around the ticks of consecutive days, and how far from the tick (seconds).
TICKS = [
    (("worker",), -0.03), (("worker",), 0.01), (("temporal",), 0.03), (ALL, 0.02), (("api",), 0.0), (ALL, -0.02),
    (("worker",), 0.06), (("temporal",), -0.05),
]  # fmt: skip


def cases(every: list[tuple[str, tuple[str, ...]]], quick: list[tuple[str, tuple[str, ...]]]) -> list[Any]:
    """Parameters with readable names; what is not quick is long."""
    return [
        pytest.param(*one, id=f"{one[0]} {'+'.join(one[1])}", marks=[] if one in quick else [pytest.mark.long])
        for one in every
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite"])
async def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """One system for the cases of a store."""
    url = None
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres")
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = server.rsplit("/", 1)[0] + f"/{name}"
    folder: Path = tmp_path_factory.mktemp("crash")
    async with running(folder, url) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="module")
async def system(up: System) -> System:
    """The system, whole again whatever the case before did."""
    await up.whole()
    return up


@pytest.mark.parametrize(("point", "victims"), cases(PURCHASE, AT_ONCE))
async def test_purchase(system: System, point: str, victims: tuple[str, ...]) -> None:
    purchase = Purchase(system)
    async with purchase.playing():
        await system.killed(purchase.at(point), victims)
    await purchases.hold(system, purchase)


@pytest.mark.parametrize("up", ["postgresql"], indirect=True)
async def test_purchase_on_postgresql(system: System) -> None:
    """With the other store: all killed while money is held and nothing delivered."""
    purchase = Purchase(system)
    async with purchase.playing():
        await system.killed(purchase.at("authorised"), ALL)
    await purchases.hold(system, purchase)


async def test_pressed_twenty_times_at_once_with_one_key(system: System) -> None:
    """Order and Complete Purchase, each sent 20 times at once: one order, one charge; a press more changes nothing.

    Each has a key of its own: a used key is refused another request.
    """
    purchase = Purchase(system, count=1)
    key = uuid.uuid4().hex

    async def twenty(path: str, body: object, pressed: str) -> set[str]:
        answers = await asyncio.gather(*(system.insist("POST", path, body, f"{key}-{pressed}") for _ in range(20)))
        return {answer["id"] for answer in answers}

    (purchase.id,) = await twenty("/v1/orders", purchase.body, "order")
    await purchase.until("quoted")
    pay = f"/v1/orders/{purchase.id}/purchase"
    assert await twenty(pay, {"payment_method": "tok_visa"}, "pay") == {purchase.id}
    await system.insist("POST", pay, {"payment_method": "tok_visa"}, f"{key}-second-press")
    await purchases.hold(system, purchase)
    await system.insist("POST", pay, {"payment_method": "tok_visa"}, f"{key}-third-press")
    await purchases.hold(system, purchase)


@pytest.mark.parametrize(("point", "victims"), cases(DNS, [("first record", ALL)]))
async def test_dns(system: System, point: str, victims: tuple[str, ...]) -> None:
    setup = Setup(system)
    await setup.begin()
    await system.killed(setup.at(point), victims)
    await setup.active()
    await setup.hold(support=0)


@pytest.mark.long
@pytest.mark.parametrize("victims", [("worker",), ("api",), ("temporal",), ALL], ids="+".join)
async def test_contact_support_killed_while_it_is_pressed(system: System, victims: tuple[str, ...]) -> None:
    setup = Setup(system)
    await setup.begin()
    await reached(setup.at("published"))
    pressing = asyncio.create_task(setup.ask_support())
    await asyncio.sleep(0.02)
    await system.kill(*victims)
    await system.start(*victims)
    await pressing
    await setup.active()
    await setup.hold(support=1)


@pytest.mark.parametrize(
    "ticks", [pytest.param(TICKS[1:4:2], id="two ticks"), pytest.param(TICKS, id="eight ticks", marks=pytest.mark.long)]
)
async def test_warmup_killed_around_its_ticks(system: System, ticks: list[tuple[tuple[str, ...], float]]) -> None:
    """Senders go on leasing and reporting while the day is closed, killed, and closed again."""
    warming = Warming(system)
    await warming.begin()
    async with warming.under_senders():
        await warming.closed(1)
        for victims, offset in ticks:
            before = len((await warming.kept())[0])
            await warming.near_tick(offset)
            await system.kill(*victims)
            await system.start(*victims)
            await warming.closed(before + 2)
            await warming.hold()
        await warming.closed(len((await warming.kept())[0]) + 1)
    await warming.hold()
    path = f"/v1/ips/{warming.address}/retire"
    await system.insist("POST", path, {"reason": "the test is over"}, f"retire-{warming.address}")


@pytest.mark.long
async def test_everything_bought_becomes_active(system: System) -> None:
    """No journey that a kill interrupted is stuck: each IP of the cases before, or of an order now, ends verified."""
    purchase = Purchase(system, count=1)
    await purchase.play()
    await purchases.hold(system, purchase)

    async def all_active() -> bool:
        fleet = (await system.look("/v1/ips?limit=500")).get("items", [])
        return bool(fleet) and all(ip["stage"] != "awaiting_dns" for ip in fleet)

    await reached(all_active, 120)
