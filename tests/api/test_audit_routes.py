"""Every route that changes something takes a reason and leaves one line: who, what, on what and why.

What a route tells a journey is taken by a stand-in; that journeys obey is tested beside each of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest

from api.routes import dns, lifecycle, purchase, warmup
from domain import purchase as rules
from domain.warmup import Progress, WarmupPlan, WarmupState
from domain.words import OrderStatus, Role, Severity
from sandbox.smtp import HOST, SandboxSmtp, logins
from settings import Settings
from store import accounts, incidents
from store import warmup as warmups
from store.database import Database
from store.tables.ips import Ip
from store.tables.purchase import Order

#: One store is enough: what is looked at is which line is written.
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)

#: No other test has these: a look at the lists really begins, and nobody here ends it.
OLD, NEW = "203.0.113.231", "203.0.113.232"
PRICE = rules.Money(amount="8.00")
WHY = "as agreed on Monday"
LONGEST = 500

#: These change nothing, or are no command of an operator: mail that asks to be sent, and what other systems report.
NO_COMMANDS = {
    "POST /v1/warmup/forecast",
    "POST /v1/replies/classify",
    "POST /v1/gate/lease",
    "POST /v1/webhooks/stripe",
    "POST /v1/webhooks/{source}",
}


class Command(NamedTuple):
    """How a route is called, and the line that it leaves; ``{...}`` stand for names made by the test."""

    what: str
    target: str
    body: Any = None
    #: Field of the body or parameter of the query that says why.
    why: str = "reason"


IN_POOL = {"name": "more", "overflow": "spare"}
COMMANDS = {
    "POST /v1/orders": Command(
        "order.create", "ord_", {"vendor": "inventory", "domain": "d.test", "hostname": "mail.d.test"}
    ),
    "POST /v1/orders/{order_id}/purchase": Command("order.purchase", "o1", {"payment_method": "pm_1"}),
    "POST /v1/orders/{order_id}/cancel": Command("order.cancel", "o1", {}),
    "PUT /v1/ips/{address}/smtp": Command("ip.smtp", OLD, {"host": HOST, "username": "demo"}),
    "POST /v1/ips/import": Command("ip.import", NEW, [{"address": NEW, "stage": "active"}]),
    "POST /v1/ips/{address}/retire": Command("ip.retire", OLD, {}),
    "POST /v1/ips/{address}/assign": Command("ip.assign", OLD, {"pool": "spare"}),
    "POST /v1/ips/{address}/dns/verify": Command("dns.verify", OLD, {}),
    "PATCH /v1/ips/{address}/dns": Command("dns.change", OLD, {"options": {"mta_sts": None}}),
    "POST /v1/ips/{address}/dns/support": Command("dns.support", OLD, {}, why="message"),
    "POST /v1/ips/{address}/warmup": Command("warmup.start", OLD, {}),
    "PATCH /v1/ips/{address}/warmup": Command("warmup.adjust", OLD, {"growth": 0.2}),
    "POST /v1/ips/{address}/warmup/pause": Command("warmup.pause", OLD, {}),
    "POST /v1/ips/{address}/warmup/resume": Command("warmup.resume", OLD, {}),
    "POST /v1/ips/{address}/warmup/complete": Command("warmup.complete", OLD, {}),
    "POST /v1/ips/{address}/warmup/restart": Command("warmup.restart", OLD, {"step": 1}),
    "POST /v1/ips/{address}/reputation/check": Command("reputation.check", OLD, {}),
    "POST /v1/incidents/{incident}/close": Command("incident.close", "{incident}", {}),
    "POST /v1/pools": Command("pool.put", "more", {"name": "more"}),
    "PATCH /v1/pools/{name}": Command("pool.change", "main", {"overflow": "spare"}),
    "DELETE /v1/pools/{name}": Command("pool.delete", "main"),
    "POST /v1/senders": Command("sender.add", "acme", {"name": "acme", "pool": "spare"}),
    "PATCH /v1/senders/{name}": Command("sender.change", "sold", {"pool": "default"}),
    "DELETE /v1/senders/{name}": Command("sender.delete", "sold"),
    "POST /v1/campaigns": Command("campaign.add", "spring", {"name": "spring", "sender": "kept"}),
    "POST /v1/campaigns/{name}/finish": Command("campaign.finish", "autumn", {}),
    "DELETE /v1/campaigns/{name}": Command("campaign.delete", "winter"),
    "POST /v1/campaigns/pause": Command("mail.pause", "sender kept", {"scope": {"sender": "kept"}}),
    "POST /v1/campaigns/resume": Command("mail.resume", "campaign winter", {"scope": {"campaign": "winter"}}),
    "POST /v1/tokens": Command("token.create", "ci", {"name": "ci", "role": "viewer"}),
    "DELETE /v1/tokens/{identity}": Command("token.revoke", "{identity}"),
}
#: What stands in a path for its parameters.
PARTS = {
    "address": OLD,
    "order_id": "o1",
    "pools/{name}": "pools/main",
    "senders/{name}": "senders/sold",
    "campaigns/{name}/finish": "campaigns/autumn/finish",
    "campaigns/{name}": "campaigns/winter",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Addresses that the operator holds are for sale."""
    return settings.model_copy(update={"ip_vendors": ("inventory",), "inventory_cidrs": ("198.51.100.0/29",)})


