"""The real API in a thread, for pages that need no journey, and so no Temporal."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from temporalio.client import Client

from api.app import create
from api.webhooks import generic
from domain.words import Role
from settings import Settings
from store import accounts
from store.database import Database
from store.keys import new_key

SECRET = "whsec_" + base64.b64encode(b"explorer").decode()
SHARED = "a-secret-that-comes-with-each-request"
IP, OTHER_IP = "198.51.100.7", "198.51.100.8"
BLOCKED = "550 5.7.1 [{}] Our system has detected an unusual rate of unsolicited mail originating from your IP"
FULL = "452 4.2.2 The email account that you tried to reach is over quota"


@dataclass(frozen=True)
class Running:
    """A real API of its own."""

    url: str
    token: str

    def tell(self, *events: dict[str, Any]) -> None:
        """Events of a mail system, signed as it signs them."""
        body = json.dumps([{"at": time.time(), "ip": IP} | one for one in events]).encode()
        name, stamp = f"explorer-{time.time_ns()}", str(int(time.time()))
        signed = {
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": generic.sign(SECRET, name, stamp, body),
            "content-type": "application/json",
        }
        answer = httpx.post(f"{self.url}/v1/webhooks/generic", content=body, headers=signed)
        assert answer.json()["new"] == len(events), answer.text

    def tell_unknown(self) -> None:
        """An event of KumoMTA of a type that nobody knows."""
        answer = httpx.post(
            f"{self.url}/v1/webhooks/kumomta",
            json=[{"type": "Vogon", "id": "v", "recipient": "ada@example.org", "timestamp": int(time.time())}],
            headers={"authorization": f"Bearer {SHARED}"},
        )
        assert answer.json()["new"] == 1, answer.text

    def tell_replies(self) -> None:
        """Three blocks on two IPs, two full mailboxes, one dead address; and two days ago a deferral."""
        blocked = {"kind": "blocked", "provider": "gmail"}
        self.tell(
            {
                "id": "old", "kind": "deferred", "provider": "apple", "at": time.time() - 2 * 86_400,
                "detail": "451 4.7.1 Greylisting in action, please come back later",
            },
            *(
                blocked | {"id": f"b{n}", "ip": ip, "detail": BLOCKED.format(ip)}
                for n, ip in enumerate((IP, IP, OTHER_IP))
            ),
            {"id": "f1", "kind": "deferred", "provider": "gmail", "detail": FULL, "sender": "acme"},
            {"id": "f2", "kind": "deferred", "provider": "gmail", "detail": FULL, "campaign": "spring"},
            {
                "id": "n", "kind": "bounced", "provider": "yahoo", "recipient": "Ada.Lovelace@Example.Org",
                "detail": "550 5.1.1 <Ada.Lovelace@Example.Org>: Recipient address rejected: User unknown",
            },
        )  # fmt: skip


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """The API over HTTP in a thread, with its store in a folder."""
    chosen = Settings(
        var_dir=folder,
        database_url=f"sqlite:///{folder / 'warmpath.sqlite'}",
        secret_keys=(SecretStr(new_key("test")),),
        webhook_generic_secret=SecretStr(SECRET),
        webhook_kumomta_secret=SecretStr(SHARED),
        rate_limit_per_minute=1_000_000,
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        started: Future[tuple[uvicorn.Server, str]] = Future()
        thread = threading.Thread(target=lambda: asyncio.run(_serve(chosen, listener, started)))
        thread.start()
        server, token = started.result(60)
        yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", token)
        server.should_exit = True
        thread.join(20)


async def _serve(chosen: Settings, listener: socket.socket, started: Future[tuple[uvicorn.Server, str]]) -> None:
    try:
        db = Database.open(chosen.database_url, synchronous="normal")
        await db.create_all()
        async with db.write() as session:
            token = await accounts.create_token(session, "first operator", Role.ADMIN)
        app = create(chosen, db, await Client.connect("127.0.0.1:1", lazy=True))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        # Requests that come before it accepts wait in the listener's queue.
        started.set_result((server, token))
        await server.serve(sockets=[listener])
        await db.close()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise
