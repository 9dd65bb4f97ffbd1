"""The purchase of IPs on the real Temporal server, with the sandbox's vendor and gateway over HTTP."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from google.protobuf.message import Message
from pydantic import SecretStr
from sqlmodel import select
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.worker import Worker

from activities.context import Context
from activities.purchase import PurchaseActivities
from activities.purchase_messages import Authorise, Step
from api.app import create
from domain.lifecycle import LifecycleInput
from domain.purchase import (
    Cancel,
    Complete,
    ListAnswer,
    PaymentEvent,
    PaymentEventKind,
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
from store import incidents
from store import purchase as orders
from store.database import Database
from store.keys import Keyring, new_key
from store.secrets import Secrets
from store.tables.accounts import Secret
from store.tables.ips import Ip
from store.tables.purchase import Order
from tests.neighbourhood import serving
from workflows.client import converter
from workflows.ids import ip_id, purchase_id
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
async def stand(tmp_path: Path, temporal_server: str) -> AsyncIterator[Stand]:
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
            Worker(client, task_queue=queue, workflows=[Purchase, Life], activities=bound),
            Worker(client, task_queue=vendors_of(queue), activities=bound),
        ):
            yield Stand(client, context, vendor_url, gateway_url, queue, effects)
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


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
async def test_the_payment_method_stands_in_no_history_and_is_forgotten_at_the_end(stand: Stand, method: str) -> None:
    order = await stand.quoted()
    await stand.buy(order, method)
    history = await stand.client.get_workflow_handle(purchase_id(order)).fetch_history()
    opened: list[bytes] = []
    for event in history.events:
        # What a holder of the key reads: every sealed payload of every event, whatever it belongs to.
        sealed = [payload for payload in payloads(event) if payload.metadata["encoding"] != b"json/plain"]
        opened += [one.data for one in await stand.client.data_converter.payload_codec.decode(sealed)]  # type: ignore[union-attr]
    assert any(order.encode() in data for data in opened), "the payloads were opened"
    assert not [data for data in opened if method.encode() in data]
    async with stand.context.db.read() as session:
        assert (await session.exec(select(Secret))).all() == []


def payloads(message: Message) -> list[Payload]:
    """Every payload inside of a protobuf message."""
    if isinstance(message, Payload):
        return [message]
    found: list[Payload] = []
    for field_, value in message.ListFields():
        many = list(value.values()) if hasattr(value, "values") else value if field_.is_repeated else [value]
        found += [one for item in many if isinstance(item, Message) for one in payloads(item)]
    return found


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
    await handle.execute_update(Purchase.complete, await stand.pay(order))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "authorise payment":
            await asyncio.sleep(0.05)
    ended = await handle.execute_update(Purchase.cancel, Cancel())
    assert ended.status is OrderStatus.CANCELLED
    assert (await stand.bought()) == {"orders": {}, "bought": {}}
    await stand.fault(stand.gateway_url, down=0)
    assert set(await stand.payments(order)) <= {"cancelled"}


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
        await handle.execute_update(Purchase.complete, await stand.pay(order))
    ended = await handle.execute_update(Purchase.cancel, Cancel())
    assert ended.status is OrderStatus.CANCELLED


@pytest.fixture
def same_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders quoted in the same moment do not see each other, and are offered the same addresses."""

    async def nothing(session: object, order_id: str) -> set[str]:
        return set()

    monkeypatch.setattr(orders, "quoted_elsewhere", nothing)


async def test_orders_one_after_the_other_are_offered_different_addresses(stand: Stand) -> None:
    first, second = [(await stand.row(await stand.quoted())).candidates for _ in range(2)]
    assert len(first) == len(second) == 5
    assert not {one["address"] for one in first} & {one["address"] for one in second}


async def test_two_orders_for_the_same_address_end_with_one_owner(stand: Stand, same_offers: None) -> None:
    first, second = await stand.quoted(), await stand.quoted()
    wanted = "198.51.100.62"
    ends = await asyncio.gather(stand.buy(first, "tok_visa", wanted), stand.buy(second, "tok_visa", wanted))
    assert sorted(end.status for end in ends) == [OrderStatus.FAILED, OrderStatus.PURCHASED]
    async with stand.context.db.read() as session:
        assert (await session.get(Ip, wanted)) is not None
    assert sorted(await stand.payments(first) + await stand.payments(second)) == ["captured"]


@pytest.mark.parametrize("step", ["reserve", "vet", "authorise", "provision", "capture", "hand_over"])
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


async def test_a_default_candidate_that_was_just_taken_is_replaced(stand: Stand, same_offers: None) -> None:
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
    assert [(one.kind, one.address, one.severity) for one in opened] == [("purchase", result.addresses[0], "critical")]
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


async def test_every_candidate_shows_what_each_list_said_and_its_sample_of_neighbours(stand: Stand) -> None:
    stand.effects._vetting.listed |= {"198.51.100.62", "198.51.100.63"}
    row = await stand.row(await stand.quoted())
    shown = {one["address"]: one for one in row.candidates}
    assert {one["zone"]: one["state"] for one in shown["198.51.100.60"]["listings"]} == {
        "zen.spamhaus.org": "clean",
        "psbl.surriel.com": "unknown",
    }
    around = shown["198.51.100.60"]["neighbours"]
    assert (around["network"], len(around["asked"])) == ("198.51.100.0/24", 4)
    assert shown["198.51.100.60"]["verdict"] == "recommended"
    assert shown["198.51.100.60"]["reasons"][0] == "no answer from psbl.surriel.com, so unknown there"
    # .61 has two listed neighbours in its sample, one more than bad luck explains.
    assert shown["198.51.100.61"]["verdict"] == "refused"
    assert "2 of 4 neighbours asked in 198.51.100.0/24 are listed" in shown["198.51.100.61"]["reasons"][0]
    assert shown["198.51.100.61"]["ptr"] == "dsl-61.pool.customer.test"
    assert shown["198.51.100.60"]["ptr_state"] == "none"


