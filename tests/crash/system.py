"""The product and its neighbours as real processes on free ports, killed with SIGKILL and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
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

ROOT = Path(__file__).resolve().parents[2]
#: What may be killed; the vendor and the gateway are other people's and keep running.
KILLABLE = ("worker", "api", "temporal")
START_SECONDS = 60.0
Json = dict[str, Any]


def free_port() -> int:
    """A port on loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def surroundings(folder: Path) -> dict[str, str]:
    """Settings of one system: its folder and its ports; no DNS server, since purchase needs none."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")}
    api, temporal, ui, vendor, payments, console, codec, names, mail = (free_port() for _ in range(9))
    return clean | {
        "WARMPATH_VAR_DIR": str(folder),
        "WARMPATH_API_PORT": str(api),
        "WARMPATH_TEMPORAL_PORT": str(temporal),
        "WARMPATH_TEMPORAL_UI_PORT": str(ui),
        "WARMPATH_CONSOLE_PORT": str(console),
        "WARMPATH_CODEC_PORT": str(codec),
        "WARMPATH_SANDBOX_DNS_PORT": str(names),
        "WARMPATH_SMTP_PORT": str(mail),
        "WARMPATH_SANDBOX_VENDOR_URL": f"http://127.0.0.1:{vendor}",
        "WARMPATH_SANDBOX_PAYMENTS_URL": f"http://127.0.0.1:{payments}",
        "WARMPATH_DRAIN_SECONDS": "2",
        # Its questions are refused at once, so that vetting is quick: a list that does not answer warns only.
        "WARMPATH_BLOCKLIST_RESOLVER": f"127.0.0.1@{names}",
    }


class System:
    """Processes by name."""

    def __init__(self, folder: Path) -> None:
        given = surroundings(folder)
        kept = dict(os.environ)
        # Settings come from the environment only; it is put back at once.
        try:
            os.environ.clear()
            os.environ.update(given)
            self.settings = Settings()
            self.environment = prepare(self.settings)
        finally:
            os.environ.clear()
            os.environ.update(kept)
        ports = Ports.of(self.settings)
        wanted = [*parts.neighbours(ports, folder), *parts.product(ports, self.settings)]
        self._parts: dict[str, Part] = {
            part.name: part for part in wanted if part.name in (*KILLABLE, "vendor", "payments")
        }
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._logs = folder
        self.folder = folder
        self.http = httpx.AsyncClient(timeout=40, trust_env=False)

    async def start(self, *names: str) -> None:
        """Start parts and wait until they are ready."""
        for name in names:
            with (self._logs / f"{name}.log").open("ab") as out:
                self._children[name] = await asyncio.create_subprocess_exec(
                    *self._parts[name].command, cwd=ROOT, env=self.environment, stdin=asyncio.subprocess.DEVNULL,
                    stdout=out, stderr=out, start_new_session=True, preexec_fn=die_with(os.getpid()),
                )  # fmt: skip
        for name in names:
            async with asyncio.timeout(START_SECONDS):
                while not await self._parts[name].ready():
                    child = self._children[name]
                    assert child.returncode is None, f"{name} ended: {(self._logs / f'{name}.log').read_text()[-2000:]}"
                    await asyncio.sleep(0.05)

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

    async def insist(self, method: str, path: str, body: object = None, key: str = "", seconds: float = 90) -> Json:
        """A call repeated with the same key until it is answered, as a client does whose server died."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                reply = await self.api(method, path, body, key)
                if reply.status_code < 500:
                    assert reply.is_success, reply.text
                    answer: Json = reply.json()
                    return answer
            assert time.monotonic() < end, f"{method} {path} was not answered"
            await asyncio.sleep(0.1)

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
async def running(folder: Path) -> AsyncIterator[System]:
    """A system that is up, with a migrated store and a token; nothing of it is left afterwards."""
    system = System(folder)
    try:
        await asyncio.gather(system.command("db", "upgrade"), system.start("temporal", "vendor", "payments"))
        await system.command("token", "bootstrap")
        await system.start("worker", "api")
        yield system
    finally:
        for child in system._children.values():
            if child.returncode is None:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
        await system.http.aclose()


async def reached(true: Callable[[], Awaitable[bool]], seconds: float = 90) -> None:
    """Poll quickly until it is true; a server that is down says no."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if await true():
                    return
            await asyncio.sleep(0.005)
