"""Ten thousand IPs are as quick as ten: the list pages on the server."""

from __future__ import annotations

import datetime as dt

import httpx
import sqlalchemy as sa

from domain.words import Stage
from store import ips, ledger
from store.database import Database
from store.instants import now
from store.ordering import Order
from store.tables.dns import DnsSetup
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow
from store.tables.warmup import WarmupDay


async def test_pages_follow_each_other_and_filters_hold(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        for number in range(30):
            stage = Stage.WARMING if number % 3 == 0 else Stage.ACTIVE
            session.add(Ip(address=f"198.51.100.{number}", stage=stage, domain=f"d{number % 2}.test"))
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await api.get("/v1/ips", params={"limit": 7, "after": after} if after else {"limit": 7})).json()
        seen += [ip["address"] for ip in page["items"]]
        after = page["next"]
    assert sorted(seen) == sorted(f"198.51.100.{number}" for number in range(30))
    assert len(seen) == len(set(seen))
    warming = (await api.get("/v1/ips", params={"stage": "warming"})).json()["items"]
    assert len(warming) == 10
    assert (await api.get("/v1/fleet")).json()["stages"] == {"warming": 10, "active": 20}
    assert (await api.get("/v1/ips", params={"q": "d1.test"})).json()["items"][0]["domain"] == "d1.test"


async def test_addresses_come_by_number_in_every_list_and_export(api: httpx.AsyncClient, db: Database) -> None:
    numbers = ["9.0.0.1", "10.0.0.1", "198.51.100.11", "198.51.100.100", "198.51.101.2", "2001:db8::9", "2001:db8::10"]
    async with db.write() as session:
        for address in sorted(numbers):
            session.add(Ip(address=address, stage=Stage.WARMING, pool="p"))
    for order in ("address", "stage", "reputation", "waiting", "load"):
        assert await walked(api, order) == numbers, order
    for path in ("/v1/ips", "/v1/reputation"):
        page = (await api.get(path, params={"limit": 4})).json()
        assert page["next"] == "198.51.100.100"
        rest = (await api.get(path, params={"limit": 4, "after": page["next"]})).json()
        assert [one["address"] for one in rest["items"]] == numbers[4:]
    async with db.write() as session:
        for address in numbers:
            (row,) = (await session.exec(sa.select(Ip).where(Ip.address == address))).one()
            row.domain = "shared.test"
            session.add_all([row, DnsSetup(address=address)])
        assert list(await ips.using_domain(session, "shared.test")) == numbers
    siblings = (await api.get(f"/v1/ips/{numbers[-1]}/dns")).json()["siblings"]
    assert siblings == numbers[:-1]
    gone = (await api.get("/v1/ips", params={"after": "198.51.100.99", "pool": "p"})).json()
    assert [one["address"] for one in gone["items"]] == numbers[3:], "the cursor's own IP may have left the list"


async def walked(api: httpx.AsyncClient, order: str, limit: int = 2) -> list[str]:
    """The whole list in an order, page by page."""
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await api.get("/v1/ips", params={"limit": limit, "order": order, **({"after": after} if after else {})})
        assert page.status_code == 200, page.text
        seen += [ip["address"] for ip in page.json()["items"]]
        after = page.json()["next"]
        if after is None:
            return seen


async def test_each_order_pages_without_gaps_and_what_wants_a_look_comes_first(
    api: httpx.AsyncClient, db: Database
) -> None:
    moment = now()
    at_ms = int(moment.timestamp() * 1000)
    async with db.write() as session:
        for number, (band, score, spent) in enumerate(
            [("green", 95, 10), ("unknown", None, 90), ("red", 40, None), ("yellow", 70, 50), ("green", 82, 50)]
        ):
            address = f"198.51.100.{number}"
            since = moment - dt.timedelta(hours=number)
            session.add(
                Ip(address=address, stage=Stage.WARMING, band=band, score=score, waiting_since=since,
                   waiting_for="DNS" if number != 1 else "")
            )  # fmt: skip
            if spent is not None:
                session.add(
                    LedgerWindow(
                        address=address, starts_ms=at_ms - 1000, ends_ms=at_ms + 3_600_000, cap=100, granted=spent
                    )
                )
    tails = {
        "reputation": [2, 3, 1, 4, 0],
        "load": [1, 3, 4, 0, 2],
        "waiting": [4, 3, 2, 0, 1],
        "address": [0, 1, 2, 3, 4],
        "stage": [0, 1, 2, 3, 4],
    }
    for order, expected in tails.items():
        assert await walked(api, order) == [f"198.51.100.{number}" for number in expected], order
    worst = (await api.get("/v1/reputation", params={"order": "reputation", "limit": 1})).json()["items"][0]
    assert (worst["band"], worst["listings"]) == ("red", [])
    assert (await api.get("/v1/fleet")).json()["bands"] == {"green": 2, "unknown": 1, "red": 1, "yellow": 1}
    for wrong in ({"order": "colour"}, {"band": "blue"}):
        assert (await api.get("/v1/ips", params=wrong)).status_code == 422, wrong


