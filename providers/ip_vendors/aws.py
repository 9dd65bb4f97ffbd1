"""EC2 Elastic IPs: allocated on reservation, tagged with their order, PTR by address attribute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from providers import aws
from providers.ip_vendors.port import Offer, Region, VendorError, VendorFault

ORDER_TAG = "warmpath-order"
OUT_OF_STOCK = ("AddressLimitExceeded", "InsufficientAddressCapacity")
#: What another try does not change; everything else that is said to a PTR may be that its name is not seen yet.
NO_RIGHT = ("AuthFailure", "InvalidClientTokenId", "OptInRequired", "UnauthorizedOperation")
TRANSIENT = ("RequestLimitExceeded", "Throttling", "InternalError", "Unavailable", "ServiceUnavailable")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


class AwsVendor:
    """Elastic IPs of one account and region.

    AWS shows no address before it is allocated, so an offer allocates; the tag makes that repeatable,
    and an order that ends without a purchase releases all of its addresses.
    """

    name = "aws"

    def __init__(
        self,
        region: str,
        endpoint_url: str | None = None,
        client: Any = None,  # noqa: ANN401
        monthly: Decimal = Decimal(0),
    ) -> None:
        self._region = region
        self._monthly = monthly
        self._client = client or boto3.client("ec2", region_name=region, endpoint_url=endpoint_url, config=aws.PATIENCE)

    async def _call(self, function: Callable[..., Any], **arguments: Any) -> Any:  # noqa: ANN401
        try:
            return await asyncio.to_thread(function, **arguments)
        except ClientError as error:
            code = _code(error)
            kind = VendorFault.OUT_OF_STOCK if code in OUT_OF_STOCK else VendorFault.REFUSED
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in TRANSIENT or status >= 500:
                kind = VendorFault.RETRYABLE
            raise VendorError(kind, f"EC2 answers {code}: {error}") from error
        except ResponseParserError as error:
            raise VendorError(VendorFault.RETRYABLE, "EC2 answers nothing that can be read.") from error
        except BotoCoreError as error:
            raise VendorError(VendorFault.RETRYABLE, f"EC2 does not answer: {error}") from error

    async def _of_order(self, order: str) -> list[dict[str, Any]]:
        filters = [{"Name": f"tag:{ORDER_TAG}", "Values": [order]}]
        return list((await self._call(self._client.describe_addresses, Filters=filters))["Addresses"])

    async def _find(self, address: str) -> dict[str, Any] | None:
        filters = [{"Name": "public-ip", "Values": [address]}]
        found = (await self._call(self._client.describe_addresses, Filters=filters))["Addresses"]
        return found[0] if found else None

    async def _id(self, address: str) -> str:
        found = await self._find(address)
        if found is None:
            raise VendorError(VendorFault.TAKEN, f"{address} is no Elastic IP of this account.")
        return str(found["AllocationId"])

    async def regions(self) -> list[Region]:
        """The configured region; AWS does not tell its stock."""
        return [Region(self._region, self._monthly)]

    async def offer(self, kind: str, region: str, count: int, order: str, refused: Collection[str] = ()) -> list[Offer]:
        """Allocate what the order still lacks; refused ones go once others are there, or AWS could give the same again.

        Only an account at its limit of addresses has to let one go before it gets another.
        """
        held = await self._of_order(order)
        spent = [one for one in held if one["PublicIp"] in refused]
        for _ in range(count - len(held) + len(spent)):
            try:
                await self._allocate(order)
            except VendorError as error:
                if error.kind is not VendorFault.OUT_OF_STOCK or not spent:
                    raise
                one = spent.pop()
                await self._release(one["PublicIp"], one["AllocationId"])
                await self._allocate(order)
        for one in spent:
            await self._release(one["PublicIp"], one["AllocationId"])
        return [Offer(one["PublicIp"], self._region, self._monthly) for one in await self._of_order(order)]

    async def _allocate(self, order: str) -> None:
        """One more for an order, tagged in the same call so that no crash can leak it."""
        await self._call(
            self._client.allocate_address,
            Domain="vpc",
            TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": [{"Key": ORDER_TAG, "Value": order}]}],
        )

    async def reserve(self, address: str, order: str) -> None:
        """Held since the offer; checks that it still is this order's."""
        if address not in [one["PublicIp"] for one in await self._of_order(order)]:
            raise VendorError(VendorFault.TAKEN, f"{address} is not held for order {order}.")

    async def provision(self, address: str, order: str) -> str:
        """The allocation id."""
        return await self._id(address)

    async def release(self, address: str, order: str) -> None:
        """Release the allocation if it carries the order's tag."""
        for one in await self._of_order(order):
            if one["PublicIp"] == address:
                await self._release(address, one["AllocationId"])

    async def _release(self, address: str, allocation: str) -> None:
        """Release; AWS locks an address while it has a PTR, so that one is taken off and the release tried again.

        Taking it off is not done at once: AWS answers with a pending change, and the caller comes back.
        """
        try:
            await self._call(self._client.release_address, AllocationId=allocation)
        except VendorError as error:
            if not isinstance(error.__cause__, ClientError) or _code(error.__cause__) != "InvalidAddress.Locked":
                raise
            await self._call(self._client.reset_address_attribute, AllocationId=allocation, Attribute="domain-name")
            raise VendorError(
                VendorFault.RETRYABLE, f"AWS takes the PTR off {address} before it can be released."
            ) from error

    async def abandon(self, order: str, keep: Sequence[str]) -> None:
        """Release what the offer allocated and nobody bought."""
        for one in await self._of_order(order):
            if one["PublicIp"] not in keep:
                await self._release(one["PublicIp"], one["AllocationId"])

    async def set_ptr(self, address: str, hostname: str) -> None:
        """AWS checks that the name already resolves to the address, and publishes within minutes."""
        allocation, name = await self._id(address), hostname.rstrip(".")
        try:
            await self._call(self._client.modify_address_attribute, AllocationId=allocation, DomainName=name)
        except VendorError as error:
            cause = error.__cause__
            if error.kind is VendorFault.REFUSED and isinstance(cause, ClientError) and _code(cause) not in NO_RIGHT:
                raise VendorError(VendorFault.TOO_EARLY, error.detail) from cause
            raise

    async def get_ptr(self, address: str) -> str | None:
        """The reverse name that AWS holds."""
        found = await self._call(
            self._client.describe_addresses_attribute,
            AllocationIds=[await self._id(address)],
            Attribute="domain-name",
        )
        records = found["Addresses"]
        return str(records[0]["PtrRecord"]).rstrip(".") if records and records[0].get("PtrRecord") else None
