"""Addresses the operator already holds, as CIDR blocks or a CSV file; nothing to pay a vendor for."""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path

from domain.addresses import parse
from domain.refusals import Refused
from providers.ip_vendors.port import Offer, Region, VendorError, VendorFault

#: A /64 holds more addresses than anybody can list; this many of a block are looked at.
LARGEST_BLOCK = 65_536
DEFAULT_REGION = "own"


class InventoryVendor:
    """Offers held addresses; who holds which is kept by our own unique reservations."""

    name = "inventory"

    def __init__(
        self,
        cidrs: Sequence[str],
        file: Path | None = None,
        monthly: Decimal = Decimal("0.00"),
        *,
        live: bool = False,
    ) -> None:
        """Read the holdings; ``monthly`` is what one costs, USD. ``live`` refuses space that sends no real mail.

        Raises:
            ValueError: a block or a line is wrong; names it.
        """
        self._monthly = monthly
        self._live = live
        self._held: dict[str, str] = {}
        for cidr in cidrs:
            try:
                network = ipaddress.ip_network(cidr)
                # A block of one registry entry: its ends tell what it is.
                for end in (network[0], network[-1]) if live else ():
                    parse(str(end), live=True)
            except (ValueError, Refused) as error:
                raise ValueError(f"WARMPATH_INVENTORY_CIDRS: {cidr}: {error}") from None
            hosts = network.hosts() if network.num_addresses > 1 else iter((network.network_address,))
            self._held.update((str(host), DEFAULT_REGION) for host in islice(hosts, LARGEST_BLOCK))
        if file is not None:
            self._read(file)

    def _read(self, file: Path) -> None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise ValueError(f"WARMPATH_INVENTORY_FILE: {file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"WARMPATH_INVENTORY_FILE: {file} is no text in UTF-8; export it again as CSV.") from None
        table = csv.DictReader(lines)
        if "address" not in (table.fieldnames or ()):
            raise ValueError(
                f"WARMPATH_INVENTORY_FILE: {file} has no column `address`; its first line names the columns, "
                "`address` and, if you like, `region`."
            )
        for number, row in enumerate(table, start=2):
            try:
                address = parse(row.get("address") or "", live=self._live)
            except Refused as error:
                raise ValueError(f"{file}, line {number}: {error}") from None
            self._held[address] = (row.get("region") or DEFAULT_REGION).strip()

    def _check(self, address: str) -> None:
        if address not in self._held:
            raise VendorError(VendorFault.REFUSED, f"{address} is not in the inventory.")

    async def regions(self) -> list[Region]:
        """The regions of the holdings; stock counts what is held, used or not."""
        names = sorted(set(self._held.values()))
        counts = {name: sum(region == name for region in self._held.values()) for name in names}
        return [Region(name, self._monthly, counts[name]) for name in names]

    async def offer(self, kind: str, region: str, count: int, order: str, refused: Collection[str] = ()) -> list[Offer]:
        """Every held address of the region; the caller leaves out those in use."""
        found = [address for address, where in self._held.items() if where == (region or DEFAULT_REGION)]
        if len(found) < count:
            raise VendorError(VendorFault.OUT_OF_STOCK, f"The inventory holds {len(found)} addresses in {region!r}.")
        return [Offer(address, region, self._monthly) for address in found]

    async def reserve(self, address: str, order: str) -> None:
        """Nothing to hold outside our own store."""
        self._check(address)

    async def provision(self, address: str, order: str) -> str:
        """Ours already."""
        self._check(address)
        return f"inventory:{address}"

    async def release(self, address: str, order: str) -> None:
        """Nothing to give back; the reservation in our store is what ends."""

    async def abandon(self, order: str, keep: Sequence[str]) -> None:
        """An offer holds nothing here; what was reserved is released by address."""

    async def set_ptr(self, address: str, hostname: str) -> None:
        """Refused: reverse DNS of own space is in the operator's own reverse zone."""
        raise VendorError(VendorFault.REFUSED, f"Set the PTR of {address} to {hostname} in your own reverse zone.")

    async def get_ptr(self, address: str) -> str | None:
        """The inventory does not know; DNS does."""
        return None
