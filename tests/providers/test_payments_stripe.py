"""Stripe over HTTP against localstripe in its own process, with idempotency put in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from providers.payments import stripe as stripe_adapter
from providers.payments.port import PaymentRefused, PaymentStatus, PaymentUnavailable
from providers.payments.stripe import StripePayments, verify_webhook
from tests.ports import free_ports
from workflows.options import VENDOR

#: A test card that can be named and whose charges are declined.
DECLINED = "4000000000000341"


class Front:
    """Answers a repeated Idempotency-Key from memory, and can lose an answer after the effect."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.lose = 0
        self.refuses: tuple[int, str] | None = None
        self._answers: dict[str, tuple[int, bytes]] = {}
        self.app = FastAPI()

        @self.app.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
        async def relay(path: str, request: Request) -> Response:
            key = request.headers.get("idempotency-key", "")
            if self.refuses is not None:
                status, kind = self.refuses
                return Response(json.dumps({"error": {"type": kind, "message": "no"}}), status)
            if request.method != "POST" or key not in self._answers:
                kept = ("authorization", "content-type")
                async with httpx.AsyncClient(base_url=upstream, timeout=10) as client:
                    answer = await client.request(
                        request.method,
                        f"/{path}",
                        params=dict(request.query_params),
                        content=await request.body(),
                        headers={name: request.headers[name] for name in kept if name in request.headers},
                    )
                found = answer.status_code, answer.content
                if request.method == "POST":
                    self._answers[key] = found
            else:
                found = self._answers[key]
            if request.method == "POST" and self.lose:
                self.lose -= 1
                return Response(b'{"error": {"type": "api_error", "message": "lost"}}', 500)
            return Response(found[1], found[0], media_type="application/json")


@pytest.fixture
async def front() -> AsyncIterator[tuple[Front, StripePayments]]:
    port, own = free_ports(2)
    double = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "localstripe"), "--port", str(port), "--from-scratch",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    front = Front(f"http://127.0.0.1:{port}")
    server = uvicorn.Server(uvicorn.Config(front.app, host="127.0.0.1", port=own, log_level="error"))
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            for waited in (port, own):
                while True:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", waited)
                        writer.close()
                        break
                    await asyncio.sleep(0.05)
        yield front, StripePayments("sk_test_12345", f"http://127.0.0.1:{own}")
    finally:
        server.should_exit = True
        await task
        double.terminate()
        await double.wait()


async def test_a_payment_is_held_taken_and_given_back(front: tuple[Front, StripePayments]) -> None:
    _, stripe = front
    opened = await stripe.open("o1", Decimal("8.00"), "USD", "pm_card_visa", "o1:open")
    assert opened.status is PaymentStatus.OPEN, "no money is held yet"
    held = await stripe.authorise(opened.ref, "o1:authorise")
    assert (held.status, held.amount, held.currency) == (PaymentStatus.AUTHORISED, Decimal("8"), "USD")
    taken = await stripe.capture(held.ref, "o1:capture")
    assert taken.status is PaymentStatus.CAPTURED
    assert (await stripe.refund(held.ref, "o1:refund")).status is PaymentStatus.REFUNDED
    assert (await stripe.look(held.ref)).status is PaymentStatus.REFUNDED


@pytest.mark.parametrize(
    ("status", "kind", "raised", "said"),
    [
        (401, "invalid_request_error", PaymentUnavailable, "WARMPATH_STRIPE_API_KEY"),
        (403, "invalid_request_error", PaymentUnavailable, "WARMPATH_STRIPE_API_KEY"),
        (429, "invalid_request_error", PaymentUnavailable, "does not answer"),
        (400, "idempotency_error", PaymentRefused, "no"),
        (400, "invalid_request_error", PaymentRefused, "no"),
        (500, "api_error", PaymentUnavailable, "error of its own"),
    ],
)
async def test_every_error_of_stripe_is_a_refusal_or_a_reason_to_try_again(
    front: tuple[Front, StripePayments], status: int, kind: str, raised: type[Exception], said: str
) -> None:
    between, stripe = front
    between.refuses = status, kind
    with pytest.raises(raised, match=said):
        await stripe.open("o9", Decimal("8.00"), "USD", "pm_card_visa", "o9:open")