@pytest.fixture
async def names(api: httpx.AsyncClient, db: Database) -> dict[str, str]:
    """One of everything that a command may be about; answers the names that chance gave."""
    for path, body in (
        ("pools", {"name": "main"}),
        ("pools", {"name": "spare"}),
        *(("senders", {"name": one, "pool": "spare"}) for one in ("kept", "sold")),
        *(("campaigns", {"name": one, "sender": "kept"}) for one in ("autumn", "winter")),
        ("campaigns/winter/finish", {}),
    ):
        assert (await api.post(f"/v1/{path}", json=body)).is_success, path
    at = dt.datetime.now(dt.UTC)
    progress = Progress(plan=WarmupPlan(), state=WarmupState.WARMING, started=at)
    async with db.write() as session:
        session.add(Ip(address=OLD, stage="active"))
        await warmups.save(session, OLD, "run", progress)
        good = rules.Candidate(address=NEW, price=PRICE, cost=PRICE, verdict=rules.Verdict.RECOMMENDED)
        session.add(
            Order(
                id="o1", vendor="inventory", region="owned", domain="d.test", hostname="mail.d.test",
                status=OrderStatus.QUOTED, candidates=[good.model_dump(mode="json")],
            )
        )  # fmt: skip
        incident, _ = await incidents.open_incident(session, "payment", "o1", Severity.WARNING, "Money stands out.")
        text = await accounts.create_token(session, "old", Role.VIEWER)
        return {"incident": incident.id, "identity": accounts.identity_of(text)}


@pytest.fixture
async def smtp(settings: Settings) -> AsyncIterator[dict[str, Any]]:
    """Port and password of a mail server that runs."""
    server = SandboxSmtp(settings.var_dir, 0)
    await server.start()
    yield {"port": server.port, "password": logins(settings.var_dir)["demo"]}
    await server.stop()


async def document(api: httpx.AsyncClient) -> dict[str, Any]:
    """What the API says of itself."""
    return dict((await api.get("/openapi.json")).json())


async def test_no_route_is_forgotten(api: httpx.AsyncClient) -> None:
    paths = (await document(api))["paths"]
    changing = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways if method != "get"}
    assert changing == COMMANDS.keys() | NO_COMMANDS


@pytest.mark.parametrize("route", COMMANDS)
async def test_a_command_leaves_one_line_with_who_what_on_what_and_why(
    api: httpx.AsyncClient,
    db: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    smtp: dict[str, Any],
    names: dict[str, str],
    route: str,
) -> None:
    async def taken(*_: Any, **__: Any) -> None: ...

    async def seen(*_: Any) -> Any:  # noqa: ANN401
        return await warmup._get(OLD, db, settings)

    for module in (dns, lifecycle, purchase, warmup):
        monkeypatch.setattr(module, "command", taken)
    monkeypatch.setattr(purchase, "QUOTE_PATIENCE", 0.0)
    monkeypatch.setattr(warmup, "_until_seen", seen)
    given, (method, path) = COMMANDS[route], route.split()
    for part, name in {**PARTS, **names}.items():
        path = path.replace(part if "{" in part else f"{{{part}}}", name)
    body, parameters = given.body, {}
    if isinstance(body, dict):
        body = body | {given.why: WHY}
    else:
        parameters = {given.why: WHY}
    if given.what == "ip.smtp":
        body |= smtp
    before = (await api.get("/v1/audit")).json()["items"]

    answer = await api.request(method, path, json=body, params=parameters)

    assert answer.is_success, answer.text
    after = (await api.get("/v1/audit")).json()["items"]
    assert len(after) == len(before) + 1
    line = after[0]
    target = given.target.format(**names)
    assert (line["who"], line["what"], line["why"], line["outcome"]) == ("test admin", given.what, WHY, "done")
    assert line["target"].startswith(target) if target == "ord_" else line["target"] == target


async def test_a_reason_has_a_bound_and_the_document_tells_it(api: httpx.AsyncClient) -> None:
    found, bounds = await document(api), {}
    for route, (_, _, _, why) in COMMANDS.items():
        bounds[route] = _fields(found, *route.split())[why].get("maxLength")
    assert bounds == {route: 2_000 if given.why == "message" else LONGEST for route, given in COMMANDS.items()}


def _fields(found: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """Parameters of a route and fields of its body, with their schemas."""
    operation = found["paths"][path][method.lower()]
    fields = {one["name"]: one["schema"] for one in operation.get("parameters", [])}
    bodies = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for one in [bodies, *bodies.get("anyOf", [])]:
        if "$ref" in one:
            fields |= found["components"]["schemas"][one["$ref"].rpartition("/")[2]]["properties"]
    return fields
