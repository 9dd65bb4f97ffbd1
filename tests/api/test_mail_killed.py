"""The listener is killed while reports come: what was answered is stored, what is sent again counts once."""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from domain.events import Kind, MailEvent
from settings import Settings
from store import migrating
from store.database import Database
from store.events_intake import Batch, Intake

ROOT = Path(__file__).resolve().parents[2]
IP = "198.51.100.7"
REPORTS = 120


def report(number: int) -> bytes:
    """A hard bounce of one recipient."""
    return (
        f"From: MAILER-DAEMON@mx.example\nMessage-ID: <r{number}@mx.example>\n"
        "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
        f"Final-Recipient: rfc822; a{number}@a.example\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\n\n--b\nContent-Type: text/rfc822-headers\n\n"
        f"Message-ID: <m{number}@ours.example>\n\n--b--\n"
    ).encode()


async def prepare(settings: Settings) -> None:
    """A store that knows the mails."""
    db = Database.open(settings.database_url)
    intake = Intake(db, lambda *_: asyncio.sleep(0))
    now = int(time.time() * 1000) - 1000
    await intake.take(
        Batch(
            [
                MailEvent(
                    source="kumomta", event_id=f"s{number}", kind=Kind.SENT, address=IP, at_ms=now,
                    recipient=f"a{number}@a.example", message_id=f"m{number}@ours.example",
                )
                for number in range(REPORTS)
            ]
        )
    )  # fmt: skip
    await intake.close()
    await db.close()


def start(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    """The listener as a process, once it answers."""
    child = subprocess.Popen(
        [sys.executable, "cli.py", "bounce", "listen"],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")},
            "WARMPATH_VAR_DIR": str(settings.var_dir),
            "WARMPATH_DATABASE_URL": settings.database_url,
            "WARMPATH_REPORTS_PORT": str(port),
            "WARMPATH_LOG_LEVEL": "error",
        },
    )
    for _ in range(600):
        try:
            smtplib.SMTP("127.0.0.1", port, timeout=5).quit()
        except OSError:
            assert child.poll() is None, "the listener ended"
            time.sleep(0.05)
        else:
            return child
    raise AssertionError("the listener does not answer")


def test_killed_listeners_lose_nothing_and_count_nothing_twice(
    settings: Settings, free_port: Callable[[], int]
) -> None:
    migrating.upgrade(settings.database_url)
    asyncio.run(prepare(settings))
    port = free_port()
    waiting, kills = list(range(REPORTS)), 0
    child = start(settings, port)
    try:
        while waiting:
            client = smtplib.SMTP("127.0.0.1", port, timeout=10)
            try:
                while waiting:
                    # Killed while an answer is under way: what it was about is sent again, as a mail system does.
                    if kills < 3 and len(waiting) <= REPORTS - 30 * (kills + 1):
                        client.putcmd("mail", "FROM:<>")
                        client.getreply()
                        client.rcpt("bounces@ours.example")
                        client.putcmd("data")
                        client.getreply()
                        client.send(report(waiting[0]).replace(b"\n", b"\r\n") + b"\r\n.\r\n")
                        os.kill(child.pid, signal.SIGKILL)
                        child.wait()
                        kills += 1
                        child = start(settings, port)
                        break
                    client.sendmail("", ["bounces@ours.example"], report(waiting[0]))
                    waiting.pop(0)
            finally:
                client.close()
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=20) == 0
    engine = sa.create_engine(settings.database_url)
    with engine.connect() as connection:
        stored = connection.execute(sa.text("SELECT COUNT(*) FROM mail_event WHERE source = 'mail'")).scalar_one()
        bounced = connection.execute(
            sa.text("SELECT SUM(bounced) FROM figure WHERE address = :ip"), {"ip": IP}
        ).scalar_one()
    engine.dispose()
    assert kills == 3
    assert (stored, bounced) == (REPORTS, REPORTS)
