"""The DNS of an IP over HTTP, on the sandbox's DNS and the real Temporal server."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities import dns_checks
from activities.context import Context
from activities.dns import DnsActivities
from activities.dns_messages import Outcome
from api import problems
from api.deps import RateLimit
from api.routes import dns as route
from api.routes.dns import router
from domain.dns import DnsInput, Record, SetupState
from domain.words import Role, Stage
from providers.dns.endpoint import Endpoint
from providers.dns.manual import ManualPublisher
from providers.dns.observer import Observer
from providers.dns.rfc2136 import Rfc2136Publisher
from sandbox.dns import SandboxDns
from settings import Settings
from store import accounts, incidents, ips
from store import dns as setups
from store.database import Database
from store.keys import Keyring, new_key
from store.secrets import Secrets
from store.tables.dns import DnsSetup
from store.tables.incidents import Incident
from store.tables.ips import Ip
from store.tables.outbox import OutboxRow
from workflows import search_attributes
from workflows.client import converter
from workflows.dns import DnsPropagation
from workflows.ids import dns_id, ip_id

ADDRESS, DOMAIN = "203.0.113.9", "example-mail.test"
BASE = f"/v1/ips/{ADDRESS}/dns"


@dataclass
class Stand:
    """The API with an operator's token, and what stands behind it."""

    http: httpx.AsyncClient
    viewer: dict[str, str]
    client: Client
    sandbox: SandboxDns
    db: Database

    async def enter_by_hand(self, records: list[dict[str, object]]) -> None:
        """Publish the shown records, as a person at the registrar and the vendor would."""
        primary = Endpoint("127.0.0.1", self.sandbox.primary.port)
        for shown in records:
            record = Record(zone_hint="", **{k: shown[k] for k in ("key", "name", "type", "expected")})  # type: ignore[arg-type]
            key, zone = ("vendor", "113.0.203.in-addr.arpa") if record.type == "PTR" else ("registrar", DOMAIN)
            publisher = Rfc2136Publisher(primary, key, "hmac-sha256", self.sandbox.keys[key])
            await publisher.publish(record.model_copy(update={"key": "x"}), zone, [])


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    sandbox = SandboxDns(tmp_path / "dns", 0, 0, (0, 0), lag=0.05)
    await sandbox.start()
    db = Database.open(f"sqlite:///{tmp_path}/store.sqlite", synchronous="normal")
    await db.create_all()
    keys = Keyring.parse([new_key()])
    settings = Settings(
        var_dir=tmp_path,
        task_queue="dns",
        dns_record_ttl=1,
        dns_servers=tuple(f"127.0.0.1@{s.port}" for s in (sandbox.primary, sandbox.secondary)),
        dns_resolvers=tuple(f"127.0.0.1@{listener.port}" for listener in sandbox.resolvers),
    )
    secrets = Secrets(db, keys)
    async with db.write() as session:
        row = Ip(address=ADDRESS, stage=Stage.AWAITING_DNS, domain=DOMAIN, hostname=f"mail.{DOMAIN}")
        await ips.insert(session, row)
        operator = await accounts.create_token(session, "operator", Role.OPERATOR)
        viewer = await accounts.create_token(session, "viewer", Role.VIEWER)
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_log_level="error",
        search_attributes=list(search_attributes.ALL),
        data_converter=converter(keys),
    )
    app = FastAPI()
    app.include_router(router)
    problems.install(app)
    app.state.settings, app.state.db, app.state.secrets = settings, db, secrets
    app.state.temporal, app.state.rate_limit = env.client, RateLimit(1000)
    acts = DnsActivities(
        Context(settings, db, secrets), Observer.from_settings(settings), {}, lambda _: ManualPublisher()
    )
    worker = Worker(
        env.client,
        task_queue="dns",
        workflows=[DnsPropagation],
        activities=[acts.prepare, acts.set_ptr, acts.await_records, acts.check, acts.escalate],
    )
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {operator}"}
    try:
        async with (
            worker,
            httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as http,
        ):
            yield Stand(http, {"Authorization": f"Bearer {viewer}"}, env.client, sandbox, db)
    finally:
        await env.shutdown()
        await db.close()
        await sandbox.stop()


