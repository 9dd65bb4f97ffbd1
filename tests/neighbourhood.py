"""The sandbox's neighbours inside the test's own process: DNS, vendor and payment gateway on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from sandbox import payments, vendor, zones
from sandbox.dns import SandboxDns


@dataclass
class Neighbourhood:
    """Everybody who runs, and the settings with which the product finds them."""

    dns: SandboxDns
    vendor: vendor.Vendor
    gateway: payments.Gateway
    settings: dict[str, Any]


@contextlib.asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """A program on a free port of loopback; gives its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def neighbourhood(folder: Path) -> AsyncIterator[Neighbourhood]:
    """Everybody at work; what they keep lies in ``folder``."""
    dns = SandboxDns(folder / "dns", 0, 0, (0, 0), lag=0.05)
    await dns.start()
    seller = vendor.Vendor(folder / "vendor.json", dns.primary.port, dns.keys["vendor"])
    gateway = payments.Gateway(folder / "payments.json")
    primary, resolver = f"127.0.0.1@{dns.primary.port}", f"127.0.0.1@{dns.resolvers[0].port}"
    try:
        async with serving(vendor.create(seller)) as sells, serving(payments.create(gateway)) as charges:
            yield Neighbourhood(
                dns, seller, gateway,
                {
                    "sandbox_vendor_url": sells,
                    "sandbox_payments_url": charges,
                    "dns_servers": (primary, f"127.0.0.1@{dns.secondary.port}"),
                    "dns_port": dns.primary.port,
                    "dns_resolvers": (resolver, f"127.0.0.1@{dns.resolvers[1].port}"),
                    "dns_publisher": "rfc2136",
                    "dns_rfc2136_server": primary,
                    "dns_tsig_secret": SecretStr(dns.keys["warmpath"]),
                    "dns_record_ttl": 10,
                    "blocklist_resolver": resolver,
                    "blocklist_suffix": zones.BLOCKLIST_SUFFIX,
                },
            )  # fmt: skip
    finally:
        await dns.stop()
