"""Senders of the sandbox: ``python -m sandbox.senders`` asks for leases, "sends", and reports outcomes.

For every IP that is warming or at full capacity one task takes leases over HTTP, and signed generic
webhooks report the outcomes, as a real mail system would. No mail leaves the machine. Trouble is
switched on per IP over HTTP on loopback (``GET /``, ``PUT /ADDRESS`` with :class:`Trouble`), and kept
in ``VAR/sandbox/senders.json``.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import math
import random
import secrets
import time
from collections import deque
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field

import logs
import settings as configuration
from domain.words import MailboxProvider
from settings import Settings

log = structlog.get_logger()

#: Where the recipients of a business sender live, roughly; a lease is asked for each.
SHARES = {
    MailboxProvider.GMAIL: 0.4,
    MailboxProvider.MICROSOFT: 0.25,
    MailboxProvider.YAHOO: 0.15,
    MailboxProvider.APPLE: 0.05,
    MailboxProvider.OTHER: 0.15,
}
#: Turns of an IP a day, evenly spread. An hour grants at most a fifth of the day's cap, so five of them
#: are the least; the others make up for a day that begins late.
TURNS_A_DAY = 12
#: A turn asks for this part of the cap, what an hour may grant: most of the day remains as slack.
PART_A_TURN = 5
#: What a sender at full capacity has to send a day, so that a warm fleet leaves the machine to the rest.
WARM_DEMAND = 240
#: Seconds between looks at which IPs send, and between attempts at an API that does not answer.
LOOK_SECONDS = 1.0
#: Most outcomes of all IPs that are reported at once.
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


def outcomes(dice: random.Random, grant: dict[str, Any], provider: str, trouble: Trouble) -> list[dict[str, Any]]:
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
                found.append({**one, "id": one["id"] + ":d", "kind": "deferred", "detail": "451 4.7.1 try later"})
            if dice.random() < trouble.complaint:
                found.append({**one, "id": one["id"] + ":c", "kind": "complained", "sent_at": at})
    return found


class Reporter:
    """Outcomes of all IPs, posted together; what could not be posted is posted again."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._secret = settings.webhook_generic_secret
        self._http = http
        self._events: deque[dict[str, Any]] = deque()
        self._came = asyncio.Event()

    def add(self, events: list[dict[str, Any]]) -> None:
        """Report these soon."""
        self._events.extend(events)
        if events:
            self._came.set()

    async def run(self, gather_seconds: float) -> None:
        """Report until cancelled, a batch at a time; outcomes gather for ``gather_seconds``."""
        while True:
            await self._came.wait()
            await asyncio.sleep(gather_seconds)
            self._came.clear()
            while self._events:
                batch = [self._events[place] for place in range(min(EVENTS_A_POST, len(self._events)))]
                try:
                    await self._post(batch)
                except httpx.HTTPError as error:
                    # The ids are the same the next time, so nothing counts twice.
                    log.warning("senders.report", reason=str(error) or type(error).__name__)
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                for _ in batch:
                    self._events.popleft()

    async def _post(self, events: list[dict[str, Any]]) -> None:
        if self._secret is None:
            raise RuntimeError("WARMPATH_WEBHOOK_GENERIC_SECRET is not set; senders cannot report.")
        body = json.dumps(events).encode()
        message, stamp = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        key = base64.b64decode(self._secret.get_secret_value().removeprefix("whsec_"))
        signed = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "webhook-id": message,
            "webhook-timestamp": stamp,
            "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        }
        (await self._http.post("/v1/webhooks/generic", content=body, headers=headers)).raise_for_status()


