"""2,000 mails through a real Postfix that asks two gates, to a sink: ``python -m bench.mail``.

Caps are counted at the sink, by source address; a pause and a switch are timed there as well, with the queue moved by
``warmpath mail-systems follow`` as on an installation. Needs Debian's
postfix and root, who alone may start it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import measure
from bench.gate import DAY, _free_port, _running
from bench.postfix import Mailer, Postfix, Sink
from domain.routing import Scope
from domain.sources import Source
from domain.words import Stage
from providers.senders.postfix import main_cf, master_cf
from store import ips, ledger, pauses, senders
from store.database import Database
from store.tables.ips import Ip

FIRST, SECOND, SPARE = "198.51.100.7", "198.51.100.8", "198.51.100.9"
BINDS = {FIRST: "127.0.0.2", SECOND: "127.0.0.3", SPARE: "127.0.0.4"}
CAPS = {FIRST: 900, SECOND: 700}
MAILS, CLIENTS = 2_000, 16
#: Seconds after which something that must happen has not.
PATIENCE = 60.0


async def _until(what: str, condition: object) -> float:
    began = time.perf_counter()
    while not condition():  # type: ignore[operator]
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"{what}: not within {PATIENCE:.0f} s")
        await asyncio.sleep(0.005)
    return time.perf_counter() - began


async def _windows(db: Database, caps: dict[str, int], starts_ms: int) -> None:
    async with db.write() as session:
        for address, cap in caps.items():
            await ledger.set_window(session, address, starts_ms, starts_ms + DAY, cap, {}, 0)


async def _fleet(db: Database) -> None:
    await db.create_all()
    async with db.write() as session:
        for pool in ("main", "spare"):
            await senders.put_pool(session, pool, None)
        await senders.add_sender(session, "acme", "main", ["acme.example"])
        for address in BINDS:
            pool = "spare" if address == SPARE else "main"
            row = Ip(address=address, pool=pool, stage=Stage.WARMING, hostname="mail.acme.example")
            row.bind_address = BINDS[address]
            session.add(row)


async def _hand_over(ports: list[int], mails: list[str]) -> list[str]:
    """Hand mails over with parallel clients; answers those that were deferred."""
    waiting, deferred = list(mails), []

    async def client(number: int) -> None:
        mailer = await Mailer.to(ports[number % len(ports)])
        while waiting:
            one = waiting.pop()
            if not (await mailer.send(one)).startswith("250"):
                deferred.append(one)
        mailer.close()

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return deferred


async def main() -> float:
    """Print what the sink saw; answers mails a second."""
    if not shutil.which("postfix", path="/usr/sbin") or os.getuid() != 0:
        measure.say("mail: POSTFIX ABSENT (apt-get install postfix, as root); not measured")
        return 0.0
    sink = Sink()
    await sink.start()
    hop = f"[127.0.0.1]:{sink.port}"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        url = f"sqlite:///{folder}/bench.sqlite"
        db = Database.open(url)
        await _fleet(db)
        await _windows(db, CAPS, int(time.time() * 1000))
        gates = []
        for _ in range(2):
            policy, maps = _free_port(), _free_port()
            gates.append((policy, maps))
            stack.enter_context(
                _running(
                    [sys.executable, "-m", "gate"], policy, folder,
                    WARMPATH_DATABASE_URL=url, WARMPATH_GATE_POLICY_PORT=str(policy),
                    WARMPATH_GATE_SOCKETMAP_PORT=str(maps), WARMPATH_GATE_HTTP_PORT=str(_free_port()),
                    WARMPATH_GATE_NEXT_HOP=hop,
                )
            )  # fmt: skip
        master = master_cf(Source(one, bound, "mail.acme.example", "main") for one, bound in BINDS.items())
        ports = [_free_port(), _free_port()]
        master += (
            f"127.0.0.1:{ports[1]} inet n - n - - smtpd\n"
            f"    -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:{gates[1][0]}\n"
        )
        postfix = Postfix(ports[0], (main_cf("127.0.0.1", *gates[0]), master), hop)
        stack.callback(postfix.stop)
        await asyncio.to_thread(postfix.start)
        rate = await _caps(db, sink, ports)
        stack.enter_context(_following(folder, url, postfix, gates[0][1]))
        await _until("the transports", lambda: "wp-resolve" in (postfix.config / "master.cf").read_text())
        await _pause_and_switch(db, sink, postfix, ports)
        await db.close()
    await sink.stop()
    return rate


@contextlib.contextmanager
def _following(folder: Path, url: str, postfix: Postfix, maps: int) -> Iterator[None]:
    """``warmpath mail-systems follow`` beside Postfix, as the guide has it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")}
    chosen = {
        "WARMPATH_VAR_DIR": str(folder), "WARMPATH_DATABASE_URL": url, "WARMPATH_MAIL_SYSTEMS": "postfix",
        "WARMPATH_POSTFIX_CONFIG": str(postfix.config), "WARMPATH_GATE_SOCKETMAP_PORT": str(maps),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "mail-systems", "follow"], env=clean | chosen, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


