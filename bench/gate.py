"""The gate's policy service beside a counting and a DUNNO server, and beside peers: ``python -m bench.gate``.

Every server answers the same questions from the same generator (``bench/policy_load.c``) in one run, in
turns, so that load of the machine falls on all of them. Peers are measured where they are installed:
Debian's ``postfwd`` and ``policyd-rate-limit``, PyPI's ``postfixlimit`` (``pip install postfixlimit``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import measure
from domain.words import Stage
from store import ledger, senders
from store.database import Database
from store.tables.ips import Ip

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 16, 64)
TURNS = 3
#: Questions of the first turn, which warms up; then as many as fill the seconds of a turn, for each server, so that
#: neither a start nor a slow peer decides.
FIRST, LEAST, TURN_SECONDS = 1_000, 500, 1.0
DAY = 86_400_000
AIM, AIM_PEERS = 0.7, 3.0


#: Settings of postfixlimit as its README has them, with a limit that nobody meets. It logs each mail by default.
_POSTFIXLIMIT = """\
[server]
field = sasl_username
default_limit = 1000000000/day
storage = memory://
strategy = fixed-window
dump_period = 60
dump_file = {folder}/postfixlimit.txt
log_file = {folder}/postfixlimit.log
"""

#: Settings of policyd-rate-limit: a limit that nobody meets, SQLite, one port.
_POLICYD = """\
debug: False
user: nobody
group: nogroup
pidfile: {folder}/policyd.pid
mysql_config: {{}}
sqlite_config:
  database: {folder}/policyd.sqlite3
