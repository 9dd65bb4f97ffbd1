"""Killed, not asked: SIGKILL around each step of a purchase, and still one charge and exactly its IPs."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.crash.system import KILLABLE, Json, System, reached, running

pytestmark = pytest.mark.timeout(400)
long = pytest.mark.long

ALL = KILLABLE
#: Where a purchase stands, as the order, the vendor or the gateway shows it over HTTP.
POINTS = ("asked", "quoted", "pressed", "reserved", "authorised", "provisioned", "captured", "handed over")
CASES = [
    ("asked", ("worker",)), ("asked", ALL),
    ("quoted", ("worker",)), ("quoted", ("temporal",)),
    ("pressed", ("worker",)), ("pressed", ("api",)), ("pressed", ALL),
    ("reserved", ("worker",)), ("reserved", ("temporal",)), ("reserved", ALL),
    ("authorised", ("worker",)), ("authorised", ("temporal",)),
    ("provisioned", ("worker",)), ("provisioned", ("api",)), ("provisioned", ALL),
    ("captured", ("worker",)), ("captured", ("temporal",)), ("captured", ALL),
    ("handed over", ("worker",)), ("handed over", ALL),
]  # fmt: skip


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with running(tmp_path) as up:
        yield up


class Purchase:
    """One order of two IPs, as a client makes it who repeats what was not answered."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._key = uuid.uuid4().hex
        self.id = ""
        self.asked = asyncio.Event()
        self.pressed = asyncio.Event()

    async def play(self) -> None:
        """Order, wait for the quote, press Complete Purchase."""
        body = {
            "type": "dedicated", "vendor": "sandbox", "region": "eu-central", "count": 2,
            "domain": "example-mail.test", "hostname": "mta.example-mail.test",
        }  # fmt: skip
        self.asked.set()
        self.id = (await self._system.insist("POST", "/v1/orders", body, f"order-{self._key}"))["id"]
        await self.until("quoted")
        self.pressed.set()
        wanted = {"payment_method": "tok_visa"}
        await self._system.insist("POST", f"/v1/orders/{self.id}/purchase", wanted, f"buy-{self._key}")

    async def order(self) -> Json:
        """The order as the API shows it."""
        return await self._system.insist("GET", f"/v1/orders/{self.id}")

    async def until(self, *statuses: str, seconds: float = 120) -> Json:
        """Wait for the order; answers it."""
        async with asyncio.timeout(seconds):
            while (found := await self.order())["status"] not in statuses:
                await asyncio.sleep(0.05)
        return found

    def at(self, point: str) -> Callable[[], Awaitable[bool]]:
        """Whether the purchase has reached a point."""

        async def look() -> bool:
            if point == "asked":
                return self.asked.is_set()
            if point == "pressed":
                return self.pressed.is_set()
            if point in ("authorised", "captured"):
                found = {one["status"] for one in await self._system.payments()}
                return "captured" in found or point in found
            if point in ("reserved", "provisioned"):
                held = await self._system.holdings()
                return len(held["orders" if point == "reserved" else "bought"]) >= (1 if point == "reserved" else 2)
            if not self.id:
                return False
            order = (await self._system.api("GET", f"/v1/orders/{self.id}")).json()
            status = order.get("status")
            return status in ("quoted", "purchasing", "purchased") if point == "quoted" else bool(order.get("ips"))

        return look


async def killed_at(system: System, point: str, victims: tuple[str, ...]) -> None:
    """Kill at a point, start again, and hold what must hold."""
    purchase = Purchase(system)
    playing = asyncio.create_task(purchase.play())
    try:
        await reached(purchase.at(point))
        await system.kill(*victims)
        # Temporal first, as a supervisor does: the worker and the API wait for it.
        await system.start(*(name for name in ("temporal", "worker", "api") if name in victims))
        await asyncio.wait_for(playing, 150)
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(playing, return_exceptions=True)
    ended = await purchase.until("purchased", "failed", "cancelled", "expired")
    assert ended["status"] == "purchased", ended["reason"]
    await hold(system, ended)


async def hold(system: System, ended: Json) -> None:
    """One charge, exactly its IPs, none leaked, a life for each."""
    payments = await system.payments()
    assert [(one["order"], one["status"]) for one in payments] == [(ended["id"], "captured")]
    assert len(ended["ips"]) == 2
    held = await system.holdings()
    assert set(held["bought"]) == set(ended["ips"])
    assert held["orders"] == dict.fromkeys(ended["ips"], ended["id"])
    fleet = (await system.insist("GET", "/v1/ips"))["items"]
    assert {ip["address"] for ip in fleet} == set(ended["ips"])
    orders = (await system.insist("GET", "/v1/orders"))["items"]
    assert [one["id"] for one in orders] == [ended["id"]]
    for address in ended["ips"]:
        # The life of each IP runs: it has asked for its DNS records, and says what it waits for.
        async def under_way(address: str = address) -> bool:
            ip = (await system.api("GET", f"/v1/ips/{address}")).json()
            return ip.get("stage") == "awaiting_dns" and bool(ip.get("waiting_for"))

        await reached(under_way)


@long
async def test_everything_killed_between_payment_and_delivery(system: System) -> None:
    """Money is reserved, nothing is delivered, and nothing is left running."""
    await killed_at(system, "authorised", ALL)


@long
@pytest.mark.parametrize(
    ("point", "victims"), CASES, ids=[f"{point} {'+'.join(victims)}" for point, victims in CASES]
)
async def test_killed(system: System, point: str, victims: tuple[str, ...]) -> None:
    await killed_at(system, point, victims)


@long
async def test_twenty_times_at_once_with_one_key_is_one_order(system: System) -> None:
    body = {
        "type": "dedicated", "vendor": "sandbox", "region": "eu-central", "count": 1,
        "domain": "example-mail.test", "hostname": "mta.example-mail.test",
    }  # fmt: skip

    async def ask() -> httpx.Response:
        return await system.api("POST", "/v1/orders", body, "the one key")

    answers = await asyncio.gather(*(ask() for _ in range(20)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await system.insist("GET", "/v1/orders"))["items"]) == 1
