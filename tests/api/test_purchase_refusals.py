"""Bad input for orders, imports and credentials: one clear message each, and nothing changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel
from temporalio.client import Client

from api.app import create
from api.routes import purchase as route
from domain.words import Role
from providers.ip_vendors.registry import vendors
from providers.ip_vendors.sandbox import SandboxVendor
from sandbox import vendor as vendor_program
from sandbox.smtp import HOST, SandboxSmtp, logins
from settings import Profile, Settings
from store import accounts, ips
from store.database import Database
from store.secrets import Secrets
from store.tables.ips import Ip
from tests.neighbourhood import serving
from workflows.client import keyring

#: One store is enough: nothing of this reaches a table.
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)

OWNED = "203.0.113.50"
ORDER = {"vendor": "sandbox", "region": "eu-central", "domain": "d.test", "hostname": "mail.d.test"}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(params=[Profile.SANDBOX])
async def http(
    request: pytest.FixtureRequest, settings: Settings, db: Database, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """The API of a profile, with one IP in the inventory and the sandbox's vendor."""
    monkeypatch.setattr(route, "QUOTE_PATIENCE", 0.0)
    async with db.write() as session:
        token = await accounts.create_token(session, "an operator", Role.OPERATOR)
        await ips.insert(session, Ip(address=OWNED, domain="d.test", hostname="mail.d.test"))
    program = vendor_program.Vendor(settings.var_dir / "vendor.json")
    app = create(settings.model_copy(update={"profile": request.param}), db, temporal)
    async with (
        serving(vendor_program.create(program)) as url,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://warmpath.test",
            headers={"Authorization": f"Bearer {token}"},
        ) as client,
    ):
        monkeypatch.setattr(route, "vendors", lambda _: {"sandbox": SandboxVendor(url)})
        yield client


async def contents(db: Database) -> dict[str, int]:
    """Rows of every table."""
    async with db.read() as session:
        return {
            table.name: (await session.exec(sa.select(sa.func.count()).select_from(table))).one()[0]  # type: ignore[call-overload]
            for table in SQLModel.metadata.sorted_tables
        }


async def refused(http: httpx.AsyncClient, db: Database, status: int, *said: str, **sent: Any) -> None:  # noqa: ANN401
    """One problem that says what is wrong where, and a store that is as before."""
    before = await contents(db)
    answer = await http.request(sent.pop("method", "POST"), sent.pop("path"), **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for words in said:
        assert words in answer.text
    assert await contents(db) == before, "nothing is changed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vendor": "nobody"}, ("vendor", "There is no vendor 'nobody'; choose from sandbox.")),
        ({"region": "moon"}, ("region", "sells nothing in 'moon'; choose from eu-central, us-east.")),
        ({"domain": "no domain"}, ("domain", "is no domain name")),
        ({"hostname": "-bad-.test"}, ("hostname", "is no domain name")),
        ({"mx": "10 mx.d.test"}, ("mx", "is no domain name")),
        ({"count": 0}, ("count",)),
        ({"count": 51}, ("count",)),
        ({"type": "rented"}, ("type",)),
        ({"pool": ""}, ("pool",)),
        ({"domain": "münchen.test"}, ("domain", "is not in ASCII; give the name in the form that starts with xn--")),
        ({"domain": "d\x00.test"}, ("domain", "there is a control character (U+0000)")),
        ({"domain": "x" * 10_000}, ("domain", "at most 253")),
        ({"hostname": "mail.other.test"}, ("hostname", "is no name in d.test; give one such as mail.d.test")),
        ({"hostname": "maild.test"}, ("hostname", "is no name in d.test")),
        ({"hostname": "d.test", "count": 2}, ("hostname", "2 IPs need names of their own")),
        ({"hostname": "m" * 62 + ".d.test", "count": 2}, ("hostname", "leaves no room to number 2 names")),
        ({"pool": "defualt"}, ("pool", "There is no pool 'defualt'; choose from default, or make it first")),
        ({"pool": "a\x00b"}, ("pool", "control character")),
        ({"sender": "acme"}, ("sender", "There is no sender 'acme'; choose from none yet, or make it first")),
        ({"regon": "us-east"}, ("regon", "There is no field of this name")),
    ],
    ids=lambda one: "-".join(f"{k}={v}" for k, v in one.items())[:40] if isinstance(one, dict) else "",
)
async def test_a_wrong_order(http: httpx.AsyncClient, db: Database, change: dict[str, Any], said: tuple[str]) -> None:
    await refused(http, db, 422, *said, path="/v1/orders", json={**ORDER, **change})


