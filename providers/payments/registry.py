"""The payment provider that the settings name."""

from __future__ import annotations

from providers.payments.port import PaymentProvider
from providers.payments.sandbox import SandboxPayments
from providers.payments.stripe import StripePayments
from settings import Settings


def provider(settings: Settings) -> PaymentProvider:
    """The provider that this installation uses.

    Raises:
        ValueError: no such provider, or its key is missing.
    """
    if settings.payments == "sandbox":
        return SandboxPayments(settings.sandbox_payments_url)
    if settings.payments != "stripe":
        raise ValueError(f"WARMPATH_PAYMENTS: no provider {settings.payments!r}; set `stripe` or `sandbox`.")
    if settings.stripe_api_key is None:
        raise ValueError("WARMPATH_STRIPE_API_KEY: set Stripe's secret key.")
    return StripePayments(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
