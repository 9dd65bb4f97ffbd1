"""The payment provider's events over HTTP: signed, each once, to the order of their payment."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from pydantic import SecretStr
from sqlmodel import select
from temporalio.client import Client

from api.app import create
from domain.words import OrderStatus
from settings import Settings
from store import incidents
from store import purchase as orders
from store.database import Database
from store.tables.outbox import OutboxRow
from store.tables.purchase import Order, PaymentDeadLetter, PaymentEvent
from tests.neighbourhood import serving
from tests.providers.test_payments_stripe import DECLINED, card

SECRET = "whsec_of_this_test"
IPS = ["203.0.113.60", "203.0.113.61"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the webhook's secret."""
    return settings.model_copy(update={"stripe_webhook_secret": SecretStr(SECRET)})


def event(kind: str = "charge.dispute.created", ref: str = "pi_1", identity: str = "evt_1") -> bytes:
    subject = {"id": ref} if kind.startswith("payment_intent") else {"id": "ch_1", "payment_intent": ref}
    return json.dumps({"id": identity, "type": kind, "data": {"object": {**subject, "reason": "fraudulent"}}}).encode()


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> dict[str, Any]:
    stamp = int(time.time() if at is None else at)
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, stamp)
    return {"content": body, "headers": {"Stripe-Signature": header}}


async def ordered(db: Database, status: OrderStatus, ref: str = "pi_1") -> None:
    async with db.write() as session:
        row = Order(id=f"o_{ref}", vendor="sandbox", region="r", domain="d.test", hostname="m.d.test", status=status)
        session.add(row)
        paid = {"id": ref, "status": "captured"}
        await orders.change(session, row.id, payment_ref=ref, payment=paid, ips=IPS)


async def rows(db: Database, table: Any) -> list[Any]:  # noqa: ANN401
    async with db.read() as session:
        return list((await session.exec(select(table))).all())


@pytest.mark.parametrize(
    "sent",
    [
        lambda: {"content": event()},
        lambda: signed(event(), secret="whsec_of_somebody_else"),
        lambda: signed(event(), at=time.time() - 3_600),
        lambda: {**signed(event()), "content": event(ref="pi_2")},
        lambda: {"content": event(), "headers": {"Stripe-Signature": b"t=1,v1=\xe9"}},
        lambda: {"content": event(), "headers": {"Stripe-Signature": "t=x,v1=,,"}},
    ],
    ids=["unsigned", "forged", "stale", "another body", "not ASCII", "no time"],
)
async def test_a_forged_or_stale_event_is_refused_and_changes_nothing(
    api: httpx.AsyncClient, db: Database, sent: Callable[[], dict[str, Any]]
) -> None:
    await ordered(db, OrderStatus.PURCHASED)
    answer = await api.post("/v1/webhooks/stripe", **sent())
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    assert await rows(db, PaymentEvent) == await rows(db, PaymentDeadLetter) == []
    assert (await rows(db, Order))[0].payment["status"] == "captured"


@pytest.mark.parametrize(
    "body", [b"[1]", b"{", b'{"id": 1}', b'{"id": "evt_1", "type": "charge.refunded", "data": 7}', b"\xff"]
)
async def test_a_signed_body_without_sense_is_refused(api: httpx.AsyncClient, db: Database, body: bytes) -> None:
    sent = signed(body) if body != b"\xff" else {"content": body, "headers": {"Stripe-Signature": "t=1,v1=a"}}
    answer = await api.post("/v1/webhooks/stripe", **sent)
    assert answer.status_code in (400, 401), answer.text
    assert await rows(db, PaymentEvent) == []


async def test_an_event_of_an_unknown_order_is_404_and_one_dead_letter(api: httpx.AsyncClient, db: Database) -> None:
    for _ in range(2):
        answer = await api.post("/v1/webhooks/stripe", **signed(event(ref="pi_unknown")))
        assert answer.status_code == 404
        assert "pi_unknown" in answer.json()["detail"]
    (letter,) = await rows(db, PaymentDeadLetter)
    assert (letter.event_id, letter.payment_ref, letter.received) == ("evt_1", "pi_unknown", 2)


