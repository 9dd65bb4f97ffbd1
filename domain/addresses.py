"""Sending addresses: what counts as one, and which space may be used where."""

from __future__ import annotations

import ipaddress

from domain.refusals import Refused

DOCUMENTATION = tuple(
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def parse(text: str, *, live: bool, field: str = "address") -> str:
    """The canonical form of a sending IP.

    Args:
        text: what was typed.
        live: real mail is sent, so private, reserved and documentation space is refused.
        field: the name of the input, for the message.

    Raises:
        Refused: names the field, what is wrong and the fix.
    """
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise Refused(
            f"{text!r} is no IP address; give one IPv4 or IPv6 address, such as 203.0.113.9.",
            field=field,
            code="not_an_address",
        ) from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    documentation = any(address in net for net in DOCUMENTATION if net.version == address.version)
    usable = documentation if not live else address.is_global
    if not live and not documentation:
        usable = address.is_global or address.is_private
    if address.is_multicast or address.is_unspecified or address.is_loopback or not usable:
        raise Refused(
            f"{address} is private or reserved space and cannot send mail to the internet; give a public address.",
            field=field,
            code="reserved_address",
        )
    return str(address)


def neighbourhood(address: str) -> str:
    """The network whose listings colour an address: /24 for IPv4, /64 for IPv6."""
    parsed = ipaddress.ip_address(address)
    return str(ipaddress.ip_network(f"{parsed}/{24 if parsed.version == 4 else 64}", strict=False))
