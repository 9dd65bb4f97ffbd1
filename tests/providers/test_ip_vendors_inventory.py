"""Addresses that are held already, from blocks and from a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from providers.ip_vendors.inventory import DEFAULT_REGION, LARGEST_BLOCK, InventoryVendor
from providers.ip_vendors.port import VendorError, VendorFault


async def test_a_block_offers_its_hosts_without_network_and_broadcast() -> None:
    vendor = InventoryVendor(["198.51.100.0/29"])
    offers = await vendor.offer("dedicated", "", 6, "order-1")
    assert [one.address for one in offers] == [f"198.51.100.{n}" for n in range(1, 7)]
    assert {one.monthly for one in offers} == {Decimal("0.00")}
    assert offers == await vendor.offer("dedicated", "", 6, "order-1"), "an offer can be repeated"


async def test_single_addresses_and_ipv6_are_held_and_a_huge_block_is_cut() -> None:
    vendor = InventoryVendor(["203.0.113.9/32", "2001:db8::/64"])
    (region,) = await vendor.regions()
    assert (region.name, region.stock) == (DEFAULT_REGION, LARGEST_BLOCK + 1)
    assert await vendor.provision("203.0.113.9", "order-1") == "inventory:203.0.113.9"


async def test_a_file_names_regions(tmp_path: Path) -> None:
    file = tmp_path / "held.csv"
    file.write_text("address,region\n198.51.100.1,fra\n198.51.100.2,nyc\n 198.51.100.3 ,fra\n")
    vendor = InventoryVendor([], file)
    assert [(one.name, one.stock) for one in await vendor.regions()] == [("fra", 2), ("nyc", 1)]
    assert [one.address for one in await vendor.offer("dedicated", "fra", 1, "o")] == ["198.51.100.1", "198.51.100.3"]


async def test_too_few_addresses_are_out_of_stock() -> None:
    with pytest.raises(VendorError) as fault:
        await InventoryVendor(["198.51.100.0/30"]).offer("dedicated", "", 3, "order-1")
    assert fault.value.kind is VendorFault.OUT_OF_STOCK
    assert "holds 2" in fault.value.detail


async def test_an_address_of_somebody_else_is_refused_and_reverse_dns_is_the_operators() -> None:
    vendor = InventoryVendor(["198.51.100.0/30"])
    calls = (
        vendor.reserve("192.0.2.1", "o"),
        vendor.provision("192.0.2.1", "o"),
        vendor.set_ptr("198.51.100.1", "m.example.com"),
    )
    for call in calls:
        with pytest.raises(VendorError) as fault:
            await call
        assert fault.value.kind is VendorFault.REFUSED
    await vendor.release("192.0.2.1", "o")
    await vendor.abandon("o", [])


def test_a_wrong_block_or_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="WARMPATH_INVENTORY_CIDRS"):
        InventoryVendor(["198.51.100.0/33"])
    file = tmp_path / "held.csv"
    file.write_text("address,region\n198.51.100.1,fra\nnot-an-address,fra\n")
    with pytest.raises(ValueError, match="line 3"):
        InventoryVendor([], file)


@pytest.mark.parametrize("block", ["10.0.0.0/24", "203.0.113.0/28", "fd00::/64", "2001:db8::/64"])
def test_live_holds_no_space_that_sends_no_mail(tmp_path: Path, block: str) -> None:
    with pytest.raises(ValueError, match=f"WARMPATH_INVENTORY_CIDRS: {block}.*private or reserved space"):
        InventoryVendor([block], live=True)
    file = tmp_path / "held.csv"
    file.write_text(f"address,region\n8.8.8.8,fra\n{block.partition('/')[0].replace('::', '::9')},fra\n")
    with pytest.raises(ValueError, match="line 3: .*private or reserved space"):
        InventoryVendor([], file, live=True)
    assert InventoryVendor([block, "8.8.8.0/29"], live=False)


def test_a_file_that_cannot_be_read_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="WARMPATH_INVENTORY_FILE: .*absent.csv: No such file"):
        InventoryVendor([], tmp_path / "absent.csv")
    (tmp_path / "held.csv").write_bytes(b"address\n\xff\xfe\n")
    with pytest.raises(ValueError, match="WARMPATH_INVENTORY_FILE: .* is no text in UTF-8"):
        InventoryVendor([], tmp_path / "held.csv")


@pytest.mark.parametrize("first", ["ip,region\n198.51.100.1,fra\n", "198.51.100.1\n", ""])
def test_a_file_without_the_column_is_told_which_one(tmp_path: Path, first: str) -> None:
    file = tmp_path / "held.csv"
    file.write_text(first)
    with pytest.raises(ValueError, match="has no column `address`; its first line names the columns"):
        InventoryVendor([], file)
