"""What Warmpath needs from a payment provider: open, authorise, capture, undo, look."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class PaymentStatus(StrEnum):
    """Where a payment stands at the provider. ``open`` holds no money yet."""

    OPEN = "open"
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

    async def open(self, order: str, amount: Decimal, currency: str, method: str, key: str) -> Payment:
        """Make a payment that moves no money yet, on a payment method (the provider's token).

        Its ``ref`` is written down before anything is held, so that every later look is by id: an answer lost
        here leaves nothing behind but an empty payment.

        Raises:
            PaymentRefused: the payment method is not known.
            PaymentUnavailable: no answer.
        """
        ...

    async def authorise(self, ref: str, key: str) -> Payment:
        """Hold the amount.

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
        """Let go of a held amount, or end an open payment."""
        ...

    async def refund(self, ref: str, key: str) -> Payment:
        """Give a taken amount back."""
        ...

    async def look(self, ref: str) -> Payment:
        """A payment as it stands now, also one whose last answer was lost."""
        ...
