"""Senders of the sandbox: ``python -m sandbox.senders`` asks for leases, "sends", and reports outcomes.

For every IP that is warming or at full capacity it takes leases over HTTP and posts signed generic
webhooks, as a real mail system would. No mail leaves the machine. Trouble is switched on per IP over
HTTP on loopback (``GET /``, ``PUT /ADDRESS`` with :class:`Trouble`), and kept in
``VAR/sandbox/senders.json``.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import random
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

import settings as configuration
from domain.words import MailboxProvider
from settings import Settings

log = structlog.get_logger()

PORT = 10082
#: Where the recipients of a business sender live, roughly; a lease is asked for each.
SHARES = {
    MailboxProvider.GMAIL: 0.4,
    MailboxProvider.MICROSOFT: 0.25,
    MailboxProvider.YAHOO: 0.15,
    MailboxProvider.APPLE: 0.05,
    MailboxProvider.OTHER: 0.15,
}
#: Looks a day; more than the five hours that an hourly cap of a fifth needs.
ROUNDS_A_DAY = 15
#: Most mails one round asks for an IP and a provider, so that short days do not flood the machine.
MOST_A_ROUND = 400
EVENTS_A_POST = 500


class Trouble(BaseModel):
    """What goes wrong on an IP. Defaults are those of a clean list."""

    bounce: float = Field(0.005, ge=0, le=1, description="Share of recipients that do not exist.")
    complaint: float = Field(0.0, ge=0, le=1, description="Share of delivered mails reported as spam.")
    defer: float = Field(0.01, ge=0, le=1)
    block: float = Field(0.0, ge=0, le=1, description="Share refused because of the IP.")
    idle: bool = Field(False, description="Sends nothing.")
    listed: bool = Field(False, description="A monitor reports a critical listing, once.")


class Switches:
    """Trouble of each IP, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.of: dict[str, Trouble] = {}
        if file.exists():
            kept = json.loads(file.read_text())
            self.of = {address: Trouble.model_validate(one) for address, one in kept.items()}

    def set(self, address: str, trouble: Trouble) -> None:
        """Change what goes wrong on an IP."""
        self.of[address] = trouble
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({one: kept.model_dump() for one, kept in self.of.items()}, indent=1))


def outcomes(
    dice: random.Random, grant: dict[str, Any], provider: str, trouble: Trouble
) -> list[dict[str, Any]]:
    """Events of the mails of one grant."""
    found: list[dict[str, Any]] = []
    at = time.time()
    for place in range(grant["count"]):
        one = {
            "id": f"{grant['lease']}:{place}", "ip": grant["ip"], "provider": provider, "at": at,
            "message_id": f"{grant['lease']}:{place}", "recipient": f"r{place}@{provider}.test",
        }  # fmt: skip
        if dice.random() < trouble.block:
            detail = "550 5.7.606 Access denied, banned sending IP"
            found.append({**one, "kind": "blocked", "detail": detail})
        elif dice.random() < trouble.bounce:
            found.append({**one, "kind": "bounced", "detail": "550 5.1.1 user unknown"})
        else:
            found.append({**one, "kind": "delivered"})
            if dice.random() < trouble.defer:
                found.append(
                    {**one, "id": one["id"] + ":d", "kind": "deferred", "detail": "451 4.7.1 try later"}
                )
            if dice.random() < trouble.complaint:
                found.append({**one, "id": one["id"] + ":c", "kind": "complained", "sent_at": at})
    return found


class Senders:
    """Everybody who sends through this installation."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, switches: Switches) -> None:
        self._settings = settings
        self._http = http
        self._switches = switches
        self._dice = random.Random(7)
        self._alerted: set[str] = set()

    async def round(self) -> int:
        """One look at every sending IP; answers how many mails were granted."""
        granted = 0
        for stage in ("warming", "full_capacity"):
            cursor: str | None = None
            while True:
                query = {"stage": stage, **({"after": cursor} if cursor else {})}
                page = (await self._http.get("/v1/ips", params=query)).raise_for_status().json()
                for ip in page["items"]:
                    granted += await self._send(ip)
                cursor = page.get("next")
                if not cursor:
                    break
        for address, trouble in self._switches.of.items():
            await self._alert(address, trouble)
        return granted

    async def _send(self, ip: dict[str, Any]) -> int:
        address = ip["address"]
        trouble = self._switches.of.get(address, Trouble())
        if trouble.idle:
            return 0
        cap = ip.get("daily_cap") or ip.get("safe_limit") or 50
        events: list[dict[str, Any]] = []
        granted = 0
        for provider, share in SHARES.items():
            count = min(MOST_A_ROUND, max(1, math.ceil(cap * share / 5)))
            answer = await self._http.post(
                "/v1/gate/lease", json={"ip": address, "provider": provider, "count": count}
            )
            for grant in answer.raise_for_status().json()["grants"]:
                granted += grant["count"]
                events += outcomes(self._dice, grant, provider, trouble)
        for start in range(0, len(events), EVENTS_A_POST):
            await self._post(events[start : start + EVENTS_A_POST])
        return granted

    async def _alert(self, address: str, trouble: Trouble) -> None:
        if not trouble.listed:
            self._alerted.discard(address)
        elif address not in self._alerted:
            detail = f"{address} is listed on zen.spamhaus.org"
            await self._post([{"kind": "alert", "ip": address, "severity": "critical", "detail": detail}])
            self._alerted.add(address)

    async def _post(self, events: list[dict[str, Any]]) -> None:
        secret = self._settings.webhook_generic_secret
        if secret is None:
            raise RuntimeError("WARMPATH_WEBHOOK_GENERIC_SECRET is not set; senders cannot report.")
        body = json.dumps(events).encode()
        message, stamp = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"))
        signed = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "webhook-id": message,
            "webhook-timestamp": stamp,
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }
        (await self._http.post("/v1/webhooks/generic", content=body, headers=headers)).raise_for_status()

    async def run(self) -> None:
        """Send until cancelled; an API that does not answer is asked again."""
        pause = min(60.0, max(0.1, self._settings.day_seconds / ROUNDS_A_DAY))
        while True:
            try:
                await self.round()
                await asyncio.sleep(pause)
            except (httpx.HTTPError, KeyError) as error:
                log.warning("senders.wait", reason=str(error) or type(error).__name__)
                await asyncio.sleep(1.0)


def control(switches: Switches) -> FastAPI:
    """The switch for trouble, over HTTP."""
    app = FastAPI(title="Sandbox senders")

    @app.get("/")
    async def read() -> dict[str, Trouble]:
        return switches.of

    @app.put("/{address}")
    async def switch(address: str, trouble: Trouble) -> Trouble:
        switches.set(address, trouble)
        return trouble

    return app


async def main() -> None:
    """Run senders and their switch until SIGTERM or SIGINT."""
    settings = configuration.load()
    token_file = settings.var_dir / "operator.token"
    while not token_file.exists():
        await asyncio.sleep(0.2)
    headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
    switches = Switches(settings.var_dir / "sandbox" / "senders.json")
    server = uvicorn.Server(
        uvicorn.Config(control(switches), host="127.0.0.1", port=PORT, log_level="warning")
    )
    async with httpx.AsyncClient(base_url=settings.api_url, headers=headers, timeout=30) as http:
        sending = asyncio.create_task(Senders(settings, http, switches).run())
        await server.serve()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