async def test_a_held_payment_is_let_go(front: tuple[Front, StripePayments]) -> None:
    _, stripe = front
    opened = await stripe.open("o2", Decimal("8.00"), "USD", "pm_card_visa", "o2:open")
    held = await stripe.authorise(opened.ref, "o2:authorise")
    assert (await stripe.cancel(held.ref, "o2:cancel")).status is PaymentStatus.CANCELLED
    assert (await stripe.look(held.ref)).status is PaymentStatus.CANCELLED


async def test_a_cancelled_payment_takes_no_late_authorisation(front: tuple[Front, StripePayments]) -> None:
    _, stripe = front
    opened = await stripe.open("o5", Decimal("8.00"), "USD", "pm_card_visa", "o5:open")
    await stripe.cancel(opened.ref, "o5:cancel")
    with pytest.raises(PaymentRefused):
        await stripe.authorise(opened.ref, "o5:authorise")


async def card(url: str, number: str) -> str:
    """The token of a test card, as the payment provider's own page would make it."""
    shown = {"number": number, "cvc": "123", "exp_month": "12", "exp_year": "2040"}
    form = {"type": "card", **{f"card[{name}]": value for name, value in shown.items()}}
    async with httpx.AsyncClient(base_url=url, auth=("sk_test_12345", "")) as client:
        return str((await client.post("/v1/payment_methods", data=form)).raise_for_status().json()["id"])


async def test_a_declined_card_is_refused_and_nothing_is_held(front: tuple[Front, StripePayments]) -> None:
    before, stripe = front
    method = await card(before.upstream, DECLINED)
    opened = await stripe.open("o3", Decimal("8.00"), "USD", method, "o3:open")
    with pytest.raises(PaymentRefused):
        await stripe.authorise(opened.ref, "o3:authorise")
    assert (await stripe.look(opened.ref)).status is PaymentStatus.OPEN


async def test_a_lost_answer_is_one_payment_held_once(front: tuple[Front, StripePayments]) -> None:
    before, stripe = front
    before.lose = 1
    with pytest.raises(PaymentUnavailable):
        await stripe.open("o4", Decimal("8.00"), "USD", "pm_card_visa", "o4:open")
    opened = await stripe.open("o4", Decimal("8.00"), "USD", "pm_card_visa", "o4:open")
    before.lose = 1
    with pytest.raises(PaymentUnavailable):
        await stripe.authorise(opened.ref, "o4:authorise")
    assert (await stripe.look(opened.ref)).status is PaymentStatus.AUTHORISED, "held, though nobody was told"
    assert (await stripe.authorise(opened.ref, "o4:authorise")).ref == opened.ref
    listed = await stripe._call(stripe._client.v1.payment_intents.list)
    assert len(listed.data) == 1


def test_a_forged_or_old_webhook_is_refused() -> None:
    body, secret = b'{"id": "evt_1"}', "whsec_test"

    def signed(at: int) -> str:
        mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return f"t={at},v1={mac}"

    now = int(time.time())
    verify_webhook(body, signed(now), secret)
    for bad in (signed(now - 3_600), f"t={now},v1=00", ""):
        with pytest.raises(PaymentRefused):
            verify_webhook(body, bad, secret)
    with pytest.raises(PaymentRefused):
        verify_webhook(body + b" ", signed(now), secret)


async def test_a_silent_stripe_is_given_up_before_the_activity_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(stripe_adapter.PATIENCE) < VENDOR["start_to_close_timeout"].total_seconds()
    monkeypatch.setattr(stripe_adapter, "PATIENCE", (5.0, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        payments = StripePayments("sk_test_12345", f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with asyncio.timeout(30):
            with pytest.raises(PaymentUnavailable, match="Stripe does not answer"):
                await payments.look("pi_1")