@pytest.mark.parametrize(
    ("row", "status", "said"),
    [
        ({"address": "203.0.113.999"}, 422, ("item 2.address", "is no IP address; give one IPv4 or IPv6 address")),
        ({"address": ""}, 422, ("item 2.address", "is no IP address")),
        ({"address": "127.0.0.1"}, 422, ("item 2.address", "private or reserved space")),
        ({"address": "203.0.113.21", "stage": "active"}, 422, ("item 2.address", "stands on item 1 already")),
        ({"address": OWNED, "stage": "active"}, 409, ("item 2.address", "is already in the inventory")),
        ({"address": "203.0.113.22", "stage": "failed_over"}, 422, ("item 2.stage", "choose one of awaiting_dns")),
        ({"address": "203.0.113.22", "stage": "awaiting_dns"}, 422, ("item 2.domain", "a domain is needed")),
        ({"address": "203.0.113.22", "stage": "awaiting_dns", "domain": "d.test"}, 422, ("item 2.hostname",)),
        ({"address": "203.0.113.22", "stage": "active", "safe_limit": 0}, 422, ("item 2.safe_limit",)),
        ({"address": "203.0.113.22", "stage": "active", "domain": "no domain"}, 422, ("item 2.domain", "domain name")),
        ({"address": "203.0.113.22", "stage": "active", "pool": "nwes"}, 422, ("item 2.pool", "no pool 'nwes'")),
        ({"address": "203.0.113.22", "stage": "active", "sender": "who"}, 422, ("item 2.sender", "no sender 'who'")),
        ({"address": "203.0.113.22", "stage": "active", "bind_address": "eth0"}, 422, ("item 2.bind_address",)),
    ],
    ids=[
        "no address",
        "empty",
        "loopback",
        "twice",
        "present",
        "stage",
        "no domain",
        "no hostname",
        "limit",
        "domain",
        "pool",
        "sender",
        "bind address",
    ],
)
async def test_a_wrong_import(
    http: httpx.AsyncClient, db: Database, row: dict[str, Any], status: int, said: tuple[str, ...]
) -> None:
    body = [{"address": "203.0.113.21", "stage": "active"}, row]
    await refused(http, db, status, *said, path="/v1/ips/import", json=body)
    columns = tuple(dict.fromkeys(["address", "stage", "domain", "safe_limit", *row]))
    columns = columns if "pool" in row else (*columns, "pool")
    lines = [
        ",".join(columns),
        *(",".join(str(one.get(name, "default" if name == "pool" else "")) for name in columns) for one in body),
    ]
    in_csv = [words.replace("item 2", "line 3").replace("item 1", "line 2") for words in said]
    await refused(http, db, status, *in_csv, path="/v1/ips/import", content="\n".join(lines), headers=CSV)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("address,stage\n203.0.113.21,active\n203.0.113.22\n", "line 3: it has not as many cells as the header"),
        (b"address\n\xff\xfe\n", "This is no CSV in UTF-8"),
        ("", "Send 1 to"),
        ("address,satge\n203.0.113.21,active\n", "line 1: there is no column 'satge'; correct its spelling"),
        ("address,stage,stage\n203.0.113.21,active,active\n", "line 1: the column 'stage' stands there twice"),
        ("stage\nactive\n", "line 1: the column 'address' is missing"),
        ("address;stage\n203.0.113.21;active\n", "line 1: its columns are kept apart by ';'; export it again"),
        (
            'address,stage\n203.0.113.21,active\n"203.0.113.22,active\n',
            "line 3: this is no CSV (unexpected end",
        ),
    ],
    ids=[
        "short line",
        "not UTF-8",
        "empty",
        "unknown column",
        "column twice",
        "no address",
        "semicolons",
        "open quotation",
    ],
)
async def test_a_broken_csv(http: httpx.AsyncClient, db: Database, content: str | bytes, said: str) -> None:
    await refused(http, db, 422, said, path="/v1/ips/import", content=content, headers=CSV)


@pytest.mark.parametrize("http", [Profile.LIVE], indirect=True)
@pytest.mark.parametrize("address", ["10.1.2.3", "203.0.113.9", "fd00::1", "::ffff:10.1.2.3", "2002:a01:203::1"])
async def test_private_and_reserved_space_sends_nothing_in_live(
    http: httpx.AsyncClient, db: Database, address: str
) -> None:
    said = ("item 1.address", "private or reserved space", "give a public address")
    body = [{"address": address, "stage": "full_capacity"}]
    await refused(http, db, 422, *said, path="/v1/ips/import", json=body)


