"""Events taken over HTTP (100 a POST) against a bare batched insert: ``python -m bench.events``.

Both sides write into the same database with the same duplicate check, sums and durability. The bare
side is the raw driver with rows ready made (``bench/bare.py``); the other verifies a signature, reads,
normalises and stores. Sides take turns, so that load hits both.
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from api.routes import webhooks
from api.webhooks import generic
from bench import bare, measure
from settings import Settings
from store.database import Database

SECRET = "whsec_" + base64.b64encode(b"bench").decode()
POSTS, A_POST, TURNS = 50, 100, 5


def _body(post: int) -> bytes:
    rows = [
        {"id": f"{post}:{n}", "kind": "delivered", "ip": "198.51.100.7", "provider": "gmail"} for n in range(A_POST)
    ]
    return json.dumps(rows).encode()


async def _posted(db: Database, turn: int) -> float:
    app = FastAPI()
    app.state.db, app.state.settings = db, Settings(webhook_generic_secret=SecretStr(SECRET))
    app.include_router(webhooks.router)
    stamp = str(int(time.time()))
    requests = []
    for post in range(turn * POSTS, (turn + 1) * POSTS):
        body = _body(post)
        headers = {"webhook-id": str(post), "webhook-timestamp": stamp}
        headers["webhook-signature"] = generic.sign(SECRET, str(post), stamp, body)
        requests.append((body, headers))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench") as client:
        began = time.perf_counter()
        for body, headers in requests:
            (await client.post("/v1/webhooks/generic", content=body, headers=headers)).raise_for_status()
        return POSTS * A_POST / (time.perf_counter() - began)


async def main() -> float:
    """Print both rates and their ratio; answers the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.sqlite"
        db = Database.open(f"sqlite:///{file}")
        await db.create_all()
        posted, plain = [], []
        for turn in range(TURNS + 1):  # the first one warms up and is not counted
            batches = [bare.rows(turn * POSTS + post, A_POST) for post in range(POSTS)]
            plain.append(await asyncio.to_thread(bare.insert, file, batches))
            posted.append(await _posted(db, turn))
        await db.close()
    ratios = [one / other for one, other in zip(posted[1:], plain[1:], strict=True)]
    measure.say(
        f"events/s: posted {measure.spread(posted[1:])}, bare insert {measure.spread(plain[1:])}, "
        f"{measure.verdict(ratios, 0.5)}"
    )
    return statistics.median(ratios)


if __name__ == "__main__":
    asyncio.run(main())
