"""One order as a client makes it who repeats what was not answered, and what must hold when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator

from sandbox.zones import AUTOMATIC_DOMAINS
from tests.crash.system import Json, Look, System, reached

ENDS = ("purchased", "failed", "cancelled", "expired")
REGIONS = ("eu-central", "us-east")
#: What the order's last step writes before the life of the IP has said anything.
NOT_BEGUN = "DNS set-up to begin"


class Purchase:
    """One order."""

    def __init__(self, system: System, count: int = 2) -> None:
        self._system = system
        self._key = uuid.uuid4().hex
        number = system.number()
        domain = AUTOMATIC_DOMAINS[number % len(AUTOMATIC_DOMAINS)]
        self.body: Json = {
            "type": "dedicated", "vendor": "sandbox", "region": REGIONS[number % 2], "count": count,
            "domain": domain, "hostname": f"mta{number}.{domain}",
        }  # fmt: skip
        self.id = ""
        self.asked = asyncio.Event()
        self.pressed = asyncio.Event()

    async def order(self) -> None:
        """Order; waits for the quote."""
        self.asked.set()
        made = await self._system.insist("POST", "/v1/orders", self.body, f"order-{self._key}")
        self.id = made["id"]
        await self.until("quoted")

    async def press(self) -> None:
        """Complete Purchase."""
        self.pressed.set()
        wanted = {"payment_method": "tok_visa"}
        await self._system.insist("POST", f"/v1/orders/{self.id}/purchase", wanted, f"buy-{self._key}")

    async def play(self) -> None:
        """Order and press."""
        await self.order()
        await self.press()

    @contextlib.asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """The client at work beside the block, which waits for it in the end."""
        client = asyncio.create_task(self.play())
        try:
            yield
            await asyncio.wait_for(client, 150)
        finally:
            client.cancel()
            await asyncio.gather(client, return_exceptions=True)

    async def until(self, *statuses: str, seconds: float = 120) -> Json:
        """Wait for the order; answers it."""
        found: Json = {}

        async def so() -> bool:
            nonlocal found
            found = await self._system.look(f"/v1/orders/{self.id}")
            return found.get("status") in statuses

        await reached(so, seconds)
        return found

    def at(self, point: str) -> Look:
        """Whether the purchase has reached a point, as client, order, vendor or gateway show it over HTTP."""

        async def look() -> bool:
            if point == "asked":
                return self.asked.is_set()
            if point == "pressed":
                return self.pressed.is_set()
            if not self.id:
                return False
            if point == "payment opened":
                return bool(await self._system.payments(self.id))
            if point in ("authorised", "captured"):
                found = {one["status"] for one in await self._system.payments(self.id)}
                return "captured" in found or point in found
            held = {one for one, order in (await self._system.holdings())["orders"].items() if order == self.id}
            bought = held & (await self._system.holdings())["bought"].keys()
            if point == "reserved":
                return bool(held)
            if point == "half provisioned":
                return bool(bought)
            if point == "provisioned":
                return len(bought) == self.body["count"]
            order = await self._system.look(f"/v1/orders/{self.id}")
            return bool(order.get("ips")) if point == "handed over" else order.get("status") in ("quoted", *ENDS)

        return look


async def hold(system: System, purchase: Purchase) -> list[str]:
    """One charge, exactly its IPs, none leaked, a life that runs for each; answers the IPs."""
    ended = await purchase.until(*ENDS)
    assert ended["status"] == "purchased", ended["reason"]
    bought = set(ended["ips"])
    assert len(bought) == len(ended["ips"]) == purchase.body["count"]
    orders = (await system.insist("GET", "/v1/orders?limit=500"))["items"]
    assert [one["id"] for one in orders if one["hostname"] == purchase.body["hostname"]] == [ended["id"]]

    payments = await system.payments()
    charged = [(one["status"], one["amount"]) for one in payments if one["order"] == ended["id"]]
    assert charged == [("captured", ended["quote"]["total"]["amount"])]
    charges = Counter(one["order"] for one in payments)
    assert charges.keys() <= {one["id"] for one in orders}, "somebody was charged without an order"
    assert max(charges.values()) == 1

    held = await system.holdings()
    assert {address for address, order in held["orders"].items() if order == ended["id"]} == bought
    assert held["bought"].keys() >= bought
    of_orders = {address for one in orders for address in one["ips"]}
    under_way = {one["id"] for one in orders if one["status"] not in ENDS}
    leaked = [
        address for address, order in held["orders"].items() if address not in of_orders and order not in under_way
    ]
    assert not leaked, f"the vendor keeps {leaked} for nobody"

    fleet = Counter(ip["address"] for ip in (await system.insist("GET", "/v1/ips?limit=500"))["items"])
    assert [fleet[address] for address in bought] == [1] * len(bought)
    for address in bought:

        async def alive(address: str = address) -> bool:
            ip = await system.look(f"/v1/ips/{address}")
            return ip.get("stage") == "active" or ip.get("waiting_for", NOT_BEGUN) != NOT_BEGUN

        await reached(alive)
    return list(ended["ips"])
