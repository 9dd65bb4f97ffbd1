"""The purchase of IPs on the real Temporal server, with the sandbox's vendor and gateway over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.context import Context
from activities.purchase import PurchaseActivities
from activities.purchase_messages import Step
from domain.lifecycle import LifecycleInput
from domain.purchase import Cancel, Complete, PurchaseInput, PurchaseState
from domain.words import OrderStatus
from providers.ip_vendors.sandbox import SandboxVendor
from providers.payments.port import Payment, PaymentRefused
from providers.payments.sandbox import SandboxPayments
from sandbox import payments as gateway_program
from sandbox import vendor as vendor_program
from settings import Settings
from store import incidents
from store import purchase as orders
from store.database import Database
from store.secrets import Keyring, Secrets, new_key
from store.tables.ips import Ip
from store.tables.purchase import Order
from workflows.client import converter
from workflows.ids import ip_id, purchase_id
from workflows.purchase import Purchase

TEMPORAL = Path(sys.executable).parent / "temporal"
LISTED = "198.51.100.66"


@workflow.defn(name="IpLifecycle", sandboxed=False)
class Life:
    """Stands for the life of an IP, which is tested elsewhere."""

    @workflow.run
    async def run(self, start: LifecycleInput) -> str:
        return start.address


class Lists:
    """Blocklists that name what the test says."""

    async def look(self, address: str) -> tuple[list[str], list[str]]:
        return (["zen.spamhaus.org"], []) if address == LISTED else ([], [])


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

    @activity.defn(name="purchase_authorise")
    async def authorise(self, step: Step) -> None:
        await self._once("authorise", super().authorise(step))

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


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:  # noqa: ANN401
    """A program on a free port of loopback."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Stand:
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
            await orders.create(
                session,
                self.context.db.dialect,
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
            PurchaseInput(order_id=order_id, count=count, quote_seconds=quote_seconds),
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

    async def quoted(self, **more: Any) -> str:  # noqa: ANN401
        order_id = await self.order(**more)
        handle = self.client.get_workflow_handle_for(Purchase.run, purchase_id(order_id))
        async with asyncio.timeout(30):
            while (await handle.query(Purchase.state)).status is not OrderStatus.QUOTED:
                await asyncio.sleep(0.05)
        return order_id

    async def buy(self, order_id: str, method: str = "tok_visa", *chosen: str) -> PurchaseState:
        handle = self.client.get_workflow_handle_for(Purchase.run, purchase_id(order_id))
        await handle.execute_update(
            Purchase.complete, Complete(payment_method=method, candidates=list(chosen))
        )
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
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    keys = Keyring.parse([new_key()])
    settings = Settings(var_dir=tmp_path, waitlist_hours=1)
    db = Database.open(f"sqlite:///{tmp_path}/test.sqlite", synchronous="normal")
    await db.create_all()
    context = Context(settings=settings, db=db, secrets=Secrets(db, keys))
    vendor = vendor_program.Vendor(tmp_path / "vendor.json")
    gateway = gateway_program.Gateway(tmp_path / "payments.json")
    attributes = [
        p for n in ("IpAddress", "Stage", "Pool", "Sender") for p in ("--search-attribute", f"{n}=Keyword")
    ]
    async with (
        serving(vendor_program.create(vendor)) as vendor_url,
        serving(gateway_program.create(gateway)) as gateway_url,
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(TEMPORAL),
            data_converter=converter(keys),
            dev_server_extra_args=attributes,
        ) as environment,
    ):
        effects = Crashing(
            context, {"sandbox": SandboxVendor(vendor_url)}, SandboxPayments(gateway_url), Lists()
        )
        effects.crash = set()
        queue = uuid.uuid4().hex
        it = effects
        async with Worker(
            environment.client,
            task_queue=queue,
            workflows=[Purchase, Life],
            activities=[
                *(
                    it.quote,
                    it.mark,
                    it.reserve,
                    it.vet,
                    it.authorise,
                    it.provision,
                    it.capture,
                    it.hand_over,
                ),
                *(it.release, it.undo_payment, it.escalate),
            ],
        ):
            yield Stand(environment.client, context, vendor_url, gateway_url, queue, effects)
    await db.close()


