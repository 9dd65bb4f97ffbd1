"""What a real Postfix logs becomes figures: as the other side saw it, while reader and log come and go."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from api.mail import listener
from api.mail.taking import Taker
from bench.postfix import Postfix, Sink
from domain.mailbox import by_recipient
from domain.sources import Source
from gate.service import Gate
from providers.senders.postfix import main_cf, master_cf
from sandbox.process import die_with
from settings import Settings
from store import senders
from store.database import Database
from store.tables.events import Figure, MailEvent
from tests.gate.conftest import inventory, until, url_of
from tests.ports import free_port

Start = Callable[..., Awaitable[tuple[Gate, Settings]]]
#: IP, mailbox provider, sender, and what was counted: how often.
Seen = Counter[tuple[str, str, str, str]]
ROOT = Path(__file__).resolve().parents[2]
FIRST, SECOND = "198.51.100.7", "198.51.100.8"
BINDS = {FIRST: "127.0.0.2", SECOND: "127.0.0.3"}
IPS = {bound: address for address, bound in BINDS.items()}
REPLIES = {
    "gone": ("bounced", "550-5.1.1 The account that you tried to reach\r\n550 5.1.1 does not exist"),
    "full": ("failed", "552 5.2.2 mailbox full"),
    "later": ("deferred", "451 4.3.0 try again later"),
}

pytestmark = [
    pytest.mark.skipif(
        not shutil.which("postfix", path="/usr/sbin") or os.getuid() != 0,
        reason="POSTFIX IS ABSENT (apt-get install postfix) or this is not root, who alone may start it",
    ),
    pytest.mark.timeout(180),
]


class Receiver(Sink):
    """Answers by the recipient's name, and counts what it said to whom."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Seen = Counter()
        self._tried: set[tuple[str, str]] = set()

    async def handle_RCPT(  # noqa: N802 - the library names it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        ip, sender = IPS[session.peer[0]], envelope.mail_from.rpartition("@")[2].partition(".")[0]
        about = (ip, by_recipient(address).value, sender)
        first = (ip, address) not in self._tried
        self._tried.add((ip, address))
        self.seen[*about, "attempted"] += first
        kind, reply = REPLIES.get(address.partition("-")[0], ("delivered", "250 OK"))
        if kind == "deferred" and not first:
            kind, reply = "delivered", "250 OK"
        self.seen[*about, kind] += 1
        if kind == "delivered":
            envelope.rcpt_tos.append(address)
        return reply


class Reader:
    """``warmpath postfix follow-log`` as a process."""

    def __init__(self, db: Database, folder: Path, log: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")}
        self._environment = clean | {
            "WARMPATH_DATABASE_URL": url_of(db),
            "WARMPATH_SQLITE_SYNCHRONOUS": "normal",
            "WARMPATH_VAR_DIR": str(folder),
        }
        self._log = log
        self.start()

    def start(self) -> None:
        """Start; it goes on where it was."""
        self._process = subprocess.Popen(
            [sys.executable, "cli.py", "postfix", "follow-log", str(self._log), "--from-start"],
            cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, preexec_fn=die_with(os.getpid()),
        )  # fmt: skip

    def end(self, how: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; answers the exit code."""
        assert self._process.poll() is None, "the reader ended by itself"
        self._process.send_signal(how)
        return self._process.wait(30)


@dataclass
class Mail:
    """Postfix between the test and the far side; its reports go to the listener."""

    postfix: Postfix
    far: Receiver
    taker: Taker

    async def hand_in(self, sender: str, *recipients: str) -> None:
        """One mail."""
        await asyncio.to_thread(self._hand_in, sender, list(recipients))

    def _hand_in(self, sender: str, recipients: list[str]) -> None:
        with smtplib.SMTP("127.0.0.1", self.postfix.port) as client:
            client.sendmail(sender, recipients, f"From: {sender}\r\nSubject: test\r\n\r\nHello\r\n")


@pytest.fixture
async def mail(request: pytest.FixtureRequest, db: Database, start: Start, settings: Settings) -> AsyncIterator[Mail]:
    """A gate, two IPs, two senders; the parameter says whether queue ids are long."""
    await inventory(db, {FIRST: 1000, SECOND: 1000})
    async with db.write() as session:
        for name in ("acme", "globex"):
            await senders.add_sender(session, name, "main", [f"{name}.example"])
    far = Receiver()
    await far.start()
    hop = f"[127.0.0.1]:{far.port}"
    gate, asked = await start(gate_next_hop=hop)
    await until(lambda: bool(gate.desk.routes and len(gate.desk.routes.exits) == 2))
    taker, reports = Taker(db, settings.model_copy(update={"reports_trusted": True})), free_port()
    server = await listener.listen(taker, "127.0.0.1", reports, "smtp")
    to_listener = ", ".join(f"{{{name}.example = smtp:[127.0.0.1]:{reports}}}" for name in ("acme", "globex"))
    main = main_cf("127.0.0.1", asked.gate_policy_port, asked.gate_socketmap_port) + (
        f"enable_long_queue_ids = {request.param}\ntransport_maps = inline:{{{to_listener}}}\n"
    )
    master = master_cf(Source(one, bound, "mail.acme.example", "main") for one, bound in BINDS.items())
    postfix = Postfix(free_port(), (main, master), hop)
    await asyncio.to_thread(postfix.start)
    yield Mail(postfix, far, taker)
    await asyncio.to_thread(postfix.stop)
    server.close()
    await taker.close()
    await far.stop()


async def _counted(db: Database) -> Seen:
    """The sums of the store, as the far side counts."""
    kinds = ("attempted", "delivered", "bounced", "failed", "blocked", "deferred")
    columns = [sa.func.sum(getattr(Figure, kind)) for kind in kinds]
    by = (col(Figure.address), col(Figure.provider), col(Figure.sender))
    async with db.read() as session:
        rows = (await (await session.connection()).execute(sa.select(*by, *columns).group_by(*by))).all()
    return Counter({(*row[:3], kind): int(n) for row in rows for kind, n in zip(kinds, row[3:], strict=True) if n})


async def _until_counted(db: Database, wanted: Seen, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while (found := await _counted(db)) != wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert found == wanted


def _copy_and_truncate(log: Path) -> None:
    shutil.copyfile(log, log.with_name("mail.log.copied"))
    os.truncate(log, 0)


@pytest.mark.parametrize(("db", "mail"), [("sqlite", "no"), ("postgresql", "yes")], indirect=True)
async def test_figures_are_what_the_far_side_saw_though_reader_and_log_come_and_go(
    db: Database, mail: Mail, tmp_path: Path
) -> None:
    log = mail.postfix.folder / "mail.log"
    reader = Reader(db, tmp_path / "reader", log)
    for turn in range(4):
        if turn == 3:
            reader.end()
        for number in range(4):
            sender = f"news@{('acme', 'globex')[number % 2]}.example"
            await mail.hand_in(sender, f"ok-{turn}{number}@gmail.com", f"gone-{turn}{number}@gmail.com")
            await mail.hand_in(sender, f"full-{turn}{number}@yahoo.com")
            await mail.hand_in(sender, f"later-{turn}{number}@b.example", f"fine-{turn}{number}@b.example")
        if turn == 0:
            await _until_counted(db, mail.far.seen)
        elif turn == 1:
            # Postfix renames its log, begins a new one and packs the old one, while nobody reads.
            reader.end()
            await asyncio.to_thread(mail.postfix.run, "postfix", "logrotate")
            reader.start()
        elif turn == 2:
            reader.end()
            await until(lambda: mail.postfix.queued() == 0, 60)
            await asyncio.to_thread(_copy_and_truncate, log)
            reader.start()
        else:
            # Killed as soon as it has booked something.
            before = await _counted(db)
            reader.start()
            while await _counted(db) == before:
                await asyncio.sleep(0.01)
            reader.end()
            reader.start()
    await until(lambda: mail.postfix.queued() == 0, 60)
    await _until_counted(db, mail.far.seen)
    assert mail.far.seen.total() == 4 * 4 * (2 + 2 + 2 + 3 + 2), "two counts a recipient, three for who waited"
    assert {ip for ip, *_ in mail.far.seen} == {FIRST, SECOND}
    # Postfix has sent back what was refused.
    await until(lambda: mail.taker.taken.get("dsn", 0) == 4 * 4 * 2, 20)
    async with db.read() as session:
        mailed = (await session.exec(select(MailEvent.address).where(col(MailEvent.source) == "mail"))).all()
    assert set(mailed) <= {""}, "a report that came before its line was read has no IP and counts nowhere"
    await _until_counted(db, mail.far.seen)
    # Read once more from the start, nothing is new.
    assert reader.end(signal.SIGTERM) == 0
    again = Reader(db, tmp_path / "other", log)
    await mail.hand_in("news@acme.example", "ok-last@gmail.com")
    await until(lambda: mail.postfix.queued() == 0, 20)
    await _until_counted(db, mail.far.seen)
    again.end()
