"""Scores, looks and incidents over HTTP; the look runs on the real Temporal server and asks a real DNS server."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from temporalio.client import Client
from temporalio.worker import Worker

import activities.reputation
from activities.context import Context
from domain.blocklists import ZONES
from domain.words import Role, Severity, Stage
from settings import Settings
from store import accounts, incidents, ips
from store.database import Database
from store.tables.ips import Ip
from tests.providers.blocklist_knot import SUFFIX, BlocklistKnot, lists_knot  # noqa: F401 - the fixture
from worker import RUNNER
from workflows.sweep import WORKFLOWS

LISTED, CLEAN, ALLOWED = "203.0.113.10", "203.0.113.9", "203.0.113.16"


@pytest.fixture
def settings(settings: Settings, lists_knot: BlocklistKnot) -> Settings:  # noqa: F811
    """Lists of loopback, and a queue of this test alone."""
    return settings.model_copy(
        update={
            "blocklist_resolver": f"127.0.0.1@{lists_knot.port}",
            "blocklist_suffix": SUFFIX,
            "blocklist_second_look_seconds": 1.0,
            "task_queue": f"reputation-{uuid.uuid4().hex}",
        }
    )


@pytest.fixture
async def fleet(db: Database) -> None:
    """Two IPs in service; no journey of theirs runs."""
    async with db.write() as session:
        await ips.insert(session, Ip(address=LISTED, stage=Stage.ACTIVE, pool="news"))
        await ips.insert(session, Ip(address=CLEAN, stage=Stage.ACTIVE))


@pytest.fixture
async def worker(context: Context, temporal: Client) -> AsyncIterator[None]:
    """What looks at the lists."""
    async with Worker(
        temporal,
        task_queue=context.settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities.reputation.activities(context),
        workflow_runner=RUNNER,
    ):
        yield


async def _headers(db: Database, role: Role) -> dict[str, str]:
    async with db.write() as session:
        return {"Authorization": f"Bearer {await accounts.create_token(session, role, role)}"}


async def _look(api: httpx.AsyncClient, temporal: Client, address: str) -> None:
    started = await api.post(f"/v1/ips/{address}/reputation/check")
    assert started.status_code == 202, started.text
    handle = temporal.get_workflow_handle(started.json()["workflow"]["id"])
    await asyncio.wait_for(handle.result(), 60)


@pytest.mark.usefixtures("fleet", "worker")
async def test_a_look_finds_a_listing_and_how_to_get_off(api: httpx.AsyncClient, temporal: Client) -> None:
    await _look(api, temporal, LISTED)

    found = (await api.get(f"/v1/ips/{LISTED}/reputation")).json()
    assert (found["score"], found["band"]) == (10, "red")
    assert found["reason"] == "Listed by zen.spamhaus.org (SBL)."
    (listing,) = found["listings"]
    assert (listing["zone"], listing["part"], listing["confirmed"]) == ("zen.spamhaus.org", "SBL", True)
    assert "the ISP asks Spamhaus" in listing["delisting"]
    parts = {part["name"]: part for part in found["components"]}
    assert set(parts) == {"blocklists", "bounces", "complaints", "blocks", "deferrals"}
    assert parts["blocklists"]["age"] >= 0
    assert (parts["bounces"]["value"], parts["bounces"]["sample"], parts["bounces"]["age"]) == (None, 0, None)
    assert [point["score"] for point in found["trend"]] == [None, 10], "the first look alone does not act"
    silent = [one["zone"] for one in found["lists"] if one["state"] == "unknown"]
    assert silent == ["psbl.surriel.com"], "a list that lists everyone is not believed"

    (opened,) = (await api.get("/v1/incidents", params={"open": True, "address": LISTED})).json()["items"]
    assert (opened["kind"], opened["severity"], opened["closed_at"]) == ("at_risk", "critical", None)
    row = (await api.get("/v1/reputation", params={"band": "red"})).json()["items"]
    assert [one["address"] for one in row] == [LISTED]
    audited = (await api.get("/v1/audit")).json()["items"]
    assert ("reputation.check", LISTED) in [(entry["what"], entry["target"]) for entry in audited]


@pytest.mark.usefixtures("worker")
async def test_a_listed_domain_is_its_own_trouble_and_puts_no_ip_at_risk(
    api: httpx.AsyncClient, temporal: Client, db: Database
) -> None:
    async with db.write() as session:
        for address in (ALLOWED, CLEAN):
            await ips.insert(session, Ip(address=address, stage=Stage.ACTIVE, domain="Bad.example"))
    for address in (ALLOWED, CLEAN):
        await _look(api, temporal, address)

    (opened,) = (await api.get("/v1/incidents", params={"open": True})).json()["items"]
    assert (opened["kind"], opened["address"]) == ("domain_listing", "bad.example")
    assert opened["cause"] == "The domain bad.example is listed: Listed by dbl.spamhaus.org (DBL)."
    assert f"{CLEAN}, {ALLOWED}" in opened["detail"]
    assert "Another IP does not help" in opened["detail"]
    found = (await api.get(f"/v1/ips/{CLEAN}/reputation")).json()
    assert [(one["subject"], one["confirmed"]) for one in found["listings"]] == [("bad.example", True)]
    assert "another IP does not help" in found["listings"][0]["delisting"]
    assert (await api.get(f"/v1/ips/{CLEAN}")).json()["stage"] == Stage.ACTIVE

    allowed = (await api.get(f"/v1/ips/{ALLOWED}/reputation")).json()
    by_list = {one["zone"]: one for one in allowed["lists"]}
    assert by_list["list.dnswl.org"]["state"] == "not_a_listing"
    assert {part["name"]: part["sample"] for part in allowed["components"]}["blocklists"] == len(ZONES) - 1


@pytest.mark.usefixtures("fleet", "worker")
async def test_clean_lists_without_mail_are_unknown(api: httpx.AsyncClient, temporal: Client) -> None:
    await _look(api, temporal, CLEAN)
    found = (await api.get(f"/v1/ips/{CLEAN}/reputation")).json()
    assert (found["score"], found["band"], found["listings"]) == (None, "unknown", [])
    assert {part["name"]: part["value"] for part in found["components"]}["blocklists"] == 100
    assert (await api.get("/v1/incidents", params={"address": CLEAN})).json() == {"items": [], "next": None}


@pytest.mark.usefixtures("fleet")
async def test_a_look_asked_for_twice_is_one(api: httpx.AsyncClient, temporal: Client) -> None:
    runs = []
    for _ in range(2):
        started = await api.post(f"/v1/ips/{LISTED}/reputation/check")
        handle = temporal.get_workflow_handle(started.json()["workflow"]["id"])
        runs.append((await handle.describe()).run_id)
    assert runs[0] == runs[1]
    await handle.terminate("seen")


@pytest.mark.usefixtures("fleet")
async def test_before_the_first_look_all_is_unknown(api: httpx.AsyncClient) -> None:
    found = (await api.get(f"/v1/ips/{CLEAN}/reputation")).json()
    assert (found["score"], found["band"], found["measured_at"]) == (None, "unknown", None)
    assert (found["components"], found["listings"], found["trend"]) == ([], [], [])


@pytest.mark.usefixtures("fleet")
async def test_the_list_of_scores_has_pages_and_filters(api: httpx.AsyncClient) -> None:
    first = (await api.get("/v1/reputation", params={"limit": 1})).json()
    second = (await api.get("/v1/reputation", params={"limit": 1, "after": first["next"]})).json()
    assert {first["items"][0]["address"], second["items"][0]["address"]} == {LISTED, CLEAN}
    assert second["next"] is None
    in_pool = (await api.get("/v1/reputation", params={"pool": "news"})).json()["items"]
    assert [row["address"] for row in in_pool] == [LISTED]
    assert (await api.get("/v1/reputation", params={"band": "purple"})).status_code == 422
    assert (await api.get("/v1/reputation", params={"limit": 0})).status_code == 422


@pytest.mark.usefixtures("fleet")
async def test_who_may_look(api: httpx.AsyncClient, db: Database) -> None:
    viewer = await _headers(db, Role.VIEWER)
    assert (await api.get(f"/v1/ips/{CLEAN}/reputation", headers=viewer)).status_code == 200
    assert (await api.get("/v1/incidents", headers=viewer)).status_code == 200
    refused = await api.post(f"/v1/ips/{CLEAN}/reputation/check", headers=viewer)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await api.get("/v1/reputation", headers={"Authorization": "Bearer none"})).status_code == 401


async def test_an_unknown_ip_is_not_found(api: httpx.AsyncClient) -> None:
    for answer in (
        await api.get("/v1/ips/198.51.100.99/reputation"),
        await api.post("/v1/ips/198.51.100.99/reputation/check"),
        await api.get("/v1/incidents/inc_none"),
    ):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_incidents_newest_first_and_open_ones_alone(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        old, _ = await incidents.open_incident(session, "at_risk", CLEAN, Severity.WARNING, "More bounces.")
        old.opened_at -= dt.timedelta(hours=1)
        await incidents.close_incident(session, "at_risk", CLEAN, "No line is crossed any more.")
        new, _ = await incidents.open_incident(session, "at_risk", CLEAN, Severity.CRITICAL, "Listed.", "By SBL.")

    every = (await api.get("/v1/incidents")).json()["items"]
    assert [one["id"] for one in every] == [new.id, old.id]
    assert [one["id"] for one in (await api.get("/v1/incidents?open=true")).json()["items"]] == [new.id]
    single = (await api.get(f"/v1/incidents/{old.id}")).json()
    assert (single["closed_why"], single["title"]) == ("No line is crossed any more.", "More bounces.")
    assert single["closed_at"] is not None


async def test_incidents_come_in_pages_and_none_is_left_out(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        for number in range(7):
            one, _ = await incidents.open_incident(
                session, "at_risk", f"203.0.113.{20 + number}", Severity.WARNING, "More bounces."
            )
            # Two of one instant: the id tells them apart.
            one.opened_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number // 2)
    every = [one["id"] for one in (await api.get("/v1/incidents")).json()["items"]]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 3, "open": True} | ({"after": cursor} if cursor else {})
        answer = (await api.get("/v1/incidents", params=query)).json()
        seen += [one["id"] for one in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == every
    assert len(every) == 7
    assert (await api.get("/v1/incidents", params={"after": "inc_gone"})).status_code == 422


@pytest.mark.parametrize("kind", ["purchase", "payment", "retirement"])
async def test_what_is_put_right_by_hand_is_closed_by_hand_and_nothing_else_is(
    api: httpx.AsyncClient, db: Database, kind: str
) -> None:
    async with db.write() as session:
        order, _ = await incidents.open_incident(session, kind, CLEAN, Severity.CRITICAL, "Not undone.")
        listed, _ = await incidents.open_incident(session, "at_risk", CLEAN, Severity.CRITICAL, "Listed.")
    path = f"/v1/incidents/{order.id}/close"
    assert (await api.post(path, json={"reason": ""})).status_code == 422
    viewer = await _headers(db, Role.VIEWER)
    assert (await api.post(path, json={"reason": "refunded"}, headers=viewer)).status_code == 403
    closed = (await api.post(path, json={"reason": "refunded by hand"})).json()
    assert (closed["closed_why"], closed["closed_at"] is not None) == ("refunded by hand", True)
    again = await api.post(path, json={"reason": "refunded"})
    assert (again.status_code, "closed already" in again.json()["detail"]) == (409, True)
    refused = await api.post(f"/v1/incidents/{listed.id}/close", json={"reason": "I say so"})
    assert refused.status_code == 409
    assert "closes by itself" in refused.json()["detail"]
    audited = (await api.get("/v1/audit")).json()["items"]
    assert ("incident.close", order.id) in [(entry["what"], entry["target"]) for entry in audited]