async def test_an_order_is_quoted_bought_and_handed_over(stand: Stand) -> None:
    order = await stand.quoted(count=2)
    quoted = await stand.row(order)
    assert quoted.quote["total"] == {"amount": "16.00", "currency": "USD"}
    assert quoted.quote["monthly_cost"]["amount"] == "12.00"

    result = await stand.buy(order)

    assert result.status is OrderStatus.PURCHASED
    assert (await stand.row(order)).ips == result.addresses
    assert await stand.payments(order) == ["captured"]
    assert list((await stand.bought())["bought"]) == result.addresses
    for address in result.addresses:
        assert await stand.client.get_workflow_handle(ip_id(address)).result() == address


async def test_a_declined_card_releases_the_ip(stand: Stand) -> None:
    order = await stand.quoted()
    result = await stand.buy(order, "tok_declined")
    assert result.status is OrderStatus.FAILED
    assert "declined" in result.reason
    assert (await stand.bought()) == {"orders": {}, "bought": {}}
    async with stand.context.db.read() as session:
        assert not await orders.held_by(session, order)


async def test_an_authorisation_that_expired_undoes_everything(stand: Stand) -> None:
    order = await stand.quoted()
    result = await stand.buy(order, "tok_expired_auth")
    assert result.status is OrderStatus.FAILED
    assert "expired" in result.reason
    assert await stand.payments(order) == ["cancelled"]
    assert (await stand.bought()) == {"orders": {}, "bought": {}}


async def test_a_cancelled_quote_ends_and_cannot_be_bought(stand: Stand) -> None:
    order = await stand.quoted()
    handle = stand.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    ended = await handle.execute_update(Purchase.cancel, Cancel(reason="changed my mind"))
    assert ended.status is OrderStatus.CANCELLED
    assert (await stand.row(order)).reason == "changed my mind"


async def test_a_cancel_during_an_outage_undoes_what_was_done(stand: Stand) -> None:
    order = await stand.quoted()
    await stand.fault(stand.gateway_url, down=4)
    handle = stand.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    await handle.execute_update(Purchase.complete, Complete(payment_method="tok_visa"))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "authorise payment":
            await asyncio.sleep(0.05)
    ended = await handle.execute_update(Purchase.cancel, Cancel())
    assert ended.status is OrderStatus.CANCELLED
    assert (await stand.bought()) == {"orders": {}, "bought": {}}
    assert "captured" not in await stand.payments(order)


async def test_a_quote_expires(stand: Stand) -> None:
    order = await stand.order(quote_seconds=0.2)
    row = await stand.until(order, lambda it: it.status == OrderStatus.EXPIRED)
    assert "expired" in row.reason


async def test_an_order_without_stock_waits_and_can_be_cancelled(stand: Stand) -> None:
    await stand.fault(stand.vendor_url, empty=1)
    order = await stand.order()
    row = await stand.until(order, lambda it: it.status == OrderStatus.WAITLISTED)
    assert row.waitlist_until is not None
    handle = stand.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(Purchase.complete, Complete(payment_method="tok_visa"))
    ended = await handle.execute_update(Purchase.cancel, Cancel())
    assert ended.status is OrderStatus.CANCELLED


async def test_two_orders_for_the_same_address_end_with_one_owner(stand: Stand) -> None:
    first, second = await stand.quoted(), await stand.quoted()
    wanted = "198.51.100.62"
    ends = await asyncio.gather(stand.buy(first, "tok_visa", wanted), stand.buy(second, "tok_visa", wanted))
    assert sorted(end.status for end in ends) == [OrderStatus.FAILED, OrderStatus.PURCHASED]
    async with stand.context.db.read() as session:
        assert (await session.get(Ip, wanted)) is not None
    assert sorted(await stand.payments(first) + await stand.payments(second)) == ["captured"]


