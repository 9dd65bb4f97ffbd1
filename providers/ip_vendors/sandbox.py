"""The sandbox's vendor, over HTTP like a real one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import httpx

from providers.ip_vendors.port import Offer, Region, VendorError, VendorFault


class SandboxVendor:
    """Client of ``python -m sandbox.vendor``."""

    name = "sandbox"

    def __init__(self, url: str) -> None:
        self._url = url

    async def _ask(self, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401
        try:
            async with httpx.AsyncClient(base_url=self._url, timeout=10) as client:
                answer = await client.request(method, path, **more)
        except httpx.HTTPError as error:
            raise VendorError(VendorFault.RETRYABLE, f"The vendor does not answer ({error!r}).") from error
        if answer.status_code >= 500:
            raise VendorError(VendorFault.RETRYABLE, f"The vendor answers {answer.status_code}.")
        body = answer.json()
        if answer.status_code >= 400:
            code = body.get("code")
            kind = VendorFault(code) if code in list(VendorFault) else VendorFault.REFUSED
            raise VendorError(kind, str(body.get("detail")))
        return body

    async def regions(self) -> list[Region]:
        """Regions with stock."""
        found = await self._ask("GET", "/v1/regions")
        return [Region(one["name"], Decimal(one["monthly"]), one["stock"]) for one in found]

    async def offer(self, kind: str, region: str, count: int, order: str, refused: Collection[str] = ()) -> list[Offer]:
        """Free addresses, and those this order holds."""
        found = await self._ask(
            "GET", "/v1/offers", params={"type": kind, "region": region, "count": count, "order": order}
        )
        return [Offer(one["address"], region, Decimal(one["monthly"]), one["ptr"]) for one in found]

    async def reserve(self, address: str, order: str) -> None:
        """Hold an address."""
        await self._ask("POST", f"/v1/addresses/{address}/reserve", json={"order": order})

    async def provision(self, address: str, order: str) -> str:
        """Buy an address."""
        return str((await self._ask("POST", f"/v1/addresses/{address}/provision", json={"order": order}))["ref"])

    async def release(self, address: str, order: str) -> None:
        """Give an address back."""
        await self._ask("POST", f"/v1/addresses/{address}/release", json={"order": order})

    async def abandon(self, order: str, keep: Sequence[str]) -> None:
        """An offer holds nothing here; what was reserved is released by address."""

    async def set_ptr(self, address: str, hostname: str) -> None:
        """Set reverse DNS at the vendor, which publishes it."""
        await self._ask("PUT", f"/v1/addresses/{address}/ptr", json={"hostname": hostname})

    async def get_ptr(self, address: str) -> str | None:
        """Reverse DNS as the vendor holds it."""
        found = (await self._ask("GET", f"/v1/addresses/{address}/ptr"))["hostname"]
        return str(found) if found else None
