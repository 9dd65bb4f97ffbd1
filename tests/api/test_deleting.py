"""Pools, senders and campaigns come to an end: refused while anything goes by them, history stays; lists are paged."""

from __future__ import annotations

import time
from urllib.parse import quote

import httpx
import pytest

from domain.routing import Routes
from domain.words import OrderStatus, Stage
from settings import Settings
from store import changes, gate, ledger
from store.database import Database
from store.tables.ips import Ip
from store.tables.purchase import Order
from store.tables.senders import MailPause, Pool, Sender

IP = "198.51.100.7"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Mail of unknown senders goes by the pool spare."""
    return settings.model_copy(update={"gate_default_pool": "spare"})


@pytest.fixture(autouse=True)
async def fleet(api: httpx.AsyncClient, db: Database) -> None:
    """Pool main with an IP and the sender acme, whose campaign is spring."""
    for path, body in (
        ("pools", {"name": "main"}),
        ("pools", {"name": "spare"}),
        ("senders", {"name": "acme", "pool": "main", "matches": ["acme.example"]}),
        ("campaigns", {"name": "spring", "sender": "acme"}),
    ):
        assert (await api.post(f"/v1/{path}", json=body)).status_code == 201
    async with db.write() as session:
        session.add(Ip(address=IP, pool="main", stage=Stage.WARMING))
        now = int(time.time() * 1000)
        await ledger.set_window(session, IP, now - 3_600_000, now + 3_600_000, 50, {}, 0)


async def refused(api: httpx.AsyncClient, path: str, *says: str) -> None:
    """A deletion is refused in one sentence, and changes nothing."""
    lists = ("pools", "senders", "campaigns", "campaigns/pauses", "audit")
    before = [(await api.get(f"/v1/{one}")).json() for one in lists]
    answer = await api.delete(f"/v1/{path}")
    assert answer.status_code == 409, answer.text
    assert answer.json()["errors"][0]["field"] == "name"
    for said in says:
        assert said in answer.json()["detail"]
    assert [(await api.get(f"/v1/{one}")).json() for one in lists] == before


async def routes(db: Database) -> Routes:
    async with db.snapshot() as session:
        return await gate.routes(session)


async def test_a_pool_is_deleted_once_nothing_goes_by_it(api: httpx.AsyncClient, db: Database) -> None:
    await api.post("/v1/pools", json={"name": "bulk", "overflow": "main"})
    async with db.write() as session:
        session.add(Order(id="ord_1", pool="main", vendor="v", region="r", domain="d.test", hostname="m.d.test",
                          status=OrderStatus.QUOTED))  # fmt: skip
    await refused(
        api, "pools/main", f"1 IP ({IP})", "1 sender (acme)", "1 overflow of pool (bulk)", "1 open order (ord_1)",
        "Give them another pool first.",
    )  # fmt: skip
    await api.patch("/v1/senders/acme", json={"pool": "spare"})
    await api.patch("/v1/pools/bulk", json={"overflow": None})
    async with db.write() as session:
        row, order = await session.get(Ip, IP), await session.get(Order, "ord_1")
        assert row is not None
        assert order is not None
        row.stage, order.status = Stage.RETIRED, OrderStatus.PURCHASED
        session.add_all([row, order])
    await api.post("/v1/campaigns/pause", json={"scope": {"pool": "main"}, "reason": "being emptied"})
    deleted = await api.delete("/v1/pools/main", params={"reason": "given up"})
    assert (deleted.status_code, deleted.content, deleted.headers.get("content-type")) == (204, b"", None)
    assert "main" not in {one["name"] for one in (await api.get("/v1/pools")).json()["items"]}
    assert (await api.get("/v1/campaigns/pauses")).json()["items"] == [], "its pause goes with it"
    assert (await api.get(f"/v1/ips/{IP}")).json()["pool"] == "main", "history stays"
    line = (await api.get("/v1/audit")).json()["items"][0]
    assert (line["what"], line["target"], line["why"]) == ("pool.delete", "main", "given up")
    gone = await api.delete("/v1/pools/main")
    assert (gone.status_code, gone.json()["detail"]) == (404, "There is no pool 'main'.")


async def test_the_default_pool_and_the_one_of_unknown_senders_stay(api: httpx.AsyncClient) -> None:
    await refused(api, "pools/default", "the one of every IP that names none")
    await refused(api, "pools/spare", "name another one in WARMPATH_GATE_DEFAULT_POOL first")


async def test_a_sender_goes_with_its_finished_campaigns_and_the_gate_knows_at_once(
    api: httpx.AsyncClient, db: Database
) -> None:
    async with db.write() as session:
        row = await session.get(Ip, IP)
        assert row is not None
        row.sender = "acme"
        session.add(row)
    await refused(api, "senders/acme", f"1 IP ({IP})", "1 unfinished campaign (spring)", "finish its campaigns first")
    async with db.write() as session:
        row = await session.get(Ip, IP)
        assert row is not None
        row.sender = None
        session.add(row)
    await api.post("/v1/campaigns/spring/finish", json={"reason": "over"})
    await api.post("/v1/campaigns/pause", json={"scope": {"sender": "acme"}, "reason": "leaves us"})
    assert (await routes(db)).party("", "news@acme.example") is not None

    watching = changes.watch(db, db.reader.url.render_as_string(hide_password=False))
    await anext(watching)
    assert (await api.delete("/v1/senders/acme", params={"reason": "left"})).status_code == 204
    began = time.monotonic()
    await anext(watching)
    assert time.monotonic() - began < 1, "the gates are told"
    await watching.aclose()
    known = await routes(db)
    assert (known.senders, known.matches, known.campaigns, known.pauses) == ({}, {}, {}, {})
    assert known.party("", "news@acme.example") is None
    line = (await api.get("/v1/audit")).json()["items"][0]
    assert (line["what"], line["before"]) == (
        "sender.delete", {"pool": "main", "matches": ["acme.example"], "campaigns": ["spring"]},
    )  # fmt: skip


async def test_a_campaign_is_deleted_when_it_is_finished(api: httpx.AsyncClient, db: Database) -> None:
    await refused(api, "campaigns/spring", "is not finished; finish it first")
    await api.post("/v1/campaigns/spring/finish", json={"reason": "over"})
    assert (await api.delete("/v1/campaigns/spring")).status_code == 204
    assert (await api.get("/v1/campaigns")).json()["items"] == []
    async with db.read() as session:
        assert await session.get(MailPause, ("campaign", "spring")) is None
    again = await api.post("/v1/campaigns", json={"name": "spring", "sender": "acme"})
    assert again.json()["status"] == "active", "a name may be used anew"


@pytest.mark.parametrize("name", ["two words", "eu/bulk", "a/b c/%2F?"])
async def test_a_pool_from_before_names_were_checked_is_changed_used_and_deleted(
    api: httpx.AsyncClient, db: Database, name: str
) -> None:
    async with db.write() as session:
        session.add(Pool(name=name))
    path = f"/v1/pools/{quote(name, safe='')}"
    changed = await api.patch(path, json={"overflow": "spare"})
    assert (changed.status_code, changed.json()["overflow"]) == (200, "spare")
    assert (await api.patch("/v1/senders/acme", json={"pool": name})).json()["pool"] == name
    await refused(api, path.removeprefix("/v1/"), "1 sender (acme)")
    await api.patch("/v1/senders/acme", json={"pool": "main"})
    assert (await api.delete(path)).status_code == 204
    async with db.read() as session:
        assert await session.get(Pool, name) is None


async def test_a_creation_is_made_once_under_its_key(api: httpx.AsyncClient) -> None:
    for path, body, other in (
        ("pools", {"name": "new"}, {"name": "new", "overflow": "spare"}),
        ("senders", {"name": "new", "pool": "spare"}, {"name": "new", "pool": "main"}),
        ("campaigns", {"name": "new", "sender": "acme"}, {"name": "other", "sender": "acme"}),
    ):
        keyed = {"Idempotency-Key": f"make-{path}"}
        before = len((await api.get("/v1/audit")).json()["items"])
        answers = [await api.post(f"/v1/{path}", json=body, headers=keyed) for _ in range(2)]
        assert [one.status_code for one in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert (await api.post(f"/v1/{path}", json=other, headers=keyed)).status_code == 422
        assert len((await api.get("/v1/audit")).json()["items"]) == before + 1
    await api.delete("/v1/senders/new")
    late = await api.post(
        "/v1/senders", json={"name": "new", "pool": "spare"}, headers={"Idempotency-Key": "make-senders"}
    )
    assert late.status_code == 409
    assert "made sender new, which was deleted since" in late.json()["detail"]


async def test_lists_are_paged(api: httpx.AsyncClient, db: Database) -> None:
    names = [f"n{number:02}" for number in range(7)]
    async with db.write() as session:
        session.add_all(Pool(name=name) for name in names)
        session.add_all(Sender(name=name, pool="main") for name in names)
    for name in names:
        await api.post("/v1/campaigns", json={"name": name, "sender": "acme"})
        await api.post("/v1/tokens", json={"name": name, "role": "viewer"})
    for path in ("pools", "senders", "campaigns", "tokens"):
        whole = (await api.get(f"/v1/{path}", params={"limit": 500})).json()
        assert whole["next"] is None
        seen: list[str] = []
        after: str | None = None
        while True:
            page = (await api.get(f"/v1/{path}", params={"limit": 3, **({"after": after} if after else {})})).json()
            assert len(page["items"]) <= 3
            seen += [one["name"] for one in page["items"]]
            after = page["next"]
            if after is None:
                break
        assert seen == [one["name"] for one in whole["items"]], path
        assert set(names) <= set(seen)
    assert (await api.get("/v1/tokens", params={"after": "none"})).status_code == 422
