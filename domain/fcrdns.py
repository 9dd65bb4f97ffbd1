"""Forward-confirmed reverse DNS (RFC 8601, 2.7.3): PTR -> name -> the same IP."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from pydantic import BaseModel

#: Names of one address that receivers look at before they give up.
MOST_NAMES = 10

#: ``(name, type) -> values``; an empty list is "there is none", ``None`` a DNS failure.
Fetch = Callable[[str, str], Awaitable[list[str] | None]]


class Fcrdns(BaseModel):
    """``pass``; ``fail`` (no name leads back); ``permerror`` (no PTR); ``temperror`` (DNS failed)."""

    result: str
    name: str = ""
    names: list[str] = []
    detail: str = ""


async def evaluate(address: str, fetch: Fetch) -> Fcrdns:
    """What a receiver concludes about an address."""
    ip = ipaddress.ip_address(address)
    names = await fetch(ip.reverse_pointer, "PTR")
    if names is None:
        return Fcrdns(result="temperror", detail=f"DNS failed for the PTR of {address}")
    if not names:
        return Fcrdns(result="permerror", detail=f"{address} has no PTR")
    failed: list[str] = []
    led: list[str] = []
    for name in names[:MOST_NAMES]:
        values = await fetch(name, "A" if ip.version == 4 else "AAAA")
        if values is None:
            failed.append(name)
            continue
        if any(ipaddress.ip_address(value) == ip for value in values):
            return Fcrdns(result="pass", name=name, names=names, detail=f"{address} -> {name} -> {address}")
        led.append(f"{name} -> {', '.join(values) or 'nothing'}")
    if failed:
        return Fcrdns(result="temperror", names=names, detail=f"DNS failed for {', '.join(failed)}")
    return Fcrdns(result="fail", names=names, detail=f"{address} -> {'; '.join(led)}")
