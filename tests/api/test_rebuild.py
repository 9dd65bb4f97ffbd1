"""The read model is put right from the workflows, and only where it differs."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.dns import DnsActivities
from activities.dns_messages import Prepare, Prepared
from api import rebuild as rebuilding
from api.rebuild import Change, rebuild
from domain.lifecycle import awaiting_dns
from domain.purchase import trying_again
from settings import Settings
from store.database import Database
from store.tables.dns import DnsSetup
from store.tables.ips import Ip
from store.tables.purchase import Order
from tests.api.test_purchase_concurrent import _ended, settings, working  # noqa: F401 - fixtures
from tests.providers.blocklist_knot import lists_knot  # noqa: F401 - a fixture
from workflows import search_attributes
from workflows.client import converter, keyring

#: One store is enough: what is tested here is what the workflows say.
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)

ACTIVE, FULL, WARMING, GONE = "203.0.113.20", "203.0.113.21", "203.0.113.22", "203.0.113.23"


@pytest.fixture
async def temporal(settings: Settings) -> AsyncIterator[Client]:  # noqa: F811
    """A server of its own: every journey on it is asked."""
    extra = [part for one in search_attributes.ALL for part in ("--search-attribute", f"{one.name}=Keyword")]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        data_converter=converter(keyring(settings)),
        dev_server_extra_args=extra,
        dev_server_log_level="error",
    ) as environment:
        yield environment.client


async def shown(db: Database) -> dict[str, tuple[Any, ...]]:
    async with db.read() as session:
        found = (await session.exec(sa.select(Ip.address, Ip.stage, Ip.waiting_for, Ip.waiting_on))).all()  # type: ignore[call-overload]
        bought = (await session.exec(sa.select(Order.id, Order.status, Order.waiting_for, Order.ips))).all()  # type: ignore[call-overload]
    return {str(row[0]): tuple(row[1:]) for row in [*found, *bought]}


async def changes(temporal: Client, db: Database) -> dict[str, Change]:
    return {one.what: one async for one in rebuild(temporal, db)}


async def settled(db: Database, expected: dict[str, str]) -> dict[str, tuple[Any, ...]]:
    """The read model, once every subject stands where the journeys of the test lead."""
    async with asyncio.timeout(60):
        while True:
            now = await shown(db)
            stands = all(now.get(one, ("",))[0] == word for one, word in expected.items())
            # An imported IP stands at warming before its warm-up has begun.
            begun = all("Day 1" in row[1] for row in now.values() if row[0] == "warming")
            if stands and begun and not any("to begin" in row[1] for row in now.values()):
                return now
            await asyncio.sleep(0.1)


async def test_damaged_rows_are_put_right_and_the_second_time_there_are_none(
    api: httpx.AsyncClient,
    temporal: Client,
    db: Database,
    working: None,  # noqa: F811
) -> None:
    owned = [
        {"address": ACTIVE, "stage": "active"},
        {"address": FULL, "stage": "full_capacity"},
        {"address": WARMING, "stage": "warming"},
    ]
    assert (await api.post("/v1/ips/import", json=owned)).status_code == 201
    body = {"vendor": "sandbox", "region": "eu-central", "domain": "d.test", "hostname": "mail.d.test"}
    quoted, bought, dropped = [(await api.post("/v1/orders", json=body)).json()["id"] for _ in range(3)]
    answer = await api.post(f"/v1/orders/{bought}/purchase", json={"payment_method": "tok_visa"})
    assert answer.is_success, answer.text
    assert (await api.post(f"/v1/orders/{dropped}/cancel", json={})).is_success
    (address,) = (await _ended(api, bought))["ips"]
    await settled(
        db,
        {
            FULL: "full_capacity", WARMING: "warming", address: "awaiting_dns",
            quoted: "quoted", bought: "purchased", dropped: "cancelled",
        },
    )  # fmt: skip
    before = await shown(db)
    assert before[ACTIVE] == ("active", "an operator to start the warm-up", "operator")
    assert await changes(temporal, db) == {}

    async with db.write() as session:
        await session.exec(sa.update(Ip).values(stage="retired", waiting_for="Godot", waiting_on="nobody"))
        await session.exec(sa.update(Order).values(status="quoting", waiting_for="Godot", ips=[]))
        session.add(Ip(address=GONE, stage="active"))
        await session.exec(sa.delete(Ip).where(Ip.address == FULL))
    said = await changes(temporal, db)
    assert set(said) == {*before, GONE}
    assert said[address].said.startswith("retired, waits for Godot is now awaiting_dns")
    assert [one.what for one in said.values() if not one.fixed] == [GONE]
    assert "was missing" in said[FULL].said
    after = await shown(db)
    assert {one: row for one, row in after.items() if one != GONE} == before
    assert set(await changes(temporal, db)) == {GONE}

    # The vendor's no to a PTR is written down a moment before the journey hears of it.
    refusal = "PTR 9.113.0.203.in-addr.arpa: no"
    left = awaiting_dns(automatic=True, problems=[refusal])
    async with db.write() as session:
        await session.merge(DnsSetup(address=address, reason=refusal))
        await session.exec(sa.update(Order).where(Order.id == quoted).values(waiting_for=trying_again("no answer")))
        await session.exec(sa.update(Ip).where(Ip.address == address).values(waiting_for=left.waiting_for))
    assert set(await changes(temporal, db)) == {GONE}


async def test_an_ip_that_is_imported_meanwhile_is_no_ip_without_life(
    api: httpx.AsyncClient,
    temporal: Client,
    db: Database,
    working: None,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lives are listed first: what begins after that is asked for by its id."""
    async with db.write() as session:
        session.add(Ip(address=GONE, stage="active"))
        # Handed over by a purchase that has not begun its life yet.
        session.add(Ip(address=FULL, stage="awaiting_dns", order_id="ord_1"))
    await temporal.start_workflow("Purchase", id="purchase:ord_1", task_queue="nobody")
    without, listed = rebuilding._without_life, list[str]()

    async def late(client: Client, store: Database, alive: set[str]) -> AsyncIterator[Change]:
        listed.extend(alive)
        assert (await api.post("/v1/ips/import", json=[{"address": ACTIVE, "stage": "active"}])).status_code == 201
        async for one in without(client, store, alive):
            yield one

    monkeypatch.setattr(rebuilding, "_without_life", late)
    said = [one.what async for one in rebuild(temporal, db) if "no life" in one.said]
    assert (said, listed) == ([GONE], [])


async def test_a_row_that_is_written_before_its_journey_hears_of_it_is_left_alone(
    api: httpx.AsyncClient,
    temporal: Client,
    db: Database,
    late: list[str],
    working: None,  # noqa: F811
) -> None:
    owned = [{"address": ACTIVE, "stage": "awaiting_dns", "domain": "d.test", "hostname": "mail.d.test"}]
    assert (await api.post("/v1/ips/import", json=owned)).status_code == 201
    async with asyncio.timeout(60):
        while not late:
            await asyncio.sleep(0.02)
    before = await shown(db)
    assert "to begin" not in before[ACTIVE][1]
    assert await changes(temporal, db) == {}
    assert await shown(db) == before


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The step that begins a DNS set-up reports half a second after it has written; by address, once it has."""
    prepare, written = DnsActivities.prepare, list[str]()

    @functools.wraps(prepare)
    async def slow(self: DnsActivities, wanted: Prepare) -> Prepared:
        answer = await prepare(self, wanted)
        written.append(wanted.address)
        await asyncio.sleep(0.5)
        return answer

    monkeypatch.setattr(DnsActivities, "prepare", slow)
    return written
