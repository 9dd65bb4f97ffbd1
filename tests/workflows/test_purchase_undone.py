"""Purchases that end early: what was done is undone, and nothing is undone under a step that still runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import httpx
import pytest
import stripe
from pydantic import SecretStr
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError, WorkflowUpdateStage

from api.app import create
from domain.purchase import (
    AGAIN,
    Cancel,
    PaymentEvent,
    PaymentEventKind,
)
from domain.words import OrderStatus
from providers.ip_vendors.port import VendorError, VendorFault
from providers.ip_vendors.sandbox import SandboxVendor
from providers.payments.port import Payment
from providers.payments.sandbox import SandboxPayments
from store import incidents
from store import purchase as orders
from tests.workflows.shop import Shop, Stuck, unreachable
from workflows.ids import ip_id, purchase_id
from workflows.purchase import Purchase


async def test_a_declined_card_releases_the_ip(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    order = await shop.quoted()
    result = await shop.buy(order, "tok_declined")
    assert not [one for one in caplog.records if one.exc_info], "a refusal is no fault"
    assert result.status is OrderStatus.FAILED
    assert "declined" in result.reason
    assert (await shop.bought()) == {"orders": {}, "bought": {}}
    async with shop.context.db.read() as session:
        assert not await orders.held_by(session, order)


async def test_an_authorisation_that_expired_undoes_everything(shop: Shop) -> None:
    order = await shop.quoted()
    result = await shop.buy(order, "tok_expired_auth")
    assert result.status is OrderStatus.FAILED
    assert "expired" in result.reason
    assert await shop.payments(order) == ["cancelled"]
    assert (await shop.bought()) == {"orders": {}, "bought": {}}


async def test_money_that_was_taken_is_given_back_when_the_ips_cannot_be_handed_over(shop: Shop) -> None:
    async def refuses(order: str, keep: Sequence[str]) -> None:
        if keep:
            raise VendorError(VendorFault.REFUSED, "the account is closed")

    shop.effects._vendors["sandbox"].abandon = refuses  # type: ignore[method-assign]
    order = await shop.quoted()
    result = await shop.buy(order)
    assert result.status is OrderStatus.FAILED
    assert result.reason == "the account is closed"
    assert await shop.payments(order) == ["refunded"]
    assert (await shop.row(order)).payment["status"] == "refunded"
    assert (await shop.bought()) == {"orders": {}, "bought": {}}


class Holding(SandboxPayments):
    """A gateway that holds the money and answers only when the test lets it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.held, self.go_on = asyncio.Event(), asyncio.Event()

    async def authorise(self, ref: str, key: str) -> Payment:
        await super().authorise(ref, key)
        self.held.set()
        await self.go_on.wait()
        raise ConnectionError("the answer was lost")


async def test_money_held_by_a_step_that_gave_no_answer_is_let_go(shop: Shop) -> None:
    shop.effects._payments = gateway = Holding(shop.gateway_url)
    order = await shop.quoted()
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    await asyncio.wait_for(gateway.held.wait(), 20)
    assert await shop.payments(order) == ["authorised"]
    accepted = WorkflowUpdateStage.ACCEPTED
    cancelled = await handle.start_update(Purchase.cancel, Cancel(), wait_for_stage=accepted)
    gateway.go_on.set()
    assert (await cancelled.result()).status is OrderStatus.CANCELLED
    assert await shop.payments(order) == ["cancelled"]


async def test_a_cancelled_quote_ends_and_cannot_be_bought(shop: Shop) -> None:
    order = await shop.quoted()
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    ended = await handle.execute_update(Purchase.cancel, Cancel(reason="changed my mind"))
    assert ended.status is OrderStatus.CANCELLED
    assert (await shop.row(order)).reason == "changed my mind"


async def test_a_cancel_during_an_outage_undoes_what_was_done(shop: Shop) -> None:
    order = await shop.quoted()
    await shop.fault(shop.gateway_url, down=4)
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "authorise payment":
            await asyncio.sleep(0.05)
    ended = await handle.execute_update(Purchase.cancel, Cancel())
    assert ended.status is OrderStatus.CANCELLED
    assert (await shop.bought()) == {"orders": {}, "bought": {}}
    await shop.fault(shop.gateway_url, down=0)
    assert set(await shop.payments(order)) <= {"cancelled"}


async def test_an_undo_that_fails_opens_an_incident_and_the_rest_is_undone(shop: Shop) -> None:
    shop.effects._payments = Stuck(shop.gateway_url)
    order = await shop.quoted()
    result = await shop.buy(order, "tok_expired_auth")
    assert result.status is OrderStatus.FAILED
    async with shop.context.db.read() as session:
        opened = await incidents.listing(session, open_only=True)
    assert [(one.kind, one.address, one.severity) for one in opened] == [("purchase", result.addresses[0], "critical")]
    assert order in opened[0].detail
    assert "the bank takes nothing back today" in opened[0].detail
    assert (await shop.bought()) == {"orders": {}, "bought": {}}