async def test_a_dispute_sent_twenty_times_is_one_incident_an_ip(api: httpx.AsyncClient, db: Database) -> None:
    await ordered(db, OrderStatus.PURCHASED)
    answers = await asyncio.gather(*(api.post("/v1/webhooks/stripe", **signed(event())) for _ in range(20)))
    assert sorted(one.json()["new"] for one in answers) == [0] * 19 + [1]
    async with db.read() as session:
        opened = await incidents.listing(session, open_only=True)
    assert sorted(one.address for one in opened) == IPS
    assert {(one.kind, one.severity) for one in opened} == {("payment", "critical")}
    assert "disputed by the card's holder. Stripe says: fraudulent." in opened[0].detail
    shown = (await api.get("/v1/orders/o_pi_1")).json()
    assert shown["payment"]["status"] == "disputed"


@pytest.mark.parametrize("status", [OrderStatus.FAILED, OrderStatus.CANCELLED])
async def test_our_own_undo_that_comes_back_as_an_event_opens_nothing(
    api: httpx.AsyncClient, db: Database, status: OrderStatus
) -> None:
    await ordered(db, status)
    answer = await api.post("/v1/webhooks/stripe", **signed(event("payment_intent.canceled")))
    assert answer.json() == {"received": 1, "new": 1}
    async with db.read() as session:
        assert not await incidents.listing(session)
    assert await rows(db, OutboxRow) == []


async def test_an_event_that_says_nothing_of_a_payments_end_is_answered_and_not_kept(
    api: httpx.AsyncClient, db: Database
) -> None:
    answer = await api.post("/v1/webhooks/stripe", **signed(event("payment_intent.succeeded")))
    assert answer.json() == {"received": 1, "new": 0}
    assert await rows(db, PaymentEvent) == []


async def test_without_a_secret_the_webhook_says_what_to_set(
    settings: Settings, db: Database, temporal: Client
) -> None:
    app = create(settings.model_copy(update={"stripe_webhook_secret": None}), db, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as client:
        answer = await client.post("/v1/webhooks/stripe", **signed(event()))
    assert answer.status_code == 404
    assert "WARMPATH_STRIPE_WEBHOOK_SECRET" in answer.text


@pytest.fixture
async def gateway(free_port: Callable[[], int]) -> AsyncIterator[str]:
    """A Stripe double in its own process."""
    port = free_port()
    double = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "localstripe"), "--port", str(port), "--from-scratch",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        while True:
            try:
                await client.get(url)
                break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    yield url
    double.terminate()
    await double.wait()


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_a_declined_card_is_reported_by_the_gateway_itself(
    settings: Settings, db: Database, temporal: Client, gateway: str
) -> None:
    client = stripe.StripeClient("sk_test_12345", base_addresses={"api": gateway}, max_network_retries=0)
    method = await card(gateway, DECLINED)
    intent = await asyncio.to_thread(
        client.v1.payment_intents.create,
        params={"amount": 800, "currency": "usd", "payment_method": method, "capture_method": "manual"},
    )
    await ordered(db, OrderStatus.PURCHASING, intent.id)
    async with serving(create(settings, db, temporal)) as url, httpx.AsyncClient() as http:
        hook = {"url": f"{url}/v1/webhooks/stripe", "secret": SECRET}
        assert (await http.post(f"{gateway}/_config/webhooks/warmpath", data=hook)).is_success
        with pytest.raises(stripe.CardError):
            await asyncio.to_thread(client.v1.payment_intents.confirm, intent.id)
        async with asyncio.timeout(20):
            while not (kept := await rows(db, PaymentEvent)):
                await asyncio.sleep(0.05)
    assert [(one.order_id, one.kind) for one in kept] == [(f"o_{intent.id}", "failed")]
    (sent,) = await rows(db, OutboxRow)
    assert (sent.workflow_id, sent.name) == (f"purchase:o_{intent.id}", "payment_changed")