async def test_caps_against_sent_are_the_last_days_of_each_ip(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        for day in range(1, 5):
            session.add(
                LedgerWindow(
                    address="198.51.100.1", starts_ms=day * 1000, ends_ms=day * 1000 + 1000, cap=100 * day, granted=day
                )
            )
        session.add(
            WarmupDay(
                address="198.51.100.1", run="r", day=0, starts_ms=3000, ends_ms=4000, date="1970-01-01", step=1,
                cap=300, decision="grow", reason="healthy", after={},
            )
        )  # fmt: skip
        await ledger.set_paused(session, "198.51.100.1", True, "test")
    answer = await api.get("/v1/metrics/caps", params={"ip": ["198.51.100.1", "198.51.100.9"], "days": 3})
    one, other = answer.json()["items"]
    assert [(day["cap"], day["granted"]) for day in one["windows"]] == [(200, 2), (300, 3), (400, 4)]
    assert [day["decision"] for day in one["windows"]] == [None, "grow", None]
    assert one["windows"][0]["starts_at"] == "1970-01-01T00:00:02Z"
    assert other == {"address": "198.51.100.9", "windows": []}


async def test_a_token_learns_its_own_name_and_role(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/me")).json()["role"] == "admin"


async def test_a_cursor_of_no_list_is_refused_not_an_error(api: httpx.AsyncClient) -> None:
    for path in ("ips?order=waiting", "ips", "reputation", "incidents", "replies", "tokens", "attention"):
        answer = await api.get(f"/v1/{path}{'&' if '?' in path else '?'}after=nobody")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "after"), path
        assert "no cursor" in answer.json()["detail"]


async def test_every_list_goes_on_by_the_same_parameter(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    asked = {
        path: {one["name"] for one in ways["get"].get("parameters", [])}
        for path, ways in paths.items()
        if "get" in ways
    }
    paged = {path for path, names in asked.items() if "limit" in names}
    assert len(paged) > 8
    assert {path for path in paged if "after" not in asked[path]} == {"/v1/dead-letters", "/v1/metrics"}, "one page"
    assert {path for path, names in asked.items() if "cursor" in names} == set()


async def test_a_retired_ip_has_no_cap_and_a_lease_of_it_says_why(api: httpx.AsyncClient, db: Database) -> None:
    at_ms = int(now().timestamp() * 1000)
    stages = {"198.51.100.1": Stage.RETIRED, "198.51.100.2": Stage.WARMING, "198.51.100.3": Stage.AWAITING_DNS}
    async with db.write() as session:
        for address, stage in stages.items():
            session.add(Ip(address=address, stage=stage))
            session.add(
                LedgerWindow(address=address, starts_ms=at_ms - 1000, ends_ms=at_ms + 3_600_000, cap=50, granted=50)
            )
    caps = {one["address"]: one["daily_cap"] for one in (await api.get("/v1/ips")).json()["items"]}
    assert caps == {"198.51.100.1": None, "198.51.100.2": 50, "198.51.100.3": 50}
    assert (await api.get("/v1/ips/198.51.100.1")).json()["sent_today"] == 50, "what was sent was sent"
    assert (await walked(api, "load"))[-1] == "198.51.100.1", "it has no load, so it comes last"
    for address, said in (
        ("198.51.100.1", "198.51.100.1 is retired and sends no more; ask for another IP"),
        ("198.51.100.3", "198.51.100.3 is neither warming nor at full capacity; its stage is awaiting_dns"),
    ):
        answer = (await api.post("/v1/gate/lease", json={"ip": address, "count": 5})).json()
        assert (answer["grants"], answer["deferred"]) == ([], 5)
        assert answer["reason"].startswith(said)


async def test_a_search_is_for_the_text_itself_in_any_case(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        session.add(Ip(address="198.51.100.1", domain="acme.example", hostname="mail_a.acme.example"))
        session.add(Ip(address="198.51.100.2", domain="Acme.example", hostname="mailba.acme.example"))
    for sought, found in {"ACME": [1, 2], "mail_a": [1], "%": [], "a\\": [], "100.2": [2]}.items():
        page = (await api.get("/v1/ips", params={"q": sought})).json()
        assert [one["address"] for one in page["items"]] == [f"198.51.100.{number}" for number in found], sought


async def test_who_waits_longer_comes_first_whatever_the_time_zone_of_the_database(db: Database) -> None:
    # The hour in which Berlin sets its clocks back: 02:30 comes before 02:15.
    earlier, later = (dt.datetime(2026, 10, 25, hour, minute, tzinfo=dt.UTC) for hour, minute in ((0, 30), (1, 15)))
    async with db.write() as session:
        for number, since in ((1, later), (2, earlier)):
            session.add(Ip(address=f"198.51.100.{number}", waiting_for="a look", waiting_since=since))
        await session.flush()
        if db.dialect == "postgresql":
            await (await session.connection()).execute(sa.text("SET LOCAL TIME ZONE 'Europe/Berlin'"))
        rows, after = await ips.list_page(session, order=Order.WAITING, limit=1)
        more, _ = await ips.list_page(session, order=Order.WAITING, limit=1, after=after)
    assert [row.address for row in (*rows, *more)] == ["198.51.100.2", "198.51.100.1"]