@pytest.mark.parametrize("kind", [PaymentEventKind.CANCELLED, PaymentEventKind.DISPUTED])
async def test_a_payment_that_ends_by_itself_stops_the_order_and_undoes_it(shop: Shop, kind: PaymentEventKind) -> None:
    order = await shop.quoted()
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    down = shop.effects._vendors["sandbox"].provision
    shop.effects._vendors["sandbox"].provision = unreachable  # type: ignore[method-assign]
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "provision":
            await asyncio.sleep(0.05)
    await handle.signal(Purchase.payment_changed, PaymentEvent(event_id="evt_0", kind=PaymentEventKind.FAILED))
    await handle.signal(Purchase.payment_changed, PaymentEvent(event_id="evt_1", kind=kind))
    result = await asyncio.wait_for(handle.result(), 30)
    shop.effects._vendors["sandbox"].provision = down  # type: ignore[method-assign]
    assert result.status is OrderStatus.FAILED
    assert ("expired" if kind is PaymentEventKind.CANCELLED else "disputed") in result.reason
    assert await shop.payments(order) == ["cancelled"]
    assert (await shop.bought()) == {"orders": {}, "bought": {}}


async def test_a_signed_webhook_stops_the_order_of_its_payment(shop: Shop) -> None:
    """Over HTTP: the event is kept with its signal in one transaction, and the relay delivers it."""
    secret = "whsec_of_this_test"
    order = await shop.quoted()
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    shop.effects._vendors["sandbox"].provision = unreachable  # type: ignore[method-assign]
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    async with asyncio.timeout(20):
        while (await handle.query(Purchase.state)).step != "provision":
            await asyncio.sleep(0.05)
    ref = (await shop.row(order)).payment_ref
    subject = {"id": ref, "cancellation_reason": "void"}
    body = json.dumps({"id": "evt_9", "type": "payment_intent.canceled", "data": {"object": subject}})
    signature = stripe.WebhookSignature.generate_signature_header(body, secret)
    settings = shop.context.settings.model_copy(update={"stripe_webhook_secret": SecretStr(secret)})
    app = create(settings, shop.context.db, shop.client)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as client,
    ):
        answer = await client.post("/v1/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})
        assert answer.json() == {"received": 1, "new": 1}
        result = await asyncio.wait_for(handle.result(), 30)
    assert result.status is OrderStatus.FAILED
    assert "Stripe says: void." in result.reason
    assert await shop.payments(order) == ["cancelled"]
    assert (await shop.bought()) == {"orders": {}, "bought": {}}


class Slow(SandboxVendor):
    """A vendor that sells, but answers only when the test lets it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def provision(self, address: str, order: str) -> str:
        self.asked.set()
        await self.go_on.wait()
        return await super().provision(address, order)

    async def abandon(self, order: str, keep: Sequence[str]) -> None:
        """What the last step and the end of an order ask; only the last step waits."""
        if keep:
            self.asked.set()
            await self.go_on.wait()
        await super().abandon(order, keep)


async def test_a_cancellation_in_the_temporal_ui_lets_the_step_under_way_end_before_it_undoes(shop: Shop) -> None:
    shop.effects._vendors["sandbox"] = vendor = Slow(shop.vendor_url)
    order = await shop.quoted()
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    await asyncio.wait_for(vendor.asked.wait(), 20)
    await handle.cancel()
    assert await shop.asked_by(order, "workflow_execution_cancel_requested") == "purchase_provision"
    vendor.go_on.set()
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 30)
    assert (await shop.row(order)).status == OrderStatus.CANCELLED
    assert await shop.payments(order) == ["cancelled"]
    assert (await shop.bought()) == {"orders": {}, "bought": {}}
    async with shop.context.db.read() as session:
        assert not await orders.held_by(session, order)


async def test_a_cancellation_comes_too_late_for_what_is_being_handed_over(shop: Shop) -> None:
    shop.effects._vendors["sandbox"] = vendor = Slow(shop.vendor_url)
    order = await shop.quoted()
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    await asyncio.wait_for(vendor.asked.wait(), 20)
    vendor.go_on.set()
    vendor.asked.clear()
    vendor.go_on.clear()
    await asyncio.wait_for(vendor.asked.wait(), 20)
    assert (await handle.query(Purchase.state)).step == "hand over"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await asyncio.wait_for(handle.execute_update(Purchase.cancel, Cancel()), 10)
    assert "cannot be cancelled" in str(refused.value.cause)
    await handle.cancel()
    await shop.asked_by(order, "workflow_execution_cancel_requested")
    vendor.go_on.set()
    result = await asyncio.wait_for(handle.result(), 30)
    assert result.status is OrderStatus.PURCHASED
    assert (await shop.row(order)).status == OrderStatus.PURCHASED
    assert await shop.payments(order) == ["captured"]
    assert list((await shop.bought())["bought"]) == result.addresses
    assert await shop.client.get_workflow_handle(ip_id(result.addresses[0])).result() == result.addresses[0]


async def test_while_nobody_answers_the_order_says_why_and_then_goes_on(shop: Shop) -> None:
    order = await shop.quoted()
    await shop.fault(shop.gateway_url, down=1_000)
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    await handle.execute_update(Purchase.complete, await shop.pay(order))
    row = await shop.until(order, lambda row: row.waiting_for.startswith(AGAIN))
    assert (row.status, row.reason) == (OrderStatus.PURCHASING, "")
    assert "503" in row.waiting_for
    await shop.fault(shop.gateway_url, down=0)
    await shop.fault(shop.vendor_url, slow=3_000)
    assert (await shop.until(order, lambda row: row.payment.get("status") == "authorised")).waiting_for
    row = await shop.until(order, lambda row: not row.waiting_for.startswith(AGAIN))
    assert row.waiting_for == "the purchase to run"
    await shop.fault(shop.vendor_url, slow=0)
    assert (await handle.result()).status is OrderStatus.PURCHASED
    assert (await shop.row(order)).waiting_for == ""
