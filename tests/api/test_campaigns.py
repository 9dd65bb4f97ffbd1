"""Senders with what tells their mail, campaigns, and pauses; leases obey them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api import problems
from api.deps import RateLimit
from api.routes import campaigns, gate, pools
from domain.words import Role, Stage
from settings import Settings
from store import accounts, ledger
from store.database import Database
from store.tables.ips import Ip
from store.tables.senders import Pool

IP = "198.51.100.7"


@pytest.fixture
async def client(settings: Settings, db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The routes with an operator's token, one warming IP, the sender acme with its campaign spring."""
    async with db.write() as session:
        token = await accounts.create_token(session, "operator", Role.OPERATOR)
        session.add(Ip(address=IP, pool="main", stage=Stage.WARMING))
        now = int(time.time() * 1000)
        await ledger.set_window(session, IP, now - 3_600_000, now + 3_600_000, 50, {}, 0)
    app = FastAPI()
    app.state.settings, app.state.db, app.state.rate_limit = settings, db, RateLimit(1000)
    problems.install(app)
    for one in (pools, campaigns, gate):
        app.include_router(one.router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://warmpath.test",
        headers={"Authorization": f"Bearer {token}"},
    ) as asked:
        for path, body in (
            ("pools", {"name": "main"}),
            ("senders", {"name": "acme", "pool": "main", "matches": ["ACME.example", "app@acme.example"]}),
            ("campaigns", {"name": "spring", "sender": "acme"}),
        ):
            assert (await asked.post(f"/v1/{path}", json=body)).status_code == 201
        yield asked


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ({"all": True}, "all mail is paused: broken template"),
        ({"ip": IP}, f"{IP} is paused: broken template"),
        ({"pool": "main"}, "pool main is paused: broken template"),
        ({"sender": "acme"}, "sender acme is paused: broken template"),
        ({"campaign": "spring"}, "campaign spring is paused: broken template"),
    ],
)
async def test_what_is_paused_leases_nothing_until_it_is_resumed(
    client: httpx.AsyncClient, scope: dict[str, object], says: str
) -> None:
    command = {"scope": scope, "reason": "broken template"}
    stopped = await client.post("/v1/campaigns/pause", json=command)
    assert stopped.status_code == 200
    assert stopped.json()["paused"] is True
    assert stopped.json()["scope"] == scope
    assert [one["scope"] for one in (await client.get("/v1/campaigns/pauses")).json()["items"]] == [scope]
    ask = {"campaign": "spring", "count": 3}
    refused = (await client.post("/v1/gate/lease", json=ask)).json()
    assert (refused["grants"], refused["deferred"], refused["reason"]) == ([], 3, says)
    for _ in range(2):
        freed = await client.post("/v1/campaigns/resume", json={"scope": scope, "reason": "repaired"})
        assert freed.json() == {"scope": scope, "paused": False, "reason": "", "since": None, "who": ""}
    assert sum(one["count"] for one in (await client.post("/v1/gate/lease", json=ask)).json()["grants"]) == 3


async def test_a_paused_campaign_leaves_the_others_of_its_sender(client: httpx.AsyncClient) -> None:
    await client.post("/v1/campaigns", json={"name": "autumn", "sender": "acme"})
    await client.post("/v1/campaigns/pause", json={"scope": {"campaign": "spring"}, "reason": "x"})
    shown = (await client.get("/v1/campaigns")).json()["items"]
    assert [(one["name"], one["paused"], one["paused_by"]) for one in shown] == [
        ("autumn", False, ""),
        ("spring", True, "operator"),
    ]
    answer = (await client.post("/v1/gate/lease", json={"campaign": "autumn", "count": 1})).json()
    assert answer["deferred"] == 0


