"""The purchase of IPs on the real Temporal server, with the sandbox's vendor and gateway over HTTP."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf.message import Message
from sqlmodel import select
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError

from activities.purchase_messages import Step
from domain.purchase import Cancel
from domain.words import OrderStatus
from store import ips
from store import purchase as orders
from store.tables.accounts import Secret
from store.tables.ips import Ip
from tests.workflows.shop import Counting, Shop, vendors_of
from workflows.ids import ip_id, purchase_id
from workflows.purchase import Purchase


async def test_an_order_is_quoted_bought_and_handed_over(shop: Shop) -> None:
    order = await shop.quoted(count=2)
    quoted = await shop.row(order)
    assert quoted.quote["total"] == {"amount": "16.00", "currency": "USD"}
    assert quoted.quote["monthly_cost"]["amount"] == "12.00"

    result = await shop.buy(order)

    assert result.status is OrderStatus.PURCHASED
    assert (await shop.row(order)).ips == result.addresses
    assert await shop.payments(order) == ["captured"]
    assert list((await shop.bought())["bought"]) == result.addresses
    for address in result.addresses:
        assert await shop.client.get_workflow_handle(ip_id(address)).result() == address


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
async def test_the_payment_method_stands_in_no_history_and_is_forgotten_at_the_end(shop: Shop, method: str) -> None:
    order = await shop.quoted()
    await shop.buy(order, method)
    history = await shop.client.get_workflow_handle(purchase_id(order)).fetch_history()
    opened: list[bytes] = []
    for event in history.events:
        # What a holder of the key reads: every sealed payload of every event, whatever it belongs to.
        sealed = [payload for payload in payloads(event) if payload.metadata["encoding"] != b"json/plain"]
        opened += [one.data for one in await shop.client.data_converter.payload_codec.decode(sealed)]  # type: ignore[union-attr]
    assert any(order.encode() in data for data in opened), "the payloads were opened"
    assert not [data for data in opened if method.encode() in data]
    async with shop.context.db.read() as session:
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


async def test_a_quote_expires(shop: Shop) -> None:
    order = await shop.order(quote_seconds=0.2)
    row = await shop.until(order, lambda it: it.status == OrderStatus.EXPIRED)
    assert "expired" in row.reason


async def test_an_order_without_stock_waits_and_can_be_cancelled(shop: Shop) -> None:
    await shop.fault(shop.vendor_url, empty=1)
    order = await shop.order()
    row = await shop.until(order, lambda it: it.status == OrderStatus.WAITLISTED)
    assert row.waitlist_until is not None
    handle = shop.client.get_workflow_handle_for(Purchase.run, purchase_id(order))
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(Purchase.complete, await shop.pay(order))
    ended = await handle.execute_update(Purchase.cancel, Cancel())
    assert ended.status is OrderStatus.CANCELLED


async def test_an_order_waits_for_stock_until_its_deadline(shop: Shop) -> None:
    hurried = shop.context.settings.model_copy(update={"waitlist_hours": 0.0001, "waitlist_look_seconds": 0.1})
    shop.effects._context = dataclasses.replace(shop.context, settings=hurried)
    await shop.fault(shop.vendor_url, empty=1_000)
    order = await shop.order()
    row = await shop.until(order, lambda it: it.status == OrderStatus.EXPIRED)
    assert row.reason.endswith("The waitlist's deadline has passed.")
    assert (row.waiting_for, await shop.payments(order)) == ("", [])


@pytest.mark.parametrize("step", ["reserve", "vet", "authorise", "provision", "capture", "hand_over"])
async def test_a_crash_after_a_step_charges_once(shop: Shop, step: str) -> None:
    shop.effects.crash = {step}
    order = await shop.quoted()
    result = await shop.buy(order)
    assert result.status is OrderStatus.PURCHASED
    assert not shop.effects.crash
    assert await shop.payments(order) == ["captured"]
    assert list((await shop.bought())["bought"]) == result.addresses


async def test_a_hand_over_that_breaks_off_leaves_neither_ip_nor_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await shop.quoted()
    address = (await shop.row(order)).candidates[0]["address"]

    async def killed(*_: object, **__: object) -> None:
        raise RuntimeError("killed in the middle")

    monkeypatch.setattr("activities.purchase.orders.change", killed)
    with pytest.raises(RuntimeError, match="in the middle"):
        await shop.effects.hand_over(Step(order_id=order, addresses=[address]))
    async with shop.context.db.read() as session:
        assert await session.get(Ip, address) is None, "the IP is handed over together with the end of its order"
    assert (await shop.row(order)).status == OrderStatus.QUOTED


async def test_a_capture_whose_answer_was_lost_is_not_asked_again(shop: Shop) -> None:
    shop.effects._payments = gateway = Counting(shop.gateway_url)
    shop.effects.crash = {"capture"}
    result = await shop.buy(await shop.quoted())
    assert result.status is OrderStatus.PURCHASED
    assert gateway.captures == 1


async def test_lost_answers_charge_once(shop: Shop) -> None:
    order = await shop.quoted()
    await shop.fault(shop.gateway_url, lost=2)
    await shop.fault(shop.vendor_url, lost=2)
    assert (await shop.buy(order)).status is OrderStatus.PURCHASED
    assert await shop.payments(order) == ["captured"]


async def test_slow_and_paid_calls_wait_on_their_own_queue(shop: Shop) -> None:
    order = await shop.quoted()
    await shop.buy(order)
    history = await shop.client.get_workflow_handle(purchase_id(order)).fetch_history()
    queues: dict[str, set[str]] = {}
    for event in history.events:
        asked = event.activity_task_scheduled_event_attributes
        if asked.activity_type.name:
            queues.setdefault(asked.task_queue.name, set()).add(asked.activity_type.name)
    assert queues == {
        shop.queue: {"purchase_mark"},
        vendors_of(shop.queue): {
            *("purchase_quote", "purchase_reserve", "purchase_vet", "purchase_authorise"),
            *("purchase_provision", "purchase_capture", "purchase_hand_over"),
        },
    }


@pytest.mark.parametrize(("kind", "limit"), [("shared", 1_200), ("dedicated", 2_000)])
async def test_a_bought_ip_may_send_what_its_type_may(shop: Shop, kind: str, limit: int) -> None:
    order = await shop.quoted()
    async with shop.context.db.write() as session:
        await orders.change(session, order, type=kind)
    (address,) = (await shop.buy(order)).addresses
    async with shop.context.db.read() as session:
        ip = await ips.get(session, address)
    assert (ip.type, ip.safe_limit) == (kind, limit)
