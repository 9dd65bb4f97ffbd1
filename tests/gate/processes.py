"""Gates and a PostgreSQL server as processes that can be killed, and clients that count what they may send."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from sandbox.process import die_with
from tests.gate.conftest import Client
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


class GateProcess:
    """``python -m gate`` on ports of its own."""

    def __init__(self, database_url: str, free_port: Callable[[], int], **settings: str) -> None:
        self.policy_port, self._http_port = free_port(), free_port()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")}
        self._environment = clean | {
            "WARMPATH_DATABASE_URL": database_url,
            "WARMPATH_SQLITE_SYNCHRONOUS": "normal",
            "WARMPATH_GATE_POLICY_PORT": str(self.policy_port),
            "WARMPATH_GATE_SOCKETMAP_PORT": str(free_port()),
            "WARMPATH_GATE_HTTP_PORT": str(self._http_port),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gate"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with(os.getpid()),  # a test that fails leaves no gate behind
        )
        deadline = time.monotonic() + 30
        while not await asyncio.to_thread(self.ready):
            assert self._process.poll() is None, "the gate ended"
            assert time.monotonic() < deadline, "the gate is not ready"
            await asyncio.sleep(0.02)

    def ready(self) -> bool:
        """What ``/readyz`` says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._http_port}/readyz", timeout=2) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def end(self, how: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; answers the exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(30)


class Postgres:
    """A PostgreSQL server that a test may stop as a crash does, and start again."""

    def __init__(self, port: int) -> None:
        self._binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)[0]
        self._folder, self._port = Path(tempfile.mkdtemp(prefix="warmpath-pg-")), port
        self._who: dict[str, int] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self._folder, "postgres", "postgres")
            account = pwd.getpwnam("postgres")
            self._who = {"user": account.pw_uid, "group": account.pw_gid}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://warmpath@127.0.0.1:{port}/postgres"
        data = str(self._folder / "data")
        self._run([str(self._binaries / "initdb"), "-D", data, "-U", "warmpath", "-A", "trust", "--no-sync"]).wait(60)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self._folder}
        return subprocess.Popen(command, **quiet, **self._who)

    def start(self) -> None:
        """Start and wait until it answers."""
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-k", str(self._folder)]
        self._process = self._run([str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *where, "-F"])
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, without a word to its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop, and leave nothing."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class Proxy:
    """Stands between a gate and its store; may fall silent as a broken network does, without a word to either side."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self.mute = False  # whether new connections are silent, too
        self._to_port = to_port
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def silence(self) -> None:
        """Nothing goes through the connections that are open, and none of them is closed."""
        for one in self._pipes:
            one.cancel()
        self._pipes.clear()

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        self.silence()
        for one in self._writers:
            one.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self.mute:
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._writers.append(forth)
        for source, sink in ((reader, forth), (back, writer)):
            self._pipes.add(asyncio.create_task(self._pipe(source, sink)))

    @staticmethod
    async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
            sink.close()


class Load:
    """Clients that ask gate after gate; a gate that is gone is asked again until it is back."""

    def __init__(self, ports: list[int], clients: int, domains: tuple[str, ...] = ("gmail.com", "yahoo.com")) -> None:
        self.sent: Counter[tuple[str, str]] = Counter()
        self.said: Counter[str] = Counter()
        self.limit = math.inf  # mails that may be sent until the test lets more through
        self._ports, self._domains = ports, domains
        self._stop = False
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(clients)]

    async def stop(self) -> None:
        """Let every client finish its question."""
        self._stop = True
        await asyncio.gather(*self._tasks)

    def total(self, address: str) -> int:
        """Mails that may be sent from an IP: a grant that never arrived is none."""
        transport = f"FILTER wp-{address.replace('.', '-')}:"
        return sum(count for (said, _), count in self.sent.items() if said == transport)

    async def _client(self, number: int) -> None:
        turn, own = 0, asyncio.current_task()
        assert own is not None

        def goes_on() -> bool:
            # A cancellation that meets an answer is swallowed by `wait_for`; a failed test must not hang on it.
            return not self._stop and not own.cancelling()

        while goes_on():
            try:
                client = await Client.to(self._ports[number % len(self._ports)])
            except OSError:
                await asyncio.sleep(0.02)
                continue
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while goes_on():
                    if self.sent.total() >= self.limit:
                        await asyncio.sleep(0.005)
                        continue
                    turn += 1
                    domain = self._domains[turn % len(self._domains)]
                    said = await client.ask(f"r{number}.{turn}@{domain}", instance=f"{number}.{turn}")
                    if said.startswith("FILTER"):
                        self.sent[said, domain] += 1
                    else:
                        self.said[said] += 1
                        await asyncio.sleep(0.01)  # Postfix would come back much later
            client.close()