async def test_a_finished_campaign_sends_nothing_until_it_is_resumed(client: httpx.AsyncClient, db: Database) -> None:
    for _ in range(2):
        answer = await client.post("/v1/campaigns/spring/finish", json={"reason": "sold out"})
        assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["finished_at"] is not None) == ("finished", True)
    lease = {"campaign": "spring", "provider": "gmail", "count": 5}
    refused = (await client.post("/v1/gate/lease", json=lease)).json()
    assert (refused["deferred"], refused["reason"]) == (5, "campaign spring is finished: sold out")
    async with db.read() as session:
        page, _ = await accounts.audit_page(session, target="spring", before_id=None, limit=9)
    assert [row.what for row in page].count("campaign.finish") == 1
    await client.post("/v1/campaigns/resume", json={"scope": {"campaign": "spring"}, "reason": "new stock"})
    (found,) = (await client.get("/v1/campaigns")).json()["items"]
    assert (found["status"], found["finished_at"]) == ("active", None)
    assert (await client.post("/v1/gate/lease", json=lease)).json()["deferred"] == 0
    assert (await client.post("/v1/campaigns/absent/finish", json={})).status_code == 404


async def test_a_sender_is_known_by_its_matches_and_no_two_share_one(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/v1/senders")).json()["items"]
    assert shown[0]["matches"] == ["acme.example", "app@acme.example"]
    taken = await client.post("/v1/senders", json={"name": "other", "pool": "main", "matches": ["acme.example"]})
    assert taken.status_code == 409
    assert "already tells mail of sender 'acme'" in taken.json()["detail"]
    assert len((await client.get("/v1/senders")).json()["items"]) == 1
    kept = await client.post("/v1/senders", json={"name": "acme", "pool": "main"})
    assert kept.json()["matches"] == ["acme.example", "app@acme.example"]
    less = await client.post("/v1/senders", json={"name": "acme", "pool": "main", "matches": []})
    assert less.json()["matches"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("campaigns/pause", {"scope": {}}, 422, "exactly one"),
        ("campaigns/pause", {"scope": {"all": True, "ip": IP}}, 422, "exactly one"),
        ("campaigns/pause", {"scope": {"all": False}}, 422, "all"),
        ("campaigns/pause", {"scope": {"campaign": "none"}}, 404, "no campaign 'none'"),
        ("campaigns/resume", {"scope": {"ip": "203.0.113.9"}}, 404, "no IP '203.0.113.9'"),
        ("campaigns", {"name": "a+b", "sender": "acme"}, 422, "name"),
        ("campaigns", {"name": "summer", "sender": "nobody"}, 404, "no sender"),
        ("senders", {"name": "x", "pool": "main", "matches": ["two words"]}, 422, "matches"),
        ("gate/lease", {"campaign": "none", "count": 1}, 404, "no campaign"),
    ],
)
async def test_a_wrong_command_says_what_is_wrong(
    client: httpx.AsyncClient, path: str, body: dict[str, object], status: int, says: str
) -> None:
    answer = await client.post(f"/v1/{path}", json=body)
    assert answer.status_code == status
    assert says in answer.json()["detail"]