@pytest.mark.parametrize("step", ["reserve", "authorise", "provision", "capture", "hand_over"])
async def test_a_crash_after_a_step_charges_once(stand: Stand, step: str) -> None:
    stand.effects.crash = {step}
    order = await stand.quoted()
    result = await stand.buy(order)
    assert result.status is OrderStatus.PURCHASED
    assert not stand.effects.crash
    assert await stand.payments(order) == ["captured"]
    assert list((await stand.bought())["bought"]) == result.addresses


async def test_a_capture_whose_answer_was_lost_is_not_asked_again(stand: Stand) -> None:
    stand.effects._payments = gateway = Counting(stand.gateway_url)
    stand.effects.crash = {"capture"}
    result = await stand.buy(await stand.quoted())
    assert result.status is OrderStatus.PURCHASED
    assert gateway.captures == 1


async def test_a_default_candidate_that_was_just_taken_is_replaced(stand: Stand) -> None:
    first, second = await stand.quoted(), await stand.quoted()
    ends = await asyncio.gather(stand.buy(first), stand.buy(second))
    assert [end.status for end in ends] == [OrderStatus.PURCHASED] * 2
    bought = [address for end in ends for address in end.addresses]
    assert len(set(bought)) == 2
    assert sorted((await stand.bought())["bought"]) == sorted(bought)
    for order, end in zip((first, second), ends, strict=True):
        assert (await stand.row(order)).ips == end.addresses
        async with stand.context.db.read() as session:
            assert [one.address for one in await orders.held_by(session, order)] == end.addresses


async def test_an_address_that_the_vendor_sold_to_somebody_else_is_replaced(stand: Stand) -> None:
    order = await stand.quoted(count=2)
    default = [one["address"] for one in (await stand.row(order)).candidates if one["verdict"] == "recommended"]
    async with httpx.AsyncClient(base_url=stand.vendor_url) as other:
        await other.post(f"/v1/addresses/{default[0]}/reserve", json={"order": "somebody else"})
    stand.effects.crash = {"reserve"}
    result = await stand.buy(order)
    assert result.addresses == default[1:3]
    async with stand.context.db.read() as session:
        held = [one.address for one in await orders.held_by(session, order)]
    assert sorted(held) == sorted(result.addresses), "the hold on the address that was taken has ended"


async def test_an_undo_that_fails_opens_an_incident_and_the_rest_is_undone(stand: Stand) -> None:
    stand.effects._payments = Stuck(stand.gateway_url)
    order = await stand.quoted()
    result = await stand.buy(order, "tok_expired_auth")
    assert result.status is OrderStatus.FAILED
    async with stand.context.db.read() as session:
        opened = await incidents.listing(session, open_only=True)
    assert [(one.kind, one.address, one.severity) for one in opened] == [
        ("purchase", result.addresses[0], "critical")
    ]
    assert order in opened[0].detail
    assert "the bank takes nothing back today" in opened[0].detail
    assert (await stand.bought()) == {"orders": {}, "bought": {}}


async def test_lost_answers_charge_once(stand: Stand) -> None:
    order = await stand.quoted()
    await stand.fault(stand.gateway_url, lost=2)
    await stand.fault(stand.vendor_url, lost=2)
    assert (await stand.buy(order)).status is OrderStatus.PURCHASED
    assert await stand.payments(order) == ["captured"]


async def test_a_listed_candidate_is_refused_with_its_reason(stand: Stand) -> None:
    order = await stand.quoted(count=4)
    listed = [one for one in (await stand.row(order)).candidates if one["address"] == LISTED]
    assert listed[0]["verdict"] == "refused"
    assert "zen.spamhaus.org" in listed[0]["reasons"][0]