class Senders:
    """Everybody who sends through this installation: one task an IP, on a schedule that does not drift."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient, switches: Switches, reporter: Reporter) -> None:
        self._turn_seconds = settings.day_seconds / TURNS_A_DAY
        self._http = http
        self._switches = switches
        self._reporter = reporter
        self._dice = random.Random(7)
        self._alerted: set[str] = set()
        self._demand: dict[str, int] = {}
        self._warm: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Send until cancelled; an API that does not answer is asked again."""
        try:
            while True:
                try:
                    self._follow(await self._look())
                except httpx.HTTPError as error:
                    log.warning("senders.wait", reason=str(error) or type(error).__name__)
                for address, trouble in self._switches.of.items():
                    self._alert(address, trouble)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._follow({})

    async def _look(self) -> dict[str, int]:
        """What each sending IP has to send a day."""
        found: dict[str, int] = {}
        warm: set[str] = set()
        for stage in ("warming", "full_capacity", "at_risk"):
            cursor: str | None = None
            while True:
                query = {"stage": stage, "limit": "200", **({"after": cursor} if cursor else {})}
                page = (await self._http.get("/v1/ips", params=query)).raise_for_status().json()
                for ip in page["items"]:
                    cap = ip["daily_cap"] or ip["safe_limit"]
                    if stage == "full_capacity":
                        warm.add(ip["address"])
                        cap = min(cap, WARM_DEMAND)
                    found[ip["address"]] = cap
                cursor = page["next"]
                if not cursor:
                    break
        self._warm = warm
        return found

    def _follow(self, demand: dict[str, int]) -> None:
        """Begin with the IPs that are new, end with those that send no more."""
        self._demand = demand
        for address in self._tasks.keys() - demand.keys():
            self._tasks.pop(address).cancel()
        for address in demand.keys() - self._tasks.keys():
            self._tasks[address] = asyncio.create_task(self._send(address))

    async def _send(self, address: str) -> None:
        began = time.monotonic()
        while True:
            try:
                await self._turn(address)
            except httpx.HTTPError as error:
                log.warning("senders.turn", ip=address, reason=str(error) or type(error).__name__)
            # The next mark of the schedule; marks that a slow answer has passed are left out.
            passed = time.monotonic() - began
            await asyncio.sleep(self._turn_seconds - passed % self._turn_seconds)

    async def _turn(self, address: str) -> None:
        """Spend a part of the day's cap; while there is none, one question is enough to know it."""
        trouble = self._switches.of.get(address, Trouble())
        if trouble.idle:
            return
        demand = self._demand.get(address, 0)
        if address in self._warm:
            # One provider a turn: its shares show over the days, and a warm fleet asks little.
            (provider,) = self._dice.choices(list(SHARES), list(SHARES.values()))
            await self._lease(address, provider, math.ceil(demand / TURNS_A_DAY), trouble)
            return
        parts = [(one, max(1, math.ceil(demand * share / PART_A_TURN))) for one, share in SHARES.items()]
        (first, count), *others = self._dice.sample(parts, len(parts))
        if await self._lease(address, first, count, trouble):
            await asyncio.gather(*(self._lease(address, one, many, trouble) for one, many in others))

    async def _lease(self, address: str, provider: MailboxProvider, count: int, trouble: Trouble) -> int:
        question = {"ip": address, "provider": provider, "count": count}
        answer = (await self._http.post("/v1/gate/lease", json=question)).raise_for_status().json()
        granted = 0
        for grant in answer["grants"]:
            granted += grant["count"]
            if dt.datetime.fromisoformat(grant["expires"]).timestamp() <= time.time():
                continue  # its day is over: what was not sent by then is lost, never sent on the next day's cap
            self._reporter.add(outcomes(self._dice, grant, provider, trouble))
        return granted

    def _alert(self, address: str, trouble: Trouble) -> None:
        if not trouble.listed:
            self._alerted.discard(address)
        elif address not in self._alerted:
            detail = f"{address} is listed on zen.spamhaus.org"
            self._reporter.add([{"kind": "alert", "ip": address, "severity": "critical", "detail": detail}])
            self._alerted.add(address)


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
    logs.configure(settings)
    token_file = settings.var_dir / "operator.token"
    while not token_file.exists():
        await asyncio.sleep(0.2)
    headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
    switches = Switches(settings.var_dir / "sandbox" / "senders.json")
    server = uvicorn.Server(
        uvicorn.Config(control(switches), host="127.0.0.1", port=settings.sandbox_senders_port, log_level="warning")
    )
    async with httpx.AsyncClient(base_url=settings.api_url, headers=headers, timeout=30, trust_env=False) as http:
        reporter = Reporter(settings, http)
        senders = Senders(settings, http, switches, reporter)
        gather_seconds = min(1.0, settings.day_seconds / TURNS_A_DAY / 2)
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(senders.run()),
                tasks.create_task(reporter.run(gather_seconds)),
            ]
            await server.serve()
            for one in working:
                one.cancel()


if __name__ == "__main__":
    asyncio.run(main())
