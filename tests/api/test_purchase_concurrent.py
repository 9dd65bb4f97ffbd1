"""Many orders at once over HTTP, with the product's own workers: an address has one owner, an order one charge."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError

import worker
from activities.context import Context
from api import domains
from sandbox import payments as gateway_program
from sandbox import vendor as vendor_program
from settings import Settings
from store.database import Database
from tests.conftest import KEY
from tests.neighbourhood import serving
from tests.providers.blocklist_knot import SUFFIX, BlocklistKnot, lists_knot  # noqa: F401 - the fixture
from workflows.ids import dns_id, ip_id

ORDERS = 12
ENDS = ("purchased", "failed", "cancelled", "expired")


@pytest.fixture
async def settings(
    tmp_path: Path,
    lists_knot: BlocklistKnot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Settings]:
    """The sandbox's vendor, gateway and lists on free ports, task queues of this test."""
    # Its only name server holds no domain of an order; silence in no time proves nothing about them.
    monkeypatch.setattr(domains, "DNS_SECONDS", 0.0)
    queue = uuid.uuid4().hex
    vendor = vendor_program.Vendor(tmp_path / "vendor.json")
    gateway = gateway_program.Gateway(tmp_path / "payments.json")
    async with (
        serving(vendor_program.create(vendor)) as vendor_url,
        serving(gateway_program.create(gateway)) as gateway_url,
    ):
        yield Settings(
            var_dir=tmp_path,
            database_url=f"sqlite:///{tmp_path / 'warmpath.sqlite'}",
            secret_keys=(SecretStr(KEY),),
            task_queue=f"orders-{queue}",
            vendor_task_queue=f"vendors-{queue}",
            vendor_calls_per_second=500,
            drain_seconds=1,
            sandbox_vendor_url=vendor_url,
            sandbox_payments_url=gateway_url,
            blocklist_resolver=f"127.0.0.1@{lists_knot.port}",
            blocklist_suffix=SUFFIX,
            dns_servers=(f"127.0.0.1@{lists_knot.port}",),
            dns_resolvers=(f"127.0.0.1@{lists_knot.port}",),
            vetting_neighbours=0,
        )


@pytest.fixture
async def working(temporal: Client, context: Context) -> AsyncIterator[None]:
    """The product's workers; the lives that they start end with the test."""
    async with contextlib.AsyncExitStack() as stack:
        for one in worker.build(temporal, context):
            await stack.enter_async_context(one)
        yield
        for host in range(vendor_program.FIRST, vendor_program.LAST + 1):
            for name in (ip_id, dns_id):
                with contextlib.suppress(RPCError):
                    await temporal.get_workflow_handle(name(f"198.51.100.{host}")).terminate("the test is over")


async def _ended(api: httpx.AsyncClient, order: str) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while (shown := (await api.get(f"/v1/orders/{order}")).json())["status"] not in ENDS:
            await asyncio.sleep(0.1)
    return shown


async def test_simultaneous_orders_never_get_the_same_address(
    api: httpx.AsyncClient, settings: Settings, db: Database, working: None
) -> None:
    body = {"vendor": "sandbox", "region": "eu-central", "domain": "d.test", "hostname": "mail.d.test"}
    made = await asyncio.gather(*(api.post("/v1/orders", json={**body, "count": 1 + n % 2}) for n in range(ORDERS)))
    assert {answer.status_code for answer in made} == {201}
    ids = [answer.json()["id"] for answer in made]
    async with asyncio.timeout(60):
        for one in ids:
            while (await api.get(f"/v1/orders/{one}")).json()["status"] == "quoting":
                await asyncio.sleep(0.1)
    # Every order is bought twice at once, as by an impatient hand.
    pressed = await asyncio.gather(
        *(api.post(f"/v1/orders/{one}/purchase", json={"payment_method": "tok_visa"}) for one in ids * 2)
    )
    assert {answer.status_code for answer in pressed} <= {200, 409}, [answer.text for answer in pressed]
    ends = [await _ended(api, one) for one in ids]

    bought = [address for end in ends for address in end["ips"]]
    assert len(bought) == len(set(bought)) >= 3
    for end in ends:
        assert end["status"] == "purchased" or "taken" in end["reason"], end
        assert len(end["ips"]) == (end["count"] if end["status"] == "purchased" else 0)
    async with httpx.AsyncClient() as outside:
        held = (await outside.get(f"{settings.sandbox_vendor_url}/v1/holdings")).json()
        paid = (await outside.get(f"{settings.sandbox_payments_url}/v1/payments")).json()
    assert sorted(held["bought"]) == sorted(held["orders"]) == sorted(bought), "nothing leaked at the vendor"
    charged = [one["order"] for one in paid if one["status"] == "captured"]
    assert sorted(charged) == sorted(end["id"] for end in ends if end["status"] == "purchased")
    listed = (await api.get("/v1/ips?limit=500")).json()["items"]
    assert sorted(one["address"] for one in listed) == sorted(bought)
