"""Events taken over HTTP (100 a POST) against a bare batched insert: ``python -m bench.events``.

The product runs as it does in an installation: its API as a process of its own, asked over loopback by
clients that send requests made beforehand. Every POST is signed, checked, read, normalised and committed
before its answer. The bare side (``bench/bare.py``) writes rows ready made into the same database. Sides
take turns, so that load hits both. On SQLite always; on PostgreSQL where its programs are installed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from api.webhooks import generic, intake
from bench import bare, measure
from store import migrating

SECRET = "whsec_" + base64.b64encode(b"bench").decode()
POSTS, A_POST, TURNS = 160, 100, 5
CLIENTS = (1, 8)


def _request(run: int, post: int) -> bytes:
    at = time.time()
    body = json.dumps(
        [
            {
                "id": f"{run}:{post}:{n}",
                "kind": "delivered",
                "ip": "198.51.100.7",
                "recipient": f"reader{post}.{n}@gmail.com",
                "message_id": f"<{run}.{post}.{n}@shop.example>",
                "sender": "shop",
                "campaign": "spring",
                "at": at,
            }
            for n in range(A_POST)
        ]
    ).encode()
    name, stamp = f"{run}:{post}", str(int(at))
    head = (
        f"POST /v1/webhooks/generic HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"webhook-id: {name}\r\nwebhook-timestamp: {stamp}\r\n"
        f"webhook-signature: {generic.sign(SECRET, name, stamp, body)}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _client(port: int, requests: list[bytes]) -> None:
    """A blocking socket: its own work is a tenth of a request's, an event loop's would be a part of the figure."""
    expected = intake.answer(A_POST, A_POST)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for request in requests:
            connection.sendall(request)
            answer = b""
            while not answer.endswith(expected):
                got = connection.recv(4096)
                answer += got
                if not got or not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"the API answered {answer!r}")


def _posted(port: int, run: int, clients: int) -> float:
    requests = [_request(run, post) for post in range(POSTS)]
    with ThreadPoolExecutor(clients) as threads:
        began = time.perf_counter()
        list(threads.map(lambda one: _client(port, requests[one::clients]), range(clients)))
        return POSTS * A_POST / (time.perf_counter() - began)


@contextlib.contextmanager
def _api(url: str, folder: str) -> Iterator[int]:
    """The API as a process on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {
        **os.environ,
        "WARMPATH_DATABASE_URL": url,
        "WARMPATH_VAR_DIR": folder,
        "WARMPATH_SECRET_KEYS": "bench:" + base64.b64encode(bytes(32)).decode(),
        "WARMPATH_WEBHOOK_GENERIC_SECRET": SECRET,
        "WARMPATH_LOG_LEVEL": "error",
        "WARMPATH_TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    command = [
        sys.executable, "-m", "uvicorn", "api.app:create", "--factory", "--host", "127.0.0.1", "--port", str(port),
        "--log-level", "error", "--no-access-log",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the API does not start")
        time.sleep(0.1)
    yield port
    process.terminate()
    process.wait(20)


def _compare(name: str, url: str, insert: bare.Insert) -> float:
    lowest = 1e9
    with tempfile.TemporaryDirectory() as folder, _api(url, folder) as port:
        for clients in CLIENTS:
            posted, plain = [], []
            for turn in range(TURNS + 1):  # the first one warms up and is not counted
                run = clients * 1000 + turn
                plain.append(insert([bare.rows(run, post, A_POST) for post in range(POSTS)]))
                posted.append(_posted(port, run, clients))
            ratios = [one / other for one, other in zip(posted[1:], plain[1:], strict=True)]
            measure.say(
                f"events/s on {name}, {clients} client{'s' if clients > 1 else ''}: posted "
                f"{measure.spread(posted[1:])}, bare insert {measure.spread(plain[1:])}, "
                f"{measure.verdict(ratios, 0.5)}"
            )
            lowest = min(lowest, statistics.median(ratios))
    return lowest


@contextlib.contextmanager
def _postgresql(binaries: Path) -> Iterator[str]:
    """A throwaway PostgreSQL server with its usual durability."""
    with tempfile.TemporaryDirectory(prefix="warmpath-bench-") as folder:
        account: dict[str, object] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            import pwd

            who = pwd.getpwnam("postgres")
            os.chown(folder, who.pw_uid, who.pw_gid)
            account = {"user": who.pw_uid, "group": who.pw_gid}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = Path(folder) / "data"
        quiet: dict[str, object] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        subprocess.run(  # type: ignore[call-overload]
            [binaries / "initdb", "-D", data, "-U", "warmpath", "-A", "trust"], check=True, **quiet, **account
        )
        server = subprocess.Popen(  # type: ignore[call-overload]
            [binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder], **quiet, **account
        )
        url = f"postgresql://warmpath@127.0.0.1:{port}/postgres"
        for _ in range(300):
            try:
                psycopg.connect(url, connect_timeout=2).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield url
        server.terminate()
        server.wait(20)


async def main() -> float:
    """Print both rates and their ratio for each database and number of clients; answers the lowest ratio."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.sqlite"
        url = f"sqlite:///{file}"
        migrating.upgrade(url)
        lowest = _compare("SQLite", url, bare.on_sqlite(str(file)))
    binaries = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if binaries is None:
        measure.say("events/s on PostgreSQL: not measured, its programs are absent")
        return lowest
    with _postgresql(binaries) as url:
        migrating.upgrade(url)
        return min(lowest, _compare("PostgreSQL", url, bare.on_postgresql(url)))


if __name__ == "__main__":
    asyncio.run(main())
