"""What Warmpath needs from a payment provider: authorise, capture, undo, find."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from settings import Settings


class PaymentStatus(StrEnum):
    """Where a payment stands at the provider."""

    AUTHORISED = "authorised"
    CAPTURED = "captured"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    DECLINED = "declined"


class PaymentRefused(Exception):
    """The provider said no for good: a declined card, an expired authorisation. Not to be repeated."""


class PaymentUnavailable(Exception):
    """The provider did not answer; the same call with the same key may be repeated."""


@dataclass(frozen=True)
class Payment:
    """One payment as the provider knows it."""

    ref: str
    status: PaymentStatus
    amount: Decimal
    currency: str


class PaymentProvider(Protocol):
    """One provider. ``key`` is order id and step: the same key is one effect, however often it is sent."""

    name: str

    async def authorise(self, order: str, amount: Decimal, currency: str, method: str, key: str) -> Payment:
        """Hold an amount on a payment method (the provider's token).

        Raises:
            PaymentRefused: declined.
            PaymentUnavailable: no answer.
        """
        ...

    async def capture(self, ref: str, key: str) -> Payment:
        """Take the held amount.

        Raises:
            PaymentRefused: the authorisation expired or was cancelled.
        """
        ...

    async def cancel(self, ref: str, key: str) -> Payment:
        """Let go of a held amount."""
        ...

    async def refund(self, ref: str, key: str) -> Payment:
        """Give a taken amount back."""
        ...

    async def find(self, order: str) -> list[Payment]:
        """Every payment of an order, also one whose answer was lost."""
        ...


def provider(settings: Settings) -> PaymentProvider:
    """The provider that this installation uses.

    Raises:
        ValueError: no such provider, or its key is missing.
    """
    from providers.payments.sandbox import SandboxPayments
    from providers.payments.stripe import StripePayments

    if settings.payments == "sandbox":
        return SandboxPayments(settings.sandbox_payments_url)
    if settings.payments != "stripe":
        raise ValueError(f"WARMPATH_PAYMENTS: no provider {settings.payments!r}; set `stripe` or `sandbox`.")
    if settings.stripe_api_key is None:
        raise ValueError("WARMPATH_STRIPE_API_KEY: set Stripe's secret key.")
    return StripePayments(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
