"""Vendors by name; a new one is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from providers.ip_vendors.inventory import InventoryVendor
from providers.ip_vendors.port import IpVendor
from providers.ip_vendors.sandbox import SandboxVendor
from settings import Profile, Settings


def _aws(settings: Settings) -> IpVendor:
    # Imported where it is used: boto3 costs every process most of a second.
    from providers.ip_vendors.aws import AwsVendor

    return AwsVendor(settings.aws_region, settings.aws_endpoint_url, monthly=settings.aws_monthly_cost)


MAKERS: dict[str, Callable[[Settings], IpVendor]] = {
    "sandbox": lambda settings: SandboxVendor(settings.sandbox_vendor_url),
    "inventory": lambda settings: InventoryVendor(
        settings.inventory_cidrs,
        settings.inventory_file,
        settings.inventory_monthly_cost,
        live=settings.profile is Profile.LIVE,
    ),
    "aws": _aws,
}


def vendors(settings: Settings) -> dict[str, IpVendor]:
    """The vendors that this installation offers.

    Raises:
        ValueError: a name without an adapter.
    """
    unknown = [name for name in settings.ip_vendors if name not in MAKERS]
    if unknown:
        raise ValueError(f"WARMPATH_IP_VENDORS: no vendor {unknown[0]!r}; choose from {', '.join(MAKERS)}.")
    return {name: MAKERS[name](settings) for name in settings.ip_vendors}