pgsql_config: {{}}
backend: 0
SOCKET: ['127.0.0.1', {port}]
socket_permission: 438
limits:
- [1000000000, 86400]
limits_by_id: {{}}
limit_by_sasl: True
limit_by_sender: False
limit_by_ip: False
limited_networks: []
success_action: dunno
fail_action: defer_if_permit limit reached
db_error_action: dunno
report: False
report_from: null
report_to: null
report_subject: report
report_limits: []
report_only_if_needed: True
smtp_server: localhost
smtp_starttls: False
smtp_credentials: null
count_mode: 0
delay_to_close: 300
"""


@dataclass
class Server:
    """A policy server under measurement."""

    name: str
    port: int
    peer: Peer | None = None
    rates: dict[int, list[float]] = field(default_factory=dict)
    p50: dict[int, list[float]] = field(default_factory=dict)
    p99: dict[int, list[float]] = field(default_factory=dict)
    granted: int = 0
    other: int = 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _listens(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        if process.poll() not in (None, 0):
            return False
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path, **environment: str) -> Iterator[bool]:
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield _listens(port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _generator(folder: Path) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("a C compiler is missing; the generator is bench/policy_load.c (apt-get install gcc)")
    target = str(folder / "policy_load")
    subprocess.run([compiler, "-O2", "-o", target, str(ROOT / "bench" / "policy_load.c")], check=True)
    return target


def _measure(generator: str, server: Server, connections: int, salt: str) -> None:
    seen = server.rates.get(connections)
    questions = max(LEAST, int(seen[-1] * TURN_SECONDS)) if seen else FIRST
    said = subprocess.run(
        [generator, str(server.port), str(connections), str(questions), salt],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        raise RuntimeError(f"{server.name}: {said.stderr.strip()}")
    rate, p50, p99, filtered, passed, _, other = (float(one) for one in said.stdout.split())
    server.rates.setdefault(connections, []).append(rate)
    server.p50.setdefault(connections, []).append(p50 / 1000)
    server.p99.setdefault(connections, []).append(p99 / 1000)
    server.granted += int(filtered + passed)
    server.other += int(other)


async def _store(url: str, caps: dict[str, int]) -> None:
    db = Database.open(url)
    await db.create_all()
    starts = int(time.time() * 1000) // DAY * DAY
    async with db.write() as session:
        await senders.put_pool(session, "bench", None)
        await senders.add_sender(session, "acme", "bench", ["acme.example"])
        for address, cap in caps.items():
            session.add(Ip(address=address, pool="bench", stage=Stage.WARMING))
            await session.flush()
            await ledger.set_window(session, address, starts, starts + DAY, cap, {}, 0)
    await db.close()


async def _booked(url: str) -> int:
    db = Database.open(url)
    async with db.read() as session:
        rows = await ledger.windows(session, [f"198.51.100.{n}" for n in range(1, 11)], int(time.time() * 1000))
    await db.close()
    return sum(granted for _, granted in rows.values())


@dataclass(frozen=True)
class Peer:
    """Another policy server.

    Attributes:
        command: how it serves on a port.
        stop: how it is stopped when it leaves its process.
        default: run as its documentation says; one that is not is shown and is not what the aim is about.
    """

    name: str
    command: Callable[[int], list[str]]
    stop: list[str] | None = None
    default: bool = True


def _peers(folder: Path) -> Iterator[Peer]:
    """Peers that are installed; of each that is not, a line says so."""
    path = f"{Path(sys.executable).parent}:/usr/sbin:{os.environ.get('PATH', '')}"

    def found(name: str, package: str) -> str | None:
        program = shutil.which(name, path=path)
        if program is None:
            measure.say(f"gate: PEER ABSENT: {name} ({package}); not compared")
        return program

    if postfwd := found("postfwd1", "apt-get install postfwd"):
        rule = "id=R1; sasl_username=~.; action=rate(sasl_username/1000000000/86400/450 4.7.1 limit)"
        pid = f"--pidfile={folder}/postfwd.pid"
        yield Peer(
            "postfwd",
            lambda port: [postfwd, "-d", "-i", "127.0.0.1", "-p", str(port), "--rule", rule, "-u", "nobody", "-g",
                          "nogroup", "--norulelog", pid],
            [postfwd, pid, "-k"],
        )  # fmt: skip
    if policyd := found("policyd-rate-limit", "apt-get install policyd-rate-limit"):

        def serve(port: int) -> list[str]:
            file = folder / "policyd.yaml"
            file.write_text(_POLICYD.format(folder=folder, port=port))
            return [policyd, "--file", str(file)]

        yield Peer("policyd-rate-limit", serve)
    if limit := found("postfixlimit", "pip install postfixlimit"):
        file = folder / "postfixlimit.conf"
        file.write_text(_POSTFIXLIMIT.format(folder=folder))

        def listen(port: int) -> list[str]:
            return [limit, "-a", "127.0.0.1", "-p", str(port), "-c", str(file)]

        yield Peer("postfixlimit", listen)
        yield Peer("postfixlimit -v 0", lambda port: [*listen(port), "-v", "0"], default=False)


def _turns(generator: str, servers: list[Server], connections: int) -> None:
    for turn in range(TURNS + 1):
        for server in servers:
            _measure(generator, server, connections, f"{connections}.{turn}")
    for server in servers:  # the first turn warms up
        for figures in (server.rates, server.p50, server.p99):
            figures[connections] = figures[connections][1:]


async def main() -> float:
    """Print the rates and ratios; answers the ratio to the counting server at 16 connections."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o777)  # peers that drop their rights keep files in it
        generator = _generator(folder)
        url = f"sqlite:///{folder}/bench.sqlite"
        caps = {f"198.51.100.{number}": 100_000_000 for number in range(1, 11)}
        await _store(url, caps)
        servers = [Server(one, _free_port()) for one in ("gate", "counting", "dunno")]
        environment = {
            "WARMPATH_DATABASE_URL": url,
            "WARMPATH_GATE_POLICY_PORT": str(servers[0].port),
            "WARMPATH_GATE_SOCKETMAP_PORT": str(_free_port()),
            "WARMPATH_GATE_HTTP_PORT": str(_free_port()),
        }
        commands = [[sys.executable, "-m", "gate"]] + [
            [sys.executable, "-m", "bench.policy_servers", one.name, str(one.port)] for one in servers[1:]
        ]
        gate = stack.enter_context(contextlib.ExitStack())
        for place, (server, command) in enumerate(zip(servers, commands, strict=True)):
            where = gate if place == 0 else stack
            if not where.enter_context(_running(command, server.port, folder, **environment)):
                raise RuntimeError(f"{server.name} does not start")
        for peer in _peers(folder):
            server = Server(peer.name, _free_port(), peer)
            if peer.stop is not None:
                stack.callback(subprocess.run, peer.stop, capture_output=True, check=False)
            if stack.enter_context(_running(peer.command(server.port), server.port, folder)):
                servers.append(server)
            else:
                tail = (folder / f"{server.port}.log").read_text(errors="replace").strip().splitlines()[-1:]
                measure.say(f"gate: PEER DOES NOT START: {peer.name}: {' '.join(tail)}")
        for connections in CONNECTIONS:
            _turns(generator, servers, connections)
        gate.close()  # stops the gate, which gives back what it did not use
        booked = await _booked(url)
        exact = "exactly" if booked == servers[0].granted else "NOT EXACTLY"
        measure.say(f"gate: {servers[0].granted:,} mails granted, {booked:,} booked: {exact}")
        return _report(servers)


def _report(servers: list[Server]) -> float:
    own, counting = servers[0], servers[1]
    answer = 0.0
    for connections in CONNECTIONS:
        for server in servers:
            measure.say(
                f"gate, {connections} connections: {server.name} {measure.spread(server.rates[connections])}/s, "
                f"p50 {statistics.median(server.p50[connections]):.2f} ms, "
                f"p99 {statistics.median(server.p99[connections]):.2f} ms"
            )
        ratios = _ratios(own, counting, connections)
        measure.say(f"gate, {connections} connections: to the counting server {measure.verdict(ratios, AIM)}")
        if connections == 16:
            answer = statistics.median(ratios)
        peers = [one for one in servers if one.peer and one.peer.default]
        if peers:
            fastest = max(peers, key=lambda one: statistics.median(one.rates[connections]))
            ratios = _ratios(own, fastest, connections)
            measure.say(f"gate, {connections} connections: to {fastest.name} {measure.verdict(ratios, AIM_PEERS)}")
        for other in servers:
            if other.peer and not other.peer.default:
                ratios = _ratios(own, other, connections)
                measure.say(f"gate, {connections} connections: to {other.name} {measure.spread(ratios, '.2f')}, no aim")
    return answer


def _ratios(own: Server, other: Server, connections: int) -> list[float]:
    return [a / b for a, b in zip(own.rates[connections], other.rates[connections], strict=True)]


if __name__ == "__main__":
    asyncio.run(main())
