"""The product and its neighbours as real processes on free ports, killed with SIGKILL and started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from sandbox import parts
from sandbox.environment import Ports, prepare
from sandbox.process import Part, die_with
from settings import Settings
from store.database import Database
from tests.ports import free_port, free_ports

ROOT = Path(__file__).resolve().parents[2]
#: What may be killed; DNS, the vendor and the gateway are other people's and keep running.
KILLABLE = ("worker", "api", "temporal")
NEIGHBOURS = ("dns", "vendor", "payments")
START_SECONDS = 60.0
#: Long enough to see a change over HTTP and kill before its answer.
SLOW_MS = 150
#: A short warm-up day that still leaves its senders time to spend a cap.
DAY_SECONDS = 3.0
Json = dict[str, Any]
Look = Callable[[], Awaitable[bool]]


def surroundings(folder: Path, database_url: str | None) -> dict[str, str]:
    """Settings of one system: its folder, its ports, its store, short days, and no sweep in between."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")}
    api, temporal, ui, vendor, payments, console, codec, mail, policy, maps, status = free_ports(11)
    store = {"WARMPATH_DATABASE_URL": database_url} if database_url else {}
    return clean | store | {
        "WARMPATH_VAR_DIR": str(folder),
        "WARMPATH_API_PORT": str(api),
        "WARMPATH_TEMPORAL_PORT": str(temporal),
        "WARMPATH_TEMPORAL_UI_PORT": str(ui),
        "WARMPATH_CONSOLE_PORT": str(console),
        "WARMPATH_CODEC_PORT": str(codec),
        "WARMPATH_SANDBOX_DNS_PORT": str(free_port(row=5)),
        "WARMPATH_SMTP_PORT": str(mail),
        "WARMPATH_GATE_POLICY_PORT": str(policy),
        "WARMPATH_GATE_SOCKETMAP_PORT": str(maps),
        "WARMPATH_GATE_HTTP_PORT": str(status),
        "WARMPATH_REPORTS_PORT": str(free_port()),
        "WARMPATH_SANDBOX_VENDOR_URL": f"http://127.0.0.1:{vendor}",
        "WARMPATH_SANDBOX_PAYMENTS_URL": f"http://127.0.0.1:{payments}",
        "WARMPATH_DRAIN_SECONDS": "2",
        "WARMPATH_DAY_SECONDS": str(DAY_SECONDS),
        "WARMPATH_SWEEP_MINUTES": "60",
        "WARMPATH_DNS_SWEEP_MINUTES": "60",
        # The tests look every few milliseconds, so as to kill close to a point.
        "WARMPATH_RATE_LIMIT_PER_MINUTE": "1000000",
    }  # fmt: skip


def settings_from(environment: dict[str, str]) -> Settings:
    """Settings come from the environment of the process only; it is put back at once."""
    kept = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment)
        return Settings()
    finally:
        os.environ.clear()
        os.environ.update(kept)


