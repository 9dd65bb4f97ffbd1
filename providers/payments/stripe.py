"""Stripe: payment intents with manual capture; the card never touches this system, only its token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import stripe

from providers.payments.port import (
    Payment,
    PaymentRefused,
    PaymentStatus,
    PaymentUnavailable,
)

STATUS = {
    "requires_capture": PaymentStatus.AUTHORISED,
    "succeeded": PaymentStatus.CAPTURED,
    "canceled": PaymentStatus.CANCELLED,
}

#: Seconds to connect and to wait for an answer: less than the activity's own time limit (30 s), or a call whose attempt
#: was given up would go on in its thread. The library's own default is 80.
PATIENCE = (5.0, 20.0)

#: Seconds that a signed webhook may be old, as Stripe's own libraries have it.
WEBHOOK_TOLERANCE = 300


class StripePayments:
    """Stripe over its own library; retries are Temporal's, so the library makes none."""

    name = "stripe"

    def __init__(self, api_key: str, api_base: str | None = None) -> None:
        bases: Any = {"api": api_base} if api_base else {}
        self._client = stripe.StripeClient(
            api_key,
            base_addresses=bases,
            max_network_retries=0,
            http_client=stripe.new_default_http_client(timeout=PATIENCE),
        )

    async def _call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        key: str | None = None,
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        options = {"idempotency_key": key} if key else {}
        try:
            return await asyncio.to_thread(function, *arguments, options=options, **more)
        except (stripe.APIConnectionError, stripe.RateLimitError) as error:
            raise PaymentUnavailable(f"Stripe does not answer: {error}") from error
        except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError) as error:
            raise PaymentRefused(error.user_message or str(error)) from error
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            # An order goes on where it stood once the key is put right.
            raise PaymentUnavailable(f"Stripe does not accept WARMPATH_STRIPE_API_KEY: {error}") from error
        except stripe.StripeError as error:
            raise PaymentUnavailable(f"Stripe answers with an error of its own: {error}") from error

    async def open(self, order: str, amount: Decimal, currency: str, method: str, key: str) -> Payment:
        """An unconfirmed intent on a payment method or token of Stripe; it holds no money."""
        intent = await self._call(
            self._client.v1.payment_intents.create,
            params={
                "amount": int(amount * 100),
                "currency": currency.lower(),
                "payment_method": method,
                "payment_method_types": ["card"],
                "capture_method": "manual",
                "metadata": {"order": order},
            },
            key=key,
        )
        return _payment(intent)

    async def authorise(self, ref: str, key: str) -> Payment:
        """Confirm the intent, which holds the amount."""
        found = _payment(await self._call(self._client.v1.payment_intents.confirm, ref, key=key))
        if found.status not in (PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED):
            raise PaymentRefused("The card was declined or asks for the holder's confirmation.")
        return found

    async def capture(self, ref: str, key: str) -> Payment:
        """Take a held amount."""
        return _payment(await self._call(self._client.v1.payment_intents.capture, ref, key=key))

    async def cancel(self, ref: str, key: str) -> Payment:
        """Let go of a held amount."""
        return _payment(await self._call(self._client.v1.payment_intents.cancel, ref, key=key))

    async def refund(self, ref: str, key: str) -> Payment:
        """Give a taken amount back."""
        await self._call(self._client.v1.refunds.create, params={"payment_intent": ref}, key=key)
        return await self.look(ref)

    async def look(self, ref: str) -> Payment:
        """The intent by its id, which is consistent at once and costs the same however many there are."""
        expand = {"expand": ["latest_charge"]}
        return _payment(await self._call(self._client.v1.payment_intents.retrieve, ref, params=expand))


def _payment(intent: Any) -> Payment:  # noqa: ANN401
    status = STATUS.get(intent.status, PaymentStatus.OPEN)
    # An intent that was given back still says that it succeeded; its charge knows.
    charge = getattr(intent, "latest_charge", None)
    if status is PaymentStatus.CAPTURED and getattr(charge, "refunded", False):
        status = PaymentStatus.REFUNDED
    return Payment(intent.id, status, Decimal(intent.amount) / 100, str(intent.currency).upper())


def verify_webhook(body: bytes, signature: str, secret: str) -> None:
    """Check ``Stripe-Signature`` over the raw body, five minutes of tolerance.

    Raises:
        PaymentRefused: forged, or too old.
    """
    try:
        stripe.WebhookSignature.verify_header(body.decode(), signature, secret, WEBHOOK_TOLERANCE)
    # TypeError: the library compares texts, and a signature outside of ASCII is none.
    except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError) as error:
        raise PaymentRefused("The webhook is not signed by Stripe, or it is stale.") from error
