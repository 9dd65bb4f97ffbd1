"""Sending addresses: what counts as one, and which space may be used where."""

from __future__ import annotations

import ipaddress

from domain.refusals import Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DOCUMENTATION = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
#: Space that no mail leaves from in any profile, beyond what the standard library calls multicast or loopback:
#: "this network", link-local with the cloud's metadata servers, future use and broadcast (IANA special-purpose
#: registries); IPv6 outside of 2000::/3, and what wraps an IPv4 address or a tunnel (6to4, Teredo, NAT64).
NEVER = tuple(
    ipaddress.ip_network(net)
    for net in (
        "0.0.0.0/8", "169.254.0.0/16", "192.88.99.0/24", "240.0.0.0/4",
        "::/8", "64:ff9b::/32", "2001::/32", "2002::/16", "fe80::/9",
    )
)  # fmt: skip
#: AWS answers for its metadata here too, in space that is otherwise as good as any private one.
METADATA = (ipaddress.ip_network("fd00:ec2::/32"),)
#: What IANA has given out for the internet (RFC 4291); ``is_global`` of the standard library says yes to more.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

#: Characters of an IPv6 address that wraps an IPv4 address: a message repeats no more of what was typed.
LONGEST = 45


def parse(text: str, *, live: bool, field: str = "address") -> str:
    """The canonical form of a sending IP.

    Args:
        text: what was typed.
        live: real mail is sent, so private, reserved and documentation space is refused.
        field: the name of the input, for the message.

    Raises:
        Refused: names the field, what is wrong and the fix.
    """
    address = _read(text, field)
    never = address.is_multicast or address.is_loopback or _within(address, NEVER)
    documentation = _within(address, DOCUMENTATION)
    public = address.is_global and not documentation and (address.version == 4 or address in GLOBAL_UNICAST)
    # The sandbox sells documentation space, and an inventory behind NAT may be tried out with private space.
    if never or not (public if live else public or documentation or address.is_private):
        raise Refused(
            f"{address} is private or reserved space and cannot send mail to the internet; give a public address.",
            field=field,
            code="reserved_address",
        )
    return str(address)


def spelled(text: str) -> str:
    """The canonical form of any address, to look one up: what may be one of ours was decided when it came in.

    Raises:
        Refused: it is none.
    """
    return str(_read(text, "address"))


def _read(text: str, field: str) -> Address:
    shown = text.strip()[:LONGEST]
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise Refused(
            f"{shown!r} is no IP address; give one IPv4 or IPv6 address, such as 203.0.113.9.",
            field=field,
            code="not_an_address",
        ) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise Refused(
                f"{shown} names an interface of one machine; give the address without {'%' + address.scope_id!r}.",
                field=field,
                code="not_an_address",
            )
        address = address.ipv4_mapped or address
    return address


def is_address(text: str) -> bool:
    """Whether this spells an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def sort_key(address: str) -> str:
    """A text that sorts addresses by number, IPv4 before IPv6; what is no address comes last, by its letters."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"x{address}"
    return f"{parsed.version}{parsed.packed.hex()}"


def reachable(address: str) -> bool:
    """Whether a server that an operator names may be asked at an address.

    Loopback and private space may be. Link-local space may not: the metadata servers of clouds, which give keys to
    whoever asks, answer there; nor what is no address of one machine.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    if parsed.is_loopback:
        return True
    return not (parsed.is_multicast or _within(parsed, (*NEVER, *METADATA)))


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in net for net in networks if net.version == address.version)


def neighbourhood(address: str) -> str:
    """The network whose listings colour an address: /24 for IPv4, /64 for IPv6."""
    parsed = ipaddress.ip_address(address)
    return str(ipaddress.ip_network(f"{parsed}/{24 if parsed.version == 4 else 64}", strict=False))
