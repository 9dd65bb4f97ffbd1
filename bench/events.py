"""Events taken over HTTP (100 a POST) against a bare batched insert: ``python -m bench.events``.

Both sides do the same work in the same kind of database: duplicate check and sums. The bare side
calls the repository with events ready made; the other signs, posts, verifies and normalises.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
import time

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from api.routes import webhooks
from api.webhooks import generic
from domain.events import Kind, MailEvent
from settings import Settings
from store import events
from store.database import Database

SECRET = "whsec_" + base64.b64encode(b"bench").decode()
POSTS, A_POST = 100, 100


def _body(post: int) -> bytes:
    rows = [
        {"id": f"{post}:{n}", "kind": "delivered", "ip": "198.51.100.7", "provider": "gmail"} for n in range(A_POST)
    ]
    return json.dumps(rows).encode()


async def _bare(db: Database) -> float:
    at = int(time.time() * 1000)
    batches = [
        [
            MailEvent(source="bare", event_id=f"{p}:{n}", kind=Kind.DELIVERED, address="198.51.100.7", at_ms=at)
            for n in range(A_POST)
        ]
        for p in range(POSTS)
    ]
    began = time.perf_counter()
    for batch in batches:
        async with db.write() as session:
            await events.record(session, batch)
    return POSTS * A_POST / (time.perf_counter() - began)


async def _posted(db: Database) -> float:
    app = FastAPI()
    app.state.db, app.state.settings = db, Settings(webhook_generic_secret=SecretStr(SECRET))
    app.include_router(webhooks.router)
    stamp = str(int(time.time()))
    requests = []
    for post in range(POSTS):
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
        db = Database.open(f"sqlite:///{folder}/bench.sqlite")
        await db.create_all()
        await _bare(db)
        async with db.write() as session:
            from sqlalchemy import text

            await (await session.connection()).execute(text("DELETE FROM mail_event"))
        bare, posted = await _bare(db), await _posted(db)
        await db.close()
    sys.stdout.write(f"events/s: posted {posted:,.0f}, bare insert {bare:,.0f}, ratio {posted / bare:.2f} (aim 0.5)\n")
    return posted / bare


if __name__ == "__main__":
    asyncio.run(main())
