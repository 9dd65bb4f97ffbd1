"""Ten thousand IPs are as quick as ten: the list pages on the server."""

from __future__ import annotations

import httpx

from domain.words import Stage
from store.database import Database
from store.tables.ips import Ip


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
