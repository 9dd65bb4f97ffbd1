"""A shop to buy IPs at: one store, one worker, the sandbox's vendor and gateway over HTTP."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from activities.context import Context
from activities.purchase import PurchaseActivities
from activities.purchase_messages import Authorise, Step
from activities.refusals import Refusals
from domain.lifecycle import LifecycleInput
from domain.purchase import (
    Complete,
    ListAnswer,
    PtrFound,
    PurchaseInput,
    PurchaseState,
    payment_purpose,
)
from domain.words import OrderStatus
from providers.ip_vendors.port import VendorError, VendorFault
from providers.ip_vendors.sandbox import SandboxVendor
from providers.payments.port import Payment, PaymentRefused
from providers.payments.sandbox import SandboxPayments
from sandbox import payments as gateway_program
from sandbox import vendor as vendor_program
from settings import Settings
from store import purchase as orders
from store.database import Database
from store.keys import Keyring, new_key
from store.secrets import Secrets
from store.tables.purchase import Order
from tests.neighbourhood import serving
from workflows.client import converter
from workflows.ids import purchase_id
from workflows.purchase import Purchase

LISTED = "198.51.100.66"


@workflow.defn(name="IpLifecycle", sandboxed=False)
class Life:
    """Stands for the life of an IP, which is tested elsewhere."""

    @workflow.run
    async def run(self, start: LifecycleInput) -> str:
        return start.address


class Lists:
    """Blocklists that name what the test says."""

    def __init__(self) -> None:
        self.listed = {LISTED}

    async def look(self, address: str) -> list[ListAnswer]:
        bad = address in self.listed
        return [
            ListAnswer(zone="zen.spamhaus.org", state="listed" if bad else "clean", reason="SBL" * bad, against=bad),
            ListAnswer(zone="psbl.surriel.com", state="unknown", reason="The list did not answer in time."),
        ]

    async def is_listed(self, address: str) -> bool:
        return address in self.listed

    async def ptr(self, address: str) -> tuple[PtrFound, str | None]:
        return PtrFound.NONE, None


class Crashing(PurchaseActivities):
    """Fails once after each named effect, as a worker killed before its answer does."""

    crash: set[str] = set()

    async def _once(self, name: str, effect: Any) -> Any:  # noqa: ANN401
        result = await effect
        if name in self.crash:
            self.crash.discard(name)
            raise RuntimeError(f"killed after {name}")
        return result

    @activity.defn(name="purchase_reserve")
    async def reserve(self, step: Step) -> list[str]:
        held: list[str] = await self._once("reserve", super().reserve(step))
        return held

    @activity.defn(name="purchase_vet")
    async def vet(self, step: Step) -> list[str]:
        passed: list[str] = await self._once("vet", super().vet(step))
        return passed

    @activity.defn(name="purchase_authorise")
    async def authorise(self, wanted: Authorise) -> None:
        await self._once("authorise", super().authorise(wanted))

    @activity.defn(name="purchase_provision")
    async def provision(self, step: Step) -> None:
        await self._once("provision", super().provision(step))

    @activity.defn(name="purchase_capture")
    async def capture(self, step: Step) -> None:
        await self._once("capture", super().capture(step))

    @activity.defn(name="purchase_hand_over")
    async def hand_over(self, step: Step) -> None:
        await self._once("hand_over", super().hand_over(step))


class Counting(SandboxPayments):
    """The gateway, with a count of the captures asked for."""

    captures = 0

    async def capture(self, ref: str, key: str) -> Payment:
        self.captures += 1
        return await super().capture(ref, key)


class Stuck(SandboxPayments):
    """The gateway on a day on which its bank takes nothing back."""

    async def cancel(self, ref: str, key: str) -> Payment:
        raise PaymentRefused("the bank takes nothing back today")


def vendors_of(queue: str) -> str:
    """The queue of slow and paid calls beside a main queue."""
    return f"{queue}-vendors"


@dataclass
class Shop:
    """One store, one worker, the neighbours."""

    client: Client
    context: Context
    vendor_url: str
    gateway_url: str
    queue: str
    effects: Crashing
    faults: dict[str, int] = field(default_factory=dict)

    async def order(self, count: int = 1, quote_seconds: float = 600) -> str:
        order_id = uuid.uuid4().hex
        async with self.context.db.write() as session:
            session.add(
                Order(
                    id=order_id,
                    vendor="sandbox",
                    region="eu-central",
                    count=count,
                    domain="example-mail.test",
                    hostname="mail.example-mail.test",
                ),
            )
        await self.client.start_workflow(
            Purchase.run,
            PurchaseInput(
                order_id=order_id,
                count=count,
                quote_seconds=quote_seconds,
                vendor_queue=vendors_of(self.queue),
            ),
            id=purchase_id(order_id),
            task_queue=self.queue,
        )
        return order_id

    async def row(self, order_id: str) -> Order:
        async with self.context.db.read() as session:
            return await orders.get(session, order_id)

    async def until(self, order_id: str, holds: Callable[[Order], bool]) -> Order:
        async with asyncio.timeout(30):
            while not holds(row := await self.row(order_id)):
                await asyncio.sleep(0.05)
        return row

    async def asked_by(self, order_id: str, event: str) -> str:
        """The activity asked for last, once the workflow has answered an event of this kind."""
        handle = self.client.get_workflow_handle(purchase_id(order_id))
        async with asyncio.timeout(20):
            while True:
                history = (await handle.fetch_history()).events
                names = [one.WhichOneof("attributes") or "" for one in history]
                place = next((place for place, name in enumerate(names) if name.startswith(event)), len(names))
                if "workflow_task_completed_event_attributes" in names[place:]:
                    asked = [one.activity_task_scheduled_event_attributes.activity_type.name for one in history]
                    return next(filter(None, reversed(asked)), "")
                await asyncio.sleep(0.05)

    async def quoted(self, **more: Any) -> str:  # noqa: ANN401
        order_id = await self.order(**more)
        handle = self.client.get_workflow_handle_for(Purchase.run, purchase_id(order_id))
        async with asyncio.timeout(30):
            while (await handle.query(Purchase.state)).status is not OrderStatus.QUOTED:
                await asyncio.sleep(0.05)
        return order_id

    async def pay(self, order_id: str, method: str = "tok_visa", *chosen: str) -> Complete:
        """What the API sends to the journey when the button is pressed."""
        ref = await self.context.secrets.put(payment_purpose(order_id), method)
        return Complete(payment_secret=ref, candidates=list(chosen))

    async def buy(self, order_id: str, method: str = "tok_visa", *chosen: str) -> PurchaseState:
        handle = self.client.get_workflow_handle_for(Purchase.run, purchase_id(order_id))
        await handle.execute_update(Purchase.complete, await self.pay(order_id, method, *chosen))
        return await asyncio.wait_for(handle.result(), 60)

    async def payments(self, order_id: str) -> list[str]:
        async with httpx.AsyncClient() as client:
            found = (await client.get(f"{self.gateway_url}/v1/payments", params={"order": order_id})).json()
        return [one["status"] for one in found]

    async def bought(self) -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.vendor_url}/v1/holdings")).json()

    async def fault(self, url: str, **planned: int) -> None:
        async with httpx.AsyncClient() as client:
            await client.put(f"{url}/v1/faults", json=planned)


@pytest.fixture
async def shop(tmp_path: Path, temporal_server: str) -> AsyncIterator[Shop]:
    key = new_key()
    keys = Keyring.parse([key])
    settings = Settings(var_dir=tmp_path, waitlist_hours=1, secret_keys=(SecretStr(key),))
    db = Database.open(f"sqlite:///{tmp_path}/test.sqlite", synchronous="normal")
    await db.create_all()
    context = Context(settings=settings, db=db, secrets=Secrets(db, keys))
    vendor = vendor_program.Vendor(tmp_path / "vendor.json")
    gateway = gateway_program.Gateway(tmp_path / "payments.json")
    async with (
        serving(vendor_program.create(vendor)) as vendor_url,
        serving(gateway_program.create(gateway)) as gateway_url,
    ):
        client = await Client.connect(temporal_server, data_converter=converter(keys))
        effects = Crashing(context, {"sandbox": SandboxVendor(vendor_url)}, SandboxPayments(gateway_url), Lists())
        effects.crash = set()
        queue = uuid.uuid4().hex
        it = effects
        bound = [
            *(it.quote, it.mark, it.reserve, it.vet, it.authorise, it.provision, it.capture, it.hand_over),
            *(it.release, it.undo_payment, it.escalate),
        ]
        async with (
            Worker(client, task_queue=queue, workflows=[Purchase, Life], activities=bound, interceptors=[Refusals()]),
            Worker(client, task_queue=vendors_of(queue), activities=bound, interceptors=[Refusals()]),
        ):
            yield Shop(client, context, vendor_url, gateway_url, queue, effects)
    await db.close()


async def unreachable(address: str, order: str) -> str:
    """A vendor that is down for as long as it takes."""
    raise VendorError(VendorFault.RETRYABLE, "The vendor does not answer.")