@pytest.mark.parametrize("http", [Profile.LIVE], indirect=True)
@pytest.mark.parametrize("block", ["10.0.0.0/24", "203.0.113.0/24", "fd00::/64"])
async def test_nobody_orders_private_space_in_live(
    http: httpx.AsyncClient, db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    live = settings.model_copy(
        update={"profile": Profile.LIVE, "ip_vendors": ("inventory",), "inventory_cidrs": ("8.8.8.0/29", block)}
    )
    monkeypatch.setattr(route, "vendors", lambda _: vendors(live))
    said = (f"WARMPATH_INVENTORY_CIDRS: {block}", "private or reserved space")
    await refused(http, db, 503, *said, path="/v1/orders", json={**ORDER, "vendor": "inventory", "region": ""})
    assert (await http.get("/v1/vendors")).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/orders", ORDER),
        ("POST", "/v1/orders/o1/purchase", {"payment_method": "tok_visa"}),
        ("POST", "/v1/orders/o1/cancel", {}),
        ("POST", "/v1/ips/import", [{"address": "203.0.113.21", "stage": "active"}]),
        ("PUT", f"/v1/ips/{OWNED}/smtp", {"host": "h", "username": "u", "password": "p"}),
        ("POST", f"/v1/ips/{OWNED}/retire", {"reason": "old"}),
    ],
    ids=["order", "purchase", "cancel", "import", "credentials", "retire"],
)
async def test_a_token_without_the_role(
    http: httpx.AsyncClient, db: Database, method: str, path: str, body: object
) -> None:
    async with db.write() as session:
        viewer = await accounts.create_token(session, "a viewer", Role.VIEWER)
    headers = {"Authorization": f"Bearer {viewer}"}
    said = ("'a viewer' has the role viewer; this needs the role operator",)
    await refused(http, db, 403, *said, method=method, path=path, json=body, headers=headers)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/orders/nothing/purchase", {"payment_method": "tok_visa"}, 404, "There is no order nothing."),
        ("/v1/orders/nothing/cancel", {}, 404, "There is no order nothing."),
        ("/v1/orders/nothing/purchase", {"payment_method": "4242 4242-42424242"}, 422, "This looks like a card number"),
        ("/v1/ips/203.0.113.77/retire", {"reason": "old"}, 404, "is not one of this"),
        ("/v1/ips/nowhere/retire", {"reason": "old"}, 422, "is no IP address"),
    ],
)
async def test_what_is_not_there_or_never_comes_here(
    http: httpx.AsyncClient, db: Database, path: str, body: object, status: int, said: str
) -> None:
    await refused(http, db, status, said, path=path, json=body)


async def test_credentials_are_replaced_only_by_ones_that_the_server_takes(
    http: httpx.AsyncClient, db: Database, settings: Settings
) -> None:
    secrets = Secrets(db, keyring(settings))
    server = SandboxSmtp(settings.var_dir / "smtp", 0)
    await server.start()
    password = logins(settings.var_dir / "smtp")["demo"]
    given = {"host": HOST, "port": server.port, "username": "demo", "password": password}
    path = f"/v1/ips/{OWNED}/smtp"
    try:
        assert (await http.put(path, json=given)).is_success
        first = await http.put(path, json=given)
        assert first.json() == {"address": OWNED, "smtp_login": f"{HOST}:{server.port} demo"}
        async with db.read() as session:
            ref = (await ips.get(session, OWNED)).smtp_secret
        assert ref is not None
        wrong = {**given, "password": "hunter2-is-wrong"}
        await refused(http, db, 422, "smtp.password", "refuses user", method="PUT", path=path, json=wrong)
    finally:
        await server.stop()
    await refused(http, db, 422, "smtp.port", "Nothing listens", method="PUT", path=path, json=given)
    async with db.read() as session:
        row = await ips.get(session, OWNED)
    assert row.smtp_secret == ref, "the old ones stay"
    assert json.loads(await secrets.get(ref))["password"] == given["password"]
    assert (await contents(db))["secret"] == 1, "what was replaced is kept no longer"
    for shown in (f"/v1/ips/{OWNED}", "/v1/audit", "/v1/ips"):
        text = (await http.get(shown)).text
        assert given["password"] not in text
        assert "hunter2" not in text