async def test_by_hand_from_the_first_record_to_a_later_look(stand: Stand) -> None:
    assert (await stand.http.get(BASE)).json()["records"] == []
    handle = await stand.client.start_workflow(
        DnsPropagation.run, DnsInput(address=ADDRESS), id=dns_id(ADDRESS), task_queue="dns"
    )
    limit = time.monotonic() + 20
    while not (shown := (await stand.http.get(BASE)).json())["checked_at"]:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
    ptr = next(r for r in shown["records"] if r["key"] == "ptr")
    assert ptr["published"]["state"] == "missing"
    assert shown["next_look_at"] > shown["checked_at"]
    assert [one["state"] for one in ptr["published"]["servers"]] == ["missing"] * 2
    assert ptr["visible"] == {"state": None, "resolvers": []}
    assert "in the reverse zone where that is your own" in ptr["fix"]
    zone = await stand.http.get(f"{BASE}/zonefile")
    assert "v=spf1 ip4:203.0.113.9 ~all" in zone.text
    assert "PRIVATE" not in (await stand.http.get(f"{BASE}/support/bundle")).text

    changed = await stand.http.patch(BASE, json={"values": {"dmarc": ["v=DMARC1; p=reject"]}, "reason": "policy"})
    assert changed.status_code == 200, changed.text
    bad = await stand.http.patch(BASE, json={"values": {"dmarc": ["p=what"]}})
    assert bad.status_code == 422
    assert "v=DMARC1" in bad.text
    assert (await stand.http.post(f"{BASE}/support", json={"message": "help"})).status_code == 200
    looks = (await stand.http.get(f"{BASE}/support/bundle")).json()["looks"]
    assert looks[0]["views"][0]["servers"][0]["at"]

    await stand.enter_by_hand((await stand.http.get(BASE)).json()["records"])
    while not (await stand.http.post(f"{BASE}/verify", json={"reason": "entered"})).json()["verified_at"]:
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)
    await handle.result()
    again = await stand.http.post(f"{BASE}/verify")
    assert again.status_code == 200, again.text
    assert again.json()["state"] == "verified"
    swept, looked = (dt.datetime.fromisoformat(again.json()[name]) for name in ("next_look_at", "checked_at"))
    assert swept - looked == dt.timedelta(hours=1), "the interval of the sweep"
    spf = next(record for record in again.json()["records"] if record["key"] == "spf")
    for part, word in (("published", "servers"), ("visible", "resolvers")):
        assert {one["state"] for one in spf[part][word]} == {part}, "judged beside texts of somebody else"


async def test_a_viewer_may_look_and_not_ask(stand: Stand) -> None:
    assert (await stand.http.get(BASE, headers=stand.viewer)).status_code == 200
    assert (await stand.http.post(f"{BASE}/verify", headers=stand.viewer)).status_code == 403
    assert (await stand.http.get("/v1/ips/203.0.113.77/dns")).status_code == 404
    assert (await stand.http.post(f"{BASE}/verify")).status_code == 409, "its set-up has not begun"


async def test_verify_on_an_ip_of_each_stage(stand: Stand) -> None:
    """Imported with its DNS in place, it is looked at; before its set-up and after its end it is refused."""
    before, after = ("selected", "purchasing", "awaiting_dns"), ("retired",)
    for number, stage in enumerate(Stage):
        address = f"203.0.113.{100 + number}"
        async with stand.db.write() as session:
            host = f"mta{number}.{DOMAIN}"
            await ips.insert(session, Ip(address=address, stage=stage, domain=DOMAIN, hostname=host, disposal=""))
        before_look = (await stand.http.get(f"/v1/ips/{address}/dns")).json()["state"]
        assert before_look == ("waiting" if stage in before else "none"), stage
        answer = await stand.http.post(f"/v1/ips/{address}/dns/verify")
        assert answer.status_code == (409 if stage in (*before, *after) else 200), (stage, answer.text)
        if answer.status_code == 409:
            assert "has not begun" in answer.json()["detail"] or stage in after
            continue
        shown = answer.json()
        assert [record["key"] for record in shown["records"]] == ["a", "ptr", "mx", "spf", "dmarc"], "no key of ours"
        assert shown["records"][0]["published"]["state"] == "missing"
        assert (shown["state"], shown["checked_at"] is not None) == ("waiting", True)
        async with stand.db.read() as session:
            assert (await ips.get(session, address)).stage == stage
    async with stand.db.write() as session:
        await ips.insert(session, Ip(address="203.0.113.99", stage=Stage.ACTIVE, disposal=""))
    nameless = await stand.http.post("/v1/ips/203.0.113.99/dns/verify")
    assert (nameless.status_code, nameless.json()["errors"][0]["field"]) == (422, "domain")
    assert (await stand.http.post("/v1/ips/203.0.113.250/dns/verify")).status_code == 404


