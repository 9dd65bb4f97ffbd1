"""A whole system on free ports, consoles beside it, and a gateway that can fail on demand."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.process import die_with
from tests.ports import free_port, free_ports

ROOT = Path(__file__).parents[2]
UP_SECONDS = 120
DOWN_SECONDS = 60


@dataclass(frozen=True)
class System:
    """A running system: where its console and API are, where its state lies, and with which settings it runs."""

    console: str
    api: str
    senders: str
    var: Path
    smtp_port: int
    environment: dict[str, str]
    supervisor: int

    @property
    def token(self) -> str:
        """The first operator's token."""
        return (self.var / "operator.token").read_text().strip()


def answers(url: str) -> bool:
    """Whether the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def wait_for(urls: list[str], child: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until every URL answers, and fails with the log when the process ends or is late."""
    end = time.monotonic() + UP_SECONDS
    while not all(map(answers, urls)):
        assert child.poll() is None, log.read_text()[-4_000:]
        assert time.monotonic() < end, log.read_text()[-4_000:]
        time.sleep(0.3)  # between two looks at a condition with a time-out


def end(child: subprocess.Popen[bytes]) -> None:
    """Asks a process to stop, and ends its group when it does not."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(DOWN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _children(parent: int) -> Iterator[int]:
    """Processes below a process, as Linux tells them."""
    told = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    for child in map(int, told.split()):
        yield child
        yield from _children(child)


@contextmanager
def standing(running: System, part: str) -> Iterator[None]:
    """A part of a system by a word of its command line that is there, and does nothing."""
    stopped = [
        child
        for child in _children(running.supervisor)
        if part in Path(f"/proc/{child}/cmdline").read_text().split("\0")
    ]
    assert stopped, f"no part of the system has {part!r} in its command line"
    for child in stopped:
        os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        for child in stopped:
            os.kill(child, signal.SIGCONT)


@contextmanager
def system(var: Path, *, day_seconds: float, **more: str) -> Iterator[System]:
    """Everything that ``make up`` starts, on free ports and without the first fleet; with ``more`` of its settings."""
    (var / "sandbox").mkdir(parents=True, exist_ok=True)
    (var / "sandbox" / "seeded").touch()
    api, console, codec, temporal, temporal_ui, smtp, vendor, payments, senders, *gates = free_ports(13)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")} | {
        "WARMPATH_VAR_DIR": str(var),
        "WARMPATH_API_PORT": str(api),
        "WARMPATH_CONSOLE_PORT": str(console),
        "WARMPATH_CODEC_PORT": str(codec),
        "WARMPATH_TEMPORAL_PORT": str(temporal),
        "WARMPATH_TEMPORAL_UI_PORT": str(temporal_ui),
        "WARMPATH_SANDBOX_DNS_PORT": str(free_port(row=5)),
        "WARMPATH_SANDBOX_SENDERS_PORT": str(senders),
        "WARMPATH_SMTP_PORT": str(smtp),
        "WARMPATH_SANDBOX_VENDOR_URL": f"http://127.0.0.1:{vendor}",
        "WARMPATH_SANDBOX_PAYMENTS_URL": f"http://127.0.0.1:{payments}",
        "WARMPATH_GATE_POLICY_PORT": str(gates[0]),
        "WARMPATH_GATE_SOCKETMAP_PORT": str(gates[1]),
        "WARMPATH_GATE_HTTP_PORT": str(gates[2]),
        "WARMPATH_REPORTS_PORT": str(gates[3]),
        "WARMPATH_DAY_SECONDS": str(day_seconds),
    }
    environment |= {f"WARMPATH_{name.upper()}": value for name, value in more.items()}
    log = var / "up.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "sandbox.up"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
        try:
            wait_for([f"http://127.0.0.1:{api}/healthz", f"http://127.0.0.1:{console}/_stcore/health"], child, log)
            yield System(
                f"http://127.0.0.1:{console}",
                f"http://127.0.0.1:{api}",
                f"http://127.0.0.1:{senders}",
                var,
                smtp,
                environment,
                child.pid,
            )
        finally:
            end(child)


@contextmanager
def console(api_url: str, token: str | None, folder: Path) -> Iterator[str]:
    """One more console: for another role, for an API elsewhere, or (without a token) for signing in."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")} | {
        "WARMPATH_API_URL": api_url,
        "WARMPATH_VAR_DIR": str(folder),
        **({"WARMPATH_TOKEN": token} if token else {}),
    }
    words = [
        *(sys.executable, "-m", "ui.start", "--server.headless", "true"),
        *("--server.address", "127.0.0.1", "--server.port", str(port), "--browser.gatherUsageStats", "false"),
        *("--server.fileWatcherType", "none", "--client.toolbarMode", "minimal"),
    ]
    log = folder / "console.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=die_with(os.getpid()),
        )  # fmt: skip
        try:
            wait_for([f"http://127.0.0.1:{port}/_stcore/health"], child, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            end(child)


class Mode(Enum):
    """What a gateway does with a request."""

    OPEN = "passes it on"
    DOWN = "hangs up"
    REFUSING = "answers 503 with a problem document"


@dataclass
class Gateway:
    """The API behind a door that can be shut: its address, and what it does now."""

    url: str
    mode: Mode = Mode.OPEN


@contextmanager
def gateway(api_url: str) -> Iterator[Gateway]:
    """A door in front of an API."""
    target = urlsplit(api_url)
    door = Gateway("")

    class Door(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            if door.mode is Mode.DOWN:
                self.connection.shutdown(socket.SHUT_RDWR)
            elif door.mode is Mode.REFUSING:
                said = {"title": "Unavailable", "status": 503, "detail": "Temporal does not answer; try again later."}
                self._answer(503, "application/problem+json", json.dumps(said).encode())
            else:
                onward = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
                passed = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                onward.request(self.command, self.path, body, passed)
                reply = onward.getresponse()
                self._answer(reply.status, reply.headers.get("Content-Type", "text/plain"), reply.read())
                onward.close()

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - names of http.server

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    door.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
