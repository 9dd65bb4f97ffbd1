"""Leases over HTTP against a route of the same app that does nothing: ``python -m bench.leases``."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from fastapi import FastAPI

from api.deps import RateLimit
from api.routes import gate
from bench import measure
from domain.words import Role, Stage
from settings import Settings
from store import accounts, ledger, senders
from store.database import Database
from store.tables.ips import Ip

ASKS, AT_ONCE, TURNS = 500, 50, 5
#: Seconds after which a lease that got no answer is a fault of ours, not a slow machine.
STALLED = 15.0


async def _rate(client: httpx.AsyncClient, path: str) -> float:
    body = {"pool": "bench", "provider": "gmail", "count": 1}

    async def one() -> None:
        for _ in range(ASKS // AT_ONCE):
            (await asyncio.wait_for(client.post(path, json=body), STALLED)).raise_for_status()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return ASKS / (time.perf_counter() - began)


async def main() -> float:
    """Print both rates and their ratio; answers the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        db = Database.open(f"sqlite:///{folder}/bench.sqlite")
        await db.create_all()
        async with db.write() as session:
            token = await accounts.create_token(session, "bench", Role.OPERATOR)
            await senders.put_pool(session, "bench", None)
            session.add(Ip(address="198.51.100.7", pool="bench", stage=Stage.WARMING))
            now = int(time.time() * 1000)
            await ledger.set_window(session, "198.51.100.7", now, now + 86_400_000, 10**8, {}, 0)
        app = FastAPI()
        app.state.db, app.state.settings = db, Settings(var_dir=Path(folder))
        app.state.rate_limit = RateLimit(10**9)
        app.include_router(gate.router)

        @app.post("/nothing")
        async def nothing() -> dict[str, str]:
            return {}

        headers = {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client:
            empty, leases = [], []
            for _ in range(TURNS + 1):  # the first one warms up and is not counted
                empty.append(await _rate(client, "/nothing"))
                leases.append(await _rate(client, "/v1/gate/lease"))
        await db.close()
    ratios = [one / other for one, other in zip(leases[1:], empty[1:], strict=True)]
    measure.say(
        f"leases/s: {measure.spread(leases[1:])}, empty route {measure.spread(empty[1:])}, "
        f"{measure.verdict(ratios, 0.3)}"
    )
    return statistics.median(ratios)


if __name__ == "__main__":
    asyncio.run(main())
