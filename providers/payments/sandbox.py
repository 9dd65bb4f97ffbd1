"""The sandbox's payment gateway, over HTTP like a real one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx

from providers.payments.port import (
    Payment,
    PaymentRefused,
    PaymentStatus,
    PaymentUnavailable,
)


class SandboxPayments:
    """Client of ``python -m sandbox.payments``."""

    name = "sandbox"

    def __init__(self, url: str) -> None:
        self._url = url

    async def _ask(self, method: str, path: str, key: str = "", **more: Any) -> Any:  # noqa: ANN401
        try:
            async with httpx.AsyncClient(base_url=self._url, timeout=10) as client:
                answer = await client.request(method, path, headers={"Idempotency-Key": key}, **more)
        except httpx.HTTPError as error:
            raise PaymentUnavailable(f"The payment gateway does not answer ({error!r}).") from error
        if answer.status_code >= 500:
            raise PaymentUnavailable(f"The payment gateway answers {answer.status_code}.")
        if answer.status_code >= 400:
            raise PaymentRefused(str(answer.json().get("detail")))
        return answer.json()

    async def open(self, order: str, amount: Decimal, currency: str, method: str, key: str) -> Payment:
        """Make a payment that moves nothing yet."""
        body = {"order": order, "amount": str(amount), "currency": currency, "method": method}
        return _payment(await self._ask("POST", "/v1/payments", key, json=body))

    async def authorise(self, ref: str, key: str) -> Payment:
        """Hold the amount."""
        return _payment(await self._ask("POST", f"/v1/payments/{ref}/authorise", key))

    async def capture(self, ref: str, key: str) -> Payment:
        """Take a held amount."""
        return _payment(await self._ask("POST", f"/v1/payments/{ref}/capture", key))

    async def cancel(self, ref: str, key: str) -> Payment:
        """Let go of a held amount."""
        return _payment(await self._ask("POST", f"/v1/payments/{ref}/cancel", key))

    async def refund(self, ref: str, key: str) -> Payment:
        """Give a taken amount back."""
        return _payment(await self._ask("POST", f"/v1/payments/{ref}/refund", key))

    async def look(self, ref: str) -> Payment:
        """One payment."""
        return _payment(await self._ask("GET", f"/v1/payments/{ref}"))


def _payment(body: dict[str, Any]) -> Payment:
    return Payment(body["id"], PaymentStatus(body["status"]), Decimal(body["amount"]), body["currency"])