async def test_a_viewer_pauses_nothing(client: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        token = await accounts.create_token(session, "viewer", Role.VIEWER)
    asked = await client.post(
        "/v1/campaigns/pause", json={"scope": {"all": True}}, headers={"Authorization": f"Bearer {token}"}
    )
    assert asked.status_code == 403
    assert (await client.get("/v1/campaigns/pauses")).json()["items"] == []


async def test_commands_are_in_the_audit_trail(client: httpx.AsyncClient, db: Database) -> None:
    await client.post("/v1/campaigns/pause", json={"scope": {"sender": "acme"}, "reason": "complaints"})
    await client.post("/v1/campaigns/resume", json={"scope": {"sender": "acme"}, "reason": "list cleaned"})
    async with db.read() as session:
        page, _ = await accounts.audit_page(session, target="acme", before_id=None, limit=2)
    rows = [(row.what, row.target, row.why) for row in page]
    assert sorted(rows) == [("mail.pause", "sender acme", "complaints"), ("mail.resume", "sender acme", "list cleaned")]


@pytest.mark.parametrize("whose", [{"campaign": "spring"}, {"sender": "acme"}, {"pool": "main"}, {"ip": IP}])
async def test_pause_all_campaigns_stops_every_lease_and_resume_lets_them_flow(
    client: httpx.AsyncClient, whose: dict[str, str]
) -> None:
    ask = whose | {"count": 2}
    assert (await client.post("/v1/gate/lease", json=ask)).json()["deferred"] == 0
    await client.post("/v1/campaigns/pause", json={"scope": {"all": True}, "reason": "stolen login"})
    refused = (await client.post("/v1/gate/lease", json=ask)).json()
    assert (refused["grants"], refused["deferred"]) == ([], 2)
    assert refused["reason"] == "all mail is paused: stolen login"
    await client.post("/v1/campaigns/resume", json={"scope": {"all": True}, "reason": "login changed"})
    assert (await client.post("/v1/gate/lease", json=ask)).json()["deferred"] == 0


async def test_an_ip_is_paused_by_any_spelling_of_it(client: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        session.add(Ip(address="2001:db8::7", stage=Stage.WARMING))
    body = {"scope": {"ip": "2001:DB8:0::7"}, "reason": "listed"}
    answer = await client.post("/v1/campaigns/pause", json=body)
    assert (answer.status_code, answer.json()["scope"]) == (200, {"ip": "2001:db8::7"})
    lease = await client.post("/v1/gate/lease", json={"ip": "2001:DB8:0::7", "count": 1})
    assert lease.json()["reason"] == "2001:db8::7 is paused: listed"


async def test_pressing_twice_is_one_pause_with_one_line_in_the_audit(client: httpx.AsyncClient, db: Database) -> None:
    command = {"scope": {"all": True}, "reason": "stolen login"}
    first, *more = await asyncio.gather(*(client.post("/v1/campaigns/pause", json=command) for _ in range(4)))
    assert {one.status_code for one in (first, *more)} == {200}
    assert [one.json() for one in more] == [first.json()] * 3
    (shown,) = (await client.get("/v1/campaigns/pauses")).json()["items"]
    assert (shown["who"], shown["reason"]) == ("operator", "stolen login")
    async with db.read() as session:
        page, _ = await accounts.audit_page(session, target="all", before_id=None, limit=9)
    assert [(row.what, row.who, row.why) for row in page] == [("mail.pause", "operator", "stolen login")]


async def test_a_pause_without_a_reason_takes_none_away(client: httpx.AsyncClient) -> None:
    told = {"scope": {"all": True}, "reason": "stolen login"}
    for body in (told, {"scope": {"all": True}}, {"scope": {"all": True}, "reason": ""}):
        assert (await client.post("/v1/campaigns/pause", json=body)).json()["reason"] == "stolen login"
    for reason in ("the season is over", ""):
        over = (await client.post("/v1/campaigns/spring/finish", json={"reason": reason})).json()
        await client.post("/v1/campaigns/resume", json={"scope": {"all": True}})
    shown = (await client.get("/v1/campaigns/pauses")).json()["items"]
    assert [one["reason"] for one in shown] == ["finished: the season is over"]
    assert over["status"] == "finished"


async def test_a_new_reason_keeps_since_when_and_says_who_gave_it(client: httpx.AsyncClient, db: Database) -> None:
    first = (await client.post("/v1/campaigns/pause", json={"scope": {"all": True}, "reason": "?"})).json()
    async with db.write() as session:
        token = await accounts.create_token(session, "night shift", Role.OPERATOR)
    second = await client.post(
        "/v1/campaigns/pause",
        json={"scope": {"all": True}, "reason": "stolen login"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert second.json() == first | {"reason": "stolen login", "who": "night shift"}
    async with db.read() as session:
        page, _ = await accounts.audit_page(session, target="all", before_id=None, limit=9)
    assert page[0].before == {"paused": True, "reason": "?"}


async def test_a_pause_says_beforehand_what_it_stops(client: httpx.AsyncClient) -> None:
    reach = (await client.get("/v1/campaigns/reach")).json()
    assert reach == {"campaigns": 1, "senders": 1, "ips": 1, "kept": 0}
    await client.post("/v1/campaigns/pause", json={"scope": {"all": True}, "reason": "x"})
    assert (await client.get("/v1/campaigns/reach")).json() == reach
    await client.post("/v1/campaigns/pause", json={"scope": {"campaign": "spring"}, "reason": "x"})
    assert (await client.get("/v1/campaigns/reach", params={"scope": "all"})).json()["kept"] == 1
    unknown = await client.get("/v1/campaigns/reach", params={"scope": "pool", "name": "none"})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "There is no pool 'none'.")


async def test_a_sender_moves_to_another_pool_and_its_mail_follows(client: httpx.AsyncClient, db: Database) -> None:
    other = "198.51.100.8"
    async with db.write() as session:
        session.add(Pool(name="bulk"))
        session.add(Ip(address=other, pool="bulk", stage=Stage.WARMING))
        now = int(time.time() * 1000)
        await ledger.set_window(session, other, now - 3_600_000, now + 3_600_000, 50, {}, 0)
    listed = {one["name"]: one for one in (await client.get("/v1/pools")).json()["items"]}
    assert (listed["bulk"]["overflow"], listed["bulk"]["ips"]) == (None, 1)
    change = {"pool": "bulk", "matches": ["acme.example", "SMTP-17"], "reason": "more room"}
    moved = await client.patch("/v1/senders/acme", json=change)
    assert (moved.status_code, moved.json()["pool"], moved.json()["matches"]) == (
        200, "bulk", ["acme.example", "smtp-17"],
    )  # fmt: skip
    grants = (await client.post("/v1/gate/lease", json={"sender": "acme", "count": 1})).json()["grants"]
    assert [one["ip"] for one in grants] == [other]
    assert (await client.patch("/v1/senders/acme", json=change)).json() == moved.json()
    async with db.read() as session:
        page, _ = await accounts.audit_page(session, target="acme", before_id=None, limit=1)
    assert (page[0].what, page[0].why) == ("sender.change", "more room")
    assert page[0].before == {"pool": "main", "matches": ["acme.example", "app@acme.example"]}
    only = await client.patch("/v1/senders/acme", json={"matches": []})
    assert (only.json()["pool"], only.json()["matches"]) == ("bulk", [])


async def test_where_a_pool_overflows_to_is_changed_and_never_in_a_circle(client: httpx.AsyncClient) -> None:
    await client.post("/v1/pools", json={"name": "spare", "overflow": "main"})
    circle = await client.patch("/v1/pools/main", json={"overflow": "spare"})
    assert (circle.status_code, circle.json()["errors"][0]["field"]) == (422, "overflow")
    assert "circle" in circle.json()["detail"]
    freed = await client.patch("/v1/pools/spare", json={"overflow": None, "reason": "kept apart"})
    assert freed.json()["overflow"] is None
    assert (await client.patch("/v1/pools/main", json={"overflow": "spare"})).json()["overflow"] == "spare"
    assert (await client.patch("/v1/pools/main", json={})).status_code == 422
    assert (await client.post("/v1/pools", json={"name": "main"})).json()["overflow"] == "spare"


@pytest.mark.parametrize(
    ("path", "body", "status", "field", "says"),
    [
        ("senders/none", {"pool": "main"}, 404, "name", "no sender 'none'"),
        ("senders/acme", {"pool": "none"}, 404, "pool", "no pool 'none'"),
        ("senders/acme", {"matches": ["a b"]}, 422, "matches.0", "without spaces"),
        ("senders/acme", {"weight": 3}, 422, "weight", "no field of this name"),
        ("pools/none", {"overflow": None}, 404, "name", "no pool 'none'"),
        ("pools/main", {"overflow": "none"}, 404, "overflow", "no pool 'none'"),
        ("pools/main", {"overflow": "two words"}, 404, "overflow", "no pool 'two words'"),
    ],
)
async def test_a_wrong_change_names_its_field_and_changes_nothing(
    client: httpx.AsyncClient, path: str, body: dict[str, object], status: int, field: str, says: str
) -> None:
    before = [(await client.get(f"/v1/{one}")).json() for one in ("senders", "pools")]
    answer = await client.patch(f"/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)
    assert says in answer.json()["detail"]
    assert [(await client.get(f"/v1/{one}")).json() for one in ("senders", "pools")] == before
