"""A vendor that sells documentation addresses: stock by region, some with a history.

``python -m sandbox.vendor --port 10080 --state DIR``. Faults: those of ``sandbox.program``, and
``empty`` (no stock).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.name
import dns.reversename
import dns.tsigkeyring
import dns.update
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from sandbox import state as states
from sandbox.dns import tsig_keys
from sandbox.program import Held, app_with_faults, arguments, problem, serve
from settings import Settings, load

REGIONS = {"eu-central": "198.51.100.0/24", "us-east": "203.0.113.0/24"}
FIRST, LAST = 60, 99
"""Host parts on sale: 40 addresses a region, the listed ones of ``sandbox.zones`` among them."""

ODD_PTR = {"198.51.100.61": "dsl-61.pool.customer.test", "203.0.113.61": "old-sender.spammy.test"}


class Claim(BaseModel):
    """For whom."""

    order: str


class Ptr(BaseModel):
    """A reverse name."""

    hostname: str


class Vendor(Held):
    """Addresses and who holds them; ``dns_port`` is where reverse names are published, if anywhere.

    ``monthly`` is its price of an address, USD; the default of the setting where nobody says.
    """

    def __init__(
        self, file: Path, dns_port: int | None = None, tsig_secret: str = "", monthly: str | None = None
    ) -> None:
        super().__init__(file, {"orders": {}, "bought": {}, "ptr": dict(ODD_PTR)})
        self.monthly = monthly or str(Settings.model_fields["sandbox_monthly_cost"].default)
        self.dns_port = dns_port
        self.tsig_secret = tsig_secret

    def on_sale(self, region: str) -> list[str]:
        """Addresses of a region, free or not."""
        network = ipaddress.ip_network(REGIONS[region])
        return [str(network[host]) for host in range(FIRST, LAST + 1)]

    async def publish(self, address: str, hostname: str) -> None:
        """Replace the PTR in the reverse zone by a signed dynamic update."""
        if self.dns_port is None:
            return
        name = dns.reversename.from_address(address)
        ring = dns.tsigkeyring.from_text({"vendor": self.tsig_secret})
        update = dns.update.UpdateMessage(
            name.parent(), keyring=ring, keyname=dns.name.from_text("vendor"), keyalgorithm="hmac-sha256"
        )
        update.replace(name, 60, "PTR", hostname.rstrip(".") + ".")
        reply = await dns.asyncquery.udp(update, "127.0.0.1", timeout=5, port=self.dns_port)
        if reply.rcode() != 0:
            raise OSError(f"the reverse zone answers {reply.rcode()}")


def create(vendor: Vendor) -> FastAPI:
    """The vendor's HTTP API."""
    app = app_with_faults("Sandbox IP vendor", "vendor", vendor)

    @app.get("/v1/regions")
    async def regions() -> list[dict[str, Any]]:
        orders = vendor.held["orders"]
        return [
            {"name": name, "monthly": vendor.monthly, "stock": sum(a not in orders for a in vendor.on_sale(name))}
            for name in REGIONS
        ]

    @app.get("/v1/offers", response_model=None)
    async def offers(type: str, region: str, count: int, order: str) -> JSONResponse | list[dict[str, Any]]:
        if region not in REGIONS:
            return problem(422, "refused", f"No region {region!r}; choose from {', '.join(REGIONS)}.")
        orders = vendor.held["orders"]
        free = [a for a in vendor.on_sale(region) if orders.get(a, order) == order]
        if vendor.held["faults"].get("empty") or len(free) < count:
            return problem(409, "out_of_stock", f"Out of stock in {region}.")
        return [{"address": a, "monthly": vendor.monthly, "ptr": vendor.held["ptr"].get(a)} for a in free]

    def taken(address: str, order: str) -> JSONResponse | None:
        if not any(address in vendor.on_sale(region) for region in REGIONS):
            return problem(404, "refused", f"{address} is not for sale.")
        holder = vendor.held["orders"].get(address, order)
        return problem(409, "taken", f"{address} is taken.") if holder != order else None

    @app.post("/v1/addresses/{address}/reserve", response_model=None)
    async def reserve(address: str, claim: Claim) -> JSONResponse | dict[str, Any]:
        if refusal := taken(address, claim.order):
            return refusal
        vendor.held["orders"][address] = claim.order
        vendor.keep()
        return {"address": address}

    @app.post("/v1/addresses/{address}/provision", response_model=None)
    async def provision(address: str, claim: Claim) -> JSONResponse | dict[str, Any]:
        if refusal := taken(address, claim.order):
            return refusal
        vendor.held["orders"][address] = claim.order
        vendor.held["bought"][address] = f"ip-{address.replace('.', '-')}"
        vendor.keep()
        return {"ref": vendor.held["bought"][address]}

    @app.post("/v1/addresses/{address}/release")
    async def release(address: str, claim: Claim) -> dict[str, Any]:
        if vendor.held["orders"].get(address) == claim.order:
            del vendor.held["orders"][address]
            vendor.held["bought"].pop(address, None)
            vendor.keep()
        return {"address": address}

    @app.get("/v1/addresses/{address}/ptr")
    async def get_ptr(address: str) -> dict[str, Any]:
        return {"hostname": vendor.held["ptr"].get(address)}

    @app.put("/v1/addresses/{address}/ptr", response_model=None)
    async def set_ptr(address: str, wanted: Ptr) -> JSONResponse | dict[str, Any]:
        try:
            await vendor.publish(address, wanted.hostname)
        except (OSError, dns.exception.DNSException) as error:
            return problem(503, "retryable", f"The reverse zone took no update: {error}")
        vendor.held["ptr"][address] = wanted.hostname
        vendor.keep()
        return {"hostname": wanted.hostname}

    @app.get("/v1/holdings")
    async def holdings() -> dict[str, Any]:
        return {"orders": vendor.held["orders"], "bought": vendor.held["bought"]}

    return app


def main() -> None:
    """Serve on loopback until stopped."""
    parser = arguments(__doc__)
    parser.add_argument("--dns-state", type=Path, help="folder of the DNS server's keys; default: beside")
    given = parser.parse_args()
    settings: Settings = load()
    keys = tsig_keys(given.dns_state or given.state.parent / "dns")
    vendor = Vendor(
        states.file_in(given.state, "vendor.json"),
        settings.sandbox_dns_port,
        keys["vendor"],
        str(settings.sandbox_monthly_cost),
    )
    serve(create(vendor), given.port)


if __name__ == "__main__":
    main()