class System:
    """Processes by name."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        given = surroundings(folder, database_url)
        kept = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(given)
            self.environment = prepare(Settings())
        finally:
            os.environ.clear()
            os.environ.update(kept)
        self.settings = settings_from(self.environment)
        ports = Ports.of(self.settings)
        wanted = [*parts.neighbours(ports, folder), *parts.product(ports, self.settings)]
        self._parts: dict[str, Part] = {part.name: part for part in wanted if part.name in (*KILLABLE, *NEIGHBOURS)}
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._numbers = itertools.count(1)
        self.folder = folder
        self.http = httpx.AsyncClient(timeout=40, trust_env=False)
        self.store = Database.open(self.settings.database_url, synchronous="normal", pool_size=2)

    def number(self) -> int:
        """Another number each time, for names that must not meet."""
        return next(self._numbers)

    async def start(self, *names: str) -> None:
        """Start parts and wait until they are ready."""
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as out:
                self._children[name] = await asyncio.create_subprocess_exec(
                    *self._parts[name].command, cwd=ROOT, env=self.environment, stdin=asyncio.subprocess.DEVNULL,
                    stdout=out, stderr=out, start_new_session=True, preexec_fn=die_with(os.getpid()),
                )  # fmt: skip
        for name in names:
            async with asyncio.timeout(START_SECONDS):
                while not await self._parts[name].ready():
                    child = self._children[name]
                    log = self.folder / f"{name}.log"
                    assert child.returncode is None, f"{name} ended: {log.read_text()[-2000:]}"
                    await asyncio.sleep(0.05)

    async def whole(self) -> None:
        """Start again whatever a test before left dead."""
        await self.start(*(name for name, child in self._children.items() if child.returncode is not None))

    async def kill(self, *names: str) -> None:
        """SIGKILL, no warning."""
        for name in names:
            os.killpg(self._children[name].pid, signal.SIGKILL)
        for name in names:
            await self._children[name].wait()

    async def command(self, *arguments: str) -> None:
        """Run ``python cli.py`` once."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "cli.py", *arguments, cwd=ROOT, env=self.environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await child.communicate()
        assert child.returncode == 0, said.decode()

    async def api(self, method: str, path: str, body: object = None, key: str = "") -> httpx.Response:
        """A call as the operator."""
        token = (self.folder / "operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        url = f"http://127.0.0.1:{self.settings.api_port}{path}"
        return await self.http.request(method, url, json=body, headers=headers)

    async def look(self, path: str) -> Json:
        """What a GET answers; empty while there is no answer."""
        with contextlib.suppress(httpx.TransportError):
            reply = await self.api("GET", path)
            if reply.is_success:
                found: Json = reply.json()
                return found
        return {}

    async def killed(self, point: Look, victims: tuple[str, ...]) -> None:
        """Kill once a point is reached, and start again, all at once: each waits for what it needs."""
        await reached(point)
        await self.kill(*victims)
        await self.start(*victims)

    async def insist(
        self, method: str, path: str, body: object = None, key: str = "", allowed: tuple[int, ...] = ()
    ) -> Json:
        """A call repeated with the same key until it is answered, as a client does whose server died.

        Args:
            allowed: refusals that are an answer too.
        """
        end = time.monotonic() + 90
        while True:
            with contextlib.suppress(httpx.TransportError):
                reply = await self.api(method, path, body, key)
                if reply.status_code < 500:
                    assert reply.is_success or reply.status_code in allowed, reply.text
                    answer: Json = reply.json()
                    return answer
            assert time.monotonic() < end, f"{method} {path} was not answered"
            await asyncio.sleep(0.1)

    async def slow_neighbours(self) -> None:
        """Vendor and gateway answer a while after a change is done: whoever is killed then has not heard of it."""
        for url in (self.settings.sandbox_vendor_url, self.settings.sandbox_payments_url):
            (await self.http.put(f"{url}/v1/faults", json={"slow": SLOW_MS})).raise_for_status()

    async def payments(self, order: str | None = None) -> list[Json]:
        """What the gateway holds."""
        asked = {"order": order} if order else {}
        url = f"{self.settings.sandbox_payments_url}/v1/payments"
        found: list[Json] = (await self.http.get(url, params=asked)).json()
        return found

    async def holdings(self) -> dict[str, dict[str, str]]:
        """What the vendor holds: ``orders`` (address to order) and ``bought`` (address to reference)."""
        found: dict[str, dict[str, str]] = (
            await self.http.get(f"{self.settings.sandbox_vendor_url}/v1/holdings")
        ).json()
        return found


@contextlib.asynccontextmanager
async def running(folder: Path, database_url: str | None = None) -> AsyncIterator[System]:
    """A system that is up, with a migrated store and a token; nothing of it is left afterwards."""
    system = System(folder, database_url)
    try:
        await asyncio.gather(system.command("db", "upgrade"), system.start("temporal", *NEIGHBOURS))
        await asyncio.gather(system.command("token", "bootstrap"), system.start("worker", "api"))
        await system.slow_neighbours()
        yield system
    finally:
        for child in system._children.values():
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
        await system.http.aclose()
        await system.store.close()


async def reached(point: Look, seconds: float = 90) -> None:
    """Look every few milliseconds until it is so."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if await point():
                    return
            await asyncio.sleep(0.005)
