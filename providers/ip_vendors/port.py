"""What Warmpath needs from whoever sells or holds IP addresses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class VendorFault(StrEnum):
    """Why a vendor said no, which decides what the journey does next."""

    RETRYABLE = "retryable"
    OUT_OF_STOCK = "out_of_stock"
    TAKEN = "taken"
    REFUSED = "refused"
    #: Only of a PTR: the name has to lead to the address first, and does not yet where the vendor looks.
    TOO_EARLY = "too_early"


class VendorError(Exception):
    """A vendor could not do what was asked; ``kind`` says whether asking again makes sense."""

    def __init__(self, kind: VendorFault, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class Offer:
    """One address on offer. ``monthly`` is what the vendor charges, in USD without tax."""

    address: str
    region: str
    monthly: Decimal
    ptr: str | None = None


@dataclass(frozen=True)
class Region:
    """A place that addresses are sold in; ``stock`` is None where the vendor does not tell."""

    name: str
    monthly: Decimal
    stock: int | None = None


class IpVendor(Protocol):
    """One vendor. Every call can be repeated with the same arguments and changes nothing the second time."""

    name: str

    async def regions(self) -> list[Region]:
        """Where addresses are sold, and for how much."""
        ...

    async def offer(self, kind: str, region: str, count: int, order: str, refused: Collection[str] = ()) -> list[Offer]:
        """Addresses that could be bought now, at least ``count``.

        Args:
            refused: addresses of the last offer that did not pass vetting. A vendor that holds an offer for the order
                has others in their place; one that shows all it has may show them again.

        Raises:
            VendorError: OUT_OF_STOCK when there are fewer.
        """
        ...

    async def reserve(self, address: str, order: str) -> None:
        """Hold an address for an order.

        Raises:
            VendorError: TAKEN when another order holds it.
        """
        ...

    async def provision(self, address: str, order: str) -> str:
        """Make the address ours; returns the vendor's own id of it."""
        ...

    async def release(self, address: str, order: str) -> None:
        """Give an address back, reserved or provisioned; unknown is fine, another order's is left alone."""
        ...

    async def abandon(self, order: str, keep: Sequence[str]) -> None:
        """Give back whatever an order holds beyond ``keep``; nothing left is fine."""
        ...

    async def set_ptr(self, address: str, hostname: str) -> None:
        """Make the address resolve to the name."""
        ...

    async def get_ptr(self, address: str) -> str | None:
        """The name that the vendor holds for the address."""
        ...