async def _caps(db: Database, sink: Sink, ports: list[int]) -> float:
    mails = [f"r{number}@gmail.com" for number in range(MAILS)]
    began = time.perf_counter()
    deferred = await _hand_over(ports, mails)
    taken = time.perf_counter() - began
    allowed = sum(CAPS.values())
    while len(deferred) > MAILS - allowed:  # what one gate holds unused comes back within seconds
        deferred = await _hand_over(ports, deferred)
    await _until("delivery", lambda: len(sink.came) >= allowed)
    exact = {BINDS[address]: cap for address, cap in CAPS.items()} == sink.sources
    measure.say(
        f"mail: {MAILS} mails by {CLIENTS} clients and two gates in {taken:.1f} s; the sink saw {dict(sink.sources)}, "
        f"caps {CAPS}: {'held exactly' if exact else 'NOT HELD EXACTLY'}; {len(deferred)} deferred"
    )
    await _windows(db, dict.fromkeys(CAPS, 5_000), int(time.time() * 1000))
    while deferred:
        deferred = await _hand_over(ports, deferred)
    await _until("the next day", lambda: len(sink.came) >= MAILS)
    lost, twice = len(set(mails) - {one for _, one in sink.came}), len(sink.came) - len({one for _, one in sink.came})
    measure.say(f"mail: the rest was delivered the next day: {lost} lost, {twice} twice")
    return MAILS / taken


async def _pause_and_switch(db: Database, sink: Sink, postfix: Postfix, ports: list[int]) -> None:
    mailer = await Mailer.to(ports[0])
    async with db.write() as session:
        await pauses.pause(session, Scope.SENDER, "acme", "measured")
    began = time.perf_counter()
    while (await mailer.send("p@gmail.com")).startswith("250"):
        await asyncio.sleep(0.01)
    paused = time.perf_counter() - began
    async with db.write() as session:
        await pauses.resume(session, Scope.SENDER, "acme")
    # Both IPs are refused by the sink, so that mail waits in the queue; then the spare takes their place.
    sink.defers = {BINDS[FIRST], BINDS[SECOND]}
    await asyncio.sleep(1.0)  # longer than the gates need to hear of the end of the pause
    waiting = [f"q{number}@gmail.com" for number in range(100)]
    refused = await _hand_over(ports, waiting)
    queued = set(waiting) - set(refused)
    await _until("deferral", lambda: all(f"to=<{one}>" in postfix.log() for one in queued))
    seen = len(sink.came)
    await _windows(db, {SPARE: 5_000}, int(time.time() * 1000))
    began = time.perf_counter()
    async with db.write() as session:
        for address in (FIRST, SECOND):
            await ips.set_stage(session, address, Stage.FAILED_OVER)
        (await ips.get(session, SPARE)).pool = "main"
    while not (await mailer.send("n@gmail.com")).startswith("250"):
        await asyncio.sleep(0.01)
    new = time.perf_counter() - began
    await _until("the queue", lambda: queued <= {one for _, one in sink.came})
    took = time.perf_counter() - began
    others = {source for source, _ in sink.came[seen:]} - {BINDS[SPARE]}
    wrong = f", BUT SOME LEFT BY {', '.join(sorted(others))}" if others else ""
    measure.say(
        f"mail: a pause stopped mail after {paused:.2f} s; a switch moved new mail after {new:.2f} s and the last of "
        f"{len(queued)} queued mails after {took:.2f} s{wrong}"
    )


if __name__ == "__main__":
    asyncio.run(main())
