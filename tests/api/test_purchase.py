"""Orders and imports over HTTP."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from temporalio.client import Client

from api.routes import purchase as route
from providers.dns.endpoint import Endpoint
from providers.dns.observer import Observer
from providers.ip_vendors.sandbox import SandboxVendor
from sandbox import vendor as vendor_program
from settings import Settings
from tests.neighbourhood import serving
from tests.providers.blocklist_knot import SUFFIX, BlocklistKnot, lists_knot  # noqa: F401 - the fixture

ORDER = {
    "vendor": "sandbox",
    "region": "eu-central",
    "domain": "example-mail.test",
    "hostname": "mail.example-mail.test",
}


@pytest.fixture
async def vendor(settings: Settings, monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201 - a fixture
    monkeypatch.setattr(route, "QUOTE_PATIENCE", 0.0)
    program = vendor_program.Vendor(settings.var_dir / "vendor.json")
    async with serving(vendor_program.create(program)) as url:
        monkeypatch.setattr(route, "vendors", lambda _: {"sandbox": SandboxVendor(url)})
        yield url


async def test_twenty_requests_with_one_key_are_one_order(
    api: httpx.AsyncClient, vendor: str, temporal: Client
) -> None:
    answers = await asyncio.gather(
        *(api.post("/v1/orders", json=ORDER, headers={"Idempotency-Key": "k1"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await api.get("/v1/orders")).json()["items"]) == 1
    lines = (await api.get("/v1/audit")).json()["items"]
    assert [one["what"] for one in lines] == ["order.create"], "and is told once"
    (order,) = (await api.get("/v1/orders")).json()["items"]
    begun = await temporal.get_workflow_handle(order["workflow"]["id"]).describe()
    assert order["workflow"]["run_id"] == begun.run_id
    assert order["payment"] == {"status": "none"}, "it has a status before there is a payment"
    other = await api.post("/v1/orders", json={**ORDER, "count": 2}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422, "another order under a used key is not answered with the first"
    assert "Idempotency-Key: 'k1' was used before, with another body. Use a new key" in other.json()["detail"]
    assert len((await api.get("/v1/orders")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [({"vendor": "nobody"}, "vendor"), ({"region": "moon"}, "region"), ({"domain": "no domain"}, "domain"),
     ({"smtp": {"host": "127.0.0.1", "port": 1, "username": "u", "password": "p4ssw0rd"}}, "smtp.port")],
)  # fmt: skip
async def test_a_wrong_order_names_its_field(
    api: httpx.AsyncClient, vendor: str, change: dict[str, object], field: str
) -> None:
    answer = await api.post("/v1/orders", json={**ORDER, **change})
    assert answer.status_code == 422
    assert field in answer.text
    assert "p4ssw0rd" not in answer.text
    assert (await api.get("/v1/orders")).json()["items"] == []


async def test_a_broken_line_imports_nothing(api: httpx.AsyncClient) -> None:
    text = "address,stage,domain\n203.0.113.20,full_capacity,a.test\n203.0.113.999,active,a.test\n"
    refused = await api.post("/v1/ips/import", content=text, headers={"Content-Type": "text/csv"})
    assert refused.status_code == 422
    assert "line 3" in refused.text
    good = text.replace("999", "21")
    made = await api.post("/v1/ips/import", content=good, headers={"Content-Type": "text/csv"})
    assert made.status_code == 201
    assert made.json()["items"] == ["203.0.113.20", "203.0.113.21"]
    again = await api.post("/v1/ips/import", content=good, headers={"Content-Type": "text/csv"})
    assert again.status_code == 409


async def test_an_import_that_is_sent_again_with_its_key_adds_once(api: httpx.AsyncClient) -> None:
    rows = [{"address": "203.0.113.20", "stage": "active"}, {"address": "2001:0db8::20", "stage": "full_capacity"}]
    keyed = {"Idempotency-Key": "import-1"}
    refused = [*rows, {"address": "nowhere", "stage": "active"}]
    assert (await api.post("/v1/ips/import", json=refused, headers=keyed)).status_code == 422
    answers = await asyncio.gather(*(api.post("/v1/ips/import", json=rows, headers=keyed) for _ in range(20)))
    assert {(one.status_code, tuple(one.json()["items"])) for one in answers} == {
        (201, ("203.0.113.20", "2001:db8::20"))
    }
    assert len((await api.get("/v1/ips")).json()["items"]) == 2
    other = await api.post("/v1/ips/import", json=[{"address": "203.0.113.21", "stage": "active"}], headers=keyed)
    assert other.status_code == 422
    assert "'import-1' was used before, with another body" in other.json()["detail"]
    lines = (await api.get("/v1/audit")).json()["items"]
    assert [one["what"] for one in lines] == ["ip.import"], "and is told once"


async def test_nobody_pays_for_a_domain_that_does_not_exist(
    api: httpx.AsyncClient,
    vendor: str,
    lists_knot: BlocklistKnot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A real name server that holds other zones than the order's.
    observer = Observer(servers=[Endpoint("127.0.0.1", lists_knot.port)], resolvers=[])
    monkeypatch.setattr(Observer, "from_settings", lambda _: observer)
    answer = await api.post("/v1/orders", json=ORDER)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "domain"
    assert "does not exist in DNS" in answer.json()["detail"]
    assert (await api.get("/v1/orders")).json()["items"] == []


async def test_an_import_names_the_line_whose_domain_does_not_exist(
    api: httpx.AsyncClient,
    lists_knot: BlocklistKnot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = Endpoint("127.0.0.1", lists_knot.port)
    monkeypatch.setattr(Observer, "from_settings", lambda _: Observer(servers=[known], resolvers=[]))
    there = SUFFIX
    rows = [
        {"address": "203.0.113.20", "stage": "active", "domain": there},
        {"address": "203.0.113.21", "stage": "active"},
        {"address": "203.0.113.22", "stage": "full_capacity", "domain": "Example-Mail.test."},
    ]
    text = "address,stage,domain\n" + "".join(f"{r['address']},{r['stage']},{r.get('domain', '')}\n" for r in rows)
    said = "example-mail.test does not exist in DNS; register it or correct the spelling."
    for sent, where in (
        ({"json": rows}, "item 3"),
        ({"content": text, "headers": {"Content-Type": "text/csv"}}, "line 4"),
    ):
        answer = await api.post("/v1/ips/import", **sent)  # type: ignore[arg-type]
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"] == [
            {"field": f"{where}.domain", "message": f"{where}: {said}", "code": "no_domain"}
        ]
    assert (await api.get("/v1/ips")).json()["items"] == [], "nothing is imported"
    made = await api.post("/v1/ips/import", json=rows[:2])
    assert made.status_code == 201, made.text


async def test_an_import_without_a_safe_limit_gets_that_of_its_type(api: httpx.AsyncClient) -> None:
    lines = ["address,type,stage,safe_limit", "203.0.113.20,shared,active,", "203.0.113.21,,active,"]
    text = "\n".join([*lines, "203.0.113.22,shared,active,7"])
    made = await api.post("/v1/ips/import", content=text, headers={"Content-Type": "text/csv"})
    assert made.status_code == 201, made.text
    limits = {one["address"]: one["safe_limit"] for one in (await api.get("/v1/ips")).json()["items"]}
    assert limits == {"203.0.113.20": 1_200, "203.0.113.21": 2_000, "203.0.113.22": 7}