async def test_a_default_candidate_listed_since_the_quote_is_replaced(stand: Stand) -> None:
    order = await stand.quoted(count=2)
    good = [one["address"] for one in (await stand.row(order)).candidates if one["verdict"] == "recommended"]
    stand.effects._vetting.listed.add(good[0])
    stand.effects.crash = {"vet"}
    result = await stand.buy(order)
    assert result.status is OrderStatus.PURCHASED
    assert good[0] not in result.addresses
    assert sorted((await stand.bought())["bought"]) == sorted(result.addresses)
    assert sorted((await stand.bought())["orders"]) == sorted(result.addresses), "the listed one was given back"
    async with stand.context.db.read() as session:
        assert sorted(one.address for one in await orders.held_by(session, order)) == sorted(result.addresses)
    assert await stand.payments(order) == ["captured"]


async def test_a_candidate_chosen_by_name_is_not_replaced(stand: Stand) -> None:
    order = await stand.quoted()
    stand.effects._vetting.listed.add("198.51.100.62")
    result = await stand.buy(order, "tok_visa", "198.51.100.62")
    assert result.status is OrderStatus.FAILED
    assert "198.51.100.62 failed the second vetting: listed on zen.spamhaus.org" in result.reason
    assert "chosen by name" in result.reason
    assert await stand.payments(order) == []
    assert (await stand.bought()) == {"orders": {}, "bought": {}}


async def test_slow_and_paid_calls_wait_on_their_own_queue(stand: Stand) -> None:
    order = await stand.quoted()
    await stand.buy(order)
    history = await stand.client.get_workflow_handle(purchase_id(order)).fetch_history()
    queues: dict[str, set[str]] = {}
    for event in history.events:
        asked = event.activity_task_scheduled_event_attributes
        if asked.activity_type.name:
            queues.setdefault(asked.task_queue.name, set()).add(asked.activity_type.name)
    assert queues == {
        stand.queue: {"purchase_mark"},
        vendors_of(stand.queue): {
            *("purchase_quote", "purchase_reserve", "purchase_vet", "purchase_authorise"),
            *("purchase_provision", "purchase_capture", "purchase_hand_over"),
        },
    }


@pytest.mark.parametrize("kind", [PaymentEventKind.CANCELLED, PaymentEventKind.DISPUTED])
async def test_a_payment_that_ends_by_itself_stops_the_order_and_undoes_it(
    stand: Stand, kind: PaymentEventKind
) -> None:
    order = await stand.quoted()
    handle = stand.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    down = stand.effects._vendors["sandbox"].provision
    stand.effects._vendors["sandbox"].provision = unreachable  # type: ignore[method-assign]
    await handle.execute_update(Purchase.complete, await stand.pay(order))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "provision":
            await asyncio.sleep(0.05)
    await handle.signal(Purchase.payment_changed, PaymentEvent(event_id="evt_0", kind=PaymentEventKind.FAILED))
    await handle.signal(Purchase.payment_changed, PaymentEvent(event_id="evt_1", kind=kind))
    result = await asyncio.wait_for(handle.result(), 30)
    stand.effects._vendors["sandbox"].provision = down  # type: ignore[method-assign]
    assert result.status is OrderStatus.FAILED
    assert ("expired" if kind is PaymentEventKind.CANCELLED else "disputed") in result.reason
    assert await stand.payments(order) == ["cancelled"]
    assert (await stand.bought()) == {"orders": {}, "bought": {}}


async def test_a_signed_webhook_stops_the_order_of_its_payment(stand: Stand) -> None:
    """Over HTTP: the event is kept with its signal in one transaction, and the relay delivers it."""
    secret = "whsec_of_this_test"
    order = await stand.quoted()
    handle = stand.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    stand.effects._vendors["sandbox"].provision = unreachable  # type: ignore[method-assign]
    await handle.execute_update(Purchase.complete, await stand.pay(order))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "provision":
            await asyncio.sleep(0.05)
    ref = (await stand.row(order)).payment_ref
    subject = {"id": ref, "cancellation_reason": "void"}
    body = json.dumps({"id": "evt_9", "type": "payment_intent.canceled", "data": {"object": subject}})
    signature = stripe.WebhookSignature.generate_signature_header(body, secret)
    settings = stand.context.settings.model_copy(update={"stripe_webhook_secret": SecretStr(secret)})
    app = create(settings, stand.context.db, stand.client)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as client,
    ):
        answer = await client.post("/v1/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})
        assert answer.json() == {"received": 1, "new": 1}
        result = await asyncio.wait_for(handle.result(), 30)
    assert result.status is OrderStatus.FAILED
    assert "Stripe says: void." in result.reason
    assert await stand.payments(order) == ["cancelled"]
    assert (await stand.bought()) == {"orders": {}, "bought": {}}


async def unreachable(address: str, order: str) -> str:
    """A vendor that is down for as long as it takes."""
    raise VendorError(VendorFault.RETRYABLE, "The vendor does not answer.")