async def test_support_twice_is_one_case_and_a_verified_set_up_may_be_changed(stand: Stand) -> None:
    handle = await stand.client.start_workflow(
        DnsPropagation.run, DnsInput(address=ADDRESS), id=dns_id(ADDRESS), task_queue="dns"
    )
    limit = time.monotonic() + 40
    while not (shown := (await stand.http.get(BASE)).json())["records"]:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
    for message in ("my registrar is down", "still down", "still down"):
        assert (await stand.http.post(f"{BASE}/support", json={"message": message})).status_code == 200
    (case,) = await cases(stand)
    assert case.detail.splitlines()[:2] == ["> my registrar is down", "> still down"]
    assert case.detail.count("still down") == 1
    await stand.enter_by_hand(shown["records"])
    while not (await stand.http.post(f"{BASE}/verify")).json()["verified_at"]:
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)
    await handle.result()
    assert await cases(stand) == [], "what is verified needs no support"
    for _ in range(2):
        assert (await stand.http.post(f"{BASE}/support", json={"message": "a question"})).status_code == 200
    assert len(await cases(stand)) == 1, "the journey has ended; there is one case all the same"

    assert (await stand.http.get(f"{BASE}/mta-sts.txt")).status_code == 404
    wish = {"options": {"mta_sts": {"mode": "enforce"}, "tls_rpt": ["tls@reports.test"]}}
    changed = await stand.http.patch(BASE, json=wish)
    assert changed.status_code == 200, changed.text
    shown = changed.json()
    added = {record["key"]: record for record in shown["records"] if not record["required"]}
    assert list(added) == ["mta_sts", "tls_rpt"]
    text = (await stand.http.get(f"{BASE}/mta-sts.txt")).text
    assert shown["mta_sts"] == {
        "url": f"https://mta-sts.{DOMAIN}/.well-known/mta-sts.txt",
        "id": added["mta_sts"]["expected"][0].rpartition("=")[2],
        "text": text,
    }
    assert f"mode: enforce\r\nmx: mail.{DOMAIN}\r\n" in text
    assert f'_smtp._tls.{DOMAIN}. 1 IN TXT "v=TLSRPTv1' in (await stand.http.get(f"{BASE}/zonefile")).text
    async with stand.db.read() as session:
        assert (await ips.get(session, ADDRESS)).stage == Stage.ACTIVE
    # Optional records never hold an IP up, so that it is verified again without them.
    while (shown := (await stand.http.get(BASE)).json())["state"] != "verified":
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)
    assert {r["key"]: r["published"]["state"] for r in shown["records"]}["mta_sts"] == "missing"
    assert [check["name"] for check in shown["checks"] if not check["ok"]] == ["mta_sts"]

    for bad, field in (
        ({"options": {"mta_sts": {"mode": "enforce", "mx": ["other.test"]}}}, "options.mta_sts.mx"),
        ({"options": {"tls_rpt": ["nobody"]}}, "options.tls_rpt"),
        ({"values": {"dmarc": ["v=DMARC1; p=none; pct=50"]}}, "values.dmarc"),
        ({"values": {"spf": ["ip4:1.2.3.4"]}}, "values.spf"),
        ({}, "values"),
    ):
        refused = await stand.http.patch(BASE, json=bad)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field), refused.text
    dropped = await stand.http.patch(BASE, json={"options": {"mta_sts": None}})
    assert [r["key"] for r in dropped.json()["records"] if not r["required"]] == ["tls_rpt"]


@pytest.mark.parametrize("state", [SetupState.DRIFTED, SetupState.VERIFIED])
async def test_a_drift_that_a_change_ends_is_told_to_the_life_of_the_ip(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, state: SetupState
) -> None:
    async def change(*_: object) -> None:
        async with stand.db.write() as session:
            row = await setups.get(session, ADDRESS)
            row.state = SetupState.WAITING
            await setups.save(session, row)

    monkeypatch.setattr(route, "command", change)
    async with stand.db.write() as session:
        session.add(DnsSetup(address=ADDRESS, state=state))
    assert (await stand.http.patch(BASE, json={"values": {"dmarc": ["v=DMARC1; p=reject"]}})).status_code == 200
    assert await told(stand, ADDRESS) == ([("dns_drifted", [])] if state is SetupState.DRIFTED else [])


async def told(stand: Stand, address: str) -> list[tuple[str, list[str]]]:
    """What is on its way to the life of an IP, in its order."""
    async with stand.db.read() as session:
        rows = (await session.exec(select(OutboxRow).where(OutboxRow.workflow_id == ip_id(address)))).all()
    return [(row.name, row.payload["findings"]) for row in sorted(rows, key=lambda row: row.id or 0)]


async def cases(stand: Stand) -> list[Incident]:
    """The open support cases."""
    async with stand.db.read() as session:
        return list(await incidents.listing(session, open_only=True, address=ADDRESS))


async def test_who_looks_before_the_sweep_does_tells_the_life_of_the_ip(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, looks = (
        "203.0.113.150",
        [
            Outcome(verified=False, drifted=True, changed=True, findings=["PTR: missing."]),
            Outcome(verified=False, drifted=True, findings=["PTR: missing."]),
            Outcome(verified=True, changed=True),
        ],
    )

    async def verify(*_: object) -> Outcome:
        return looks.pop(0)

    monkeypatch.setattr(dns_checks, "verify", verify)
    async with stand.db.write() as session:
        await ips.insert(session, Ip(address=address, stage=Stage.ACTIVE, domain=DOMAIN, hostname=f"x.{DOMAIN}"))
    while looks:
        assert (await stand.http.post(f"/v1/ips/{address}/dns/verify")).status_code == 200
    assert await told(stand, address) == [("dns_drifted", ["PTR: missing."]), ("dns_drifted", [])]
