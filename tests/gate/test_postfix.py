"""A real Postfix asks two gates: caps hold at the sink, pauses stop mail, queued mail follows a switch."""

from __future__ import annotations

import asyncio
import email
import os
import shutil
import smtplib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlmodel import select

from api.mail import listener
from api.mail.taking import Taker
from bench.postfix import Mailer, Postfix, Sink
from domain.routing import Scope
from domain.sources import Source
from domain.words import Stage
from gate.service import Gate
from providers.senders.postfix import SOURCE_HEADER, main_cf, master_cf
from providers.senders.postfix_host import queue
from settings import Settings
from store import ips, ledger, pauses, senders
from store.database import Database
from store.keys import new_key
from store.tables.events import MailEvent
from tests.gate.conftest import DAY, granted, inventory, takes_effect, until
from tests.ports import free_port

Start = Callable[..., Awaitable[tuple[Gate, Settings]]]
FIRST, SECOND = "198.51.100.7", "198.51.100.8"
BINDS = {FIRST: "127.0.0.2", SECOND: "127.0.0.3"}

pytestmark = pytest.mark.skipif(
    not shutil.which("postfix", path="/usr/sbin") or os.getuid() != 0,
    reason="POSTFIX IS ABSENT (apt-get install postfix) or this is not root, who alone may start it",
)


@dataclass
class Mail:
    """Postfix between the test's clients and its sink."""

    postfix: Postfix
    sink: Sink
    gates: list[Gate]


@pytest.fixture
async def mail(db: Database, start: Start) -> AsyncIterator[Mail]:
    """Two gates, two IPs with source addresses of their own on loopback, one Postfix that asks the first gate."""
    sink = Sink()
    await sink.start()
    hop = f"[127.0.0.1]:{sink.port}"
    started = [await start(gate_next_hop=hop) for _ in range(2)]
    first, second = (settings for _, settings in started)
    main = main_cf("127.0.0.1", first.gate_policy_port, first.gate_socketmap_port)
    master = master_cf(Source(one, bound, "mail.acme.example", "main") for one, bound in BINDS.items())
    # A second smtpd asks the second gate, as on a second machine.
    other = free_port()
    master += (
        f"127.0.0.1:{other} inet n - n - - smtpd\n"
        f"    -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:{second.gate_policy_port}\n"
    )
    postfix = Postfix(free_port(), (main, master), hop)
    postfix.start()
    postfix.other_port = other  # type: ignore[attr-defined]
    yield Mail(postfix, sink, [gate for gate, _ in started])
    postfix.stop()
    await sink.stop()


async def _acme(db: Database, caps: dict[str, int]) -> None:
    await inventory(db, caps)
    async with db.write() as session:
        await senders.add_sender(session, "acme", "main", ["acme.example"])


async def _hand_over(mail: Mail, recipients: list[str], clients: int = 16) -> tuple[list[str], list[str]]:
    """Mails through both ports by parallel clients; answers those taken, and those deferred."""
    waiting, taken, deferred = list(recipients), [], []

    async def client(number: int) -> None:
        port = mail.postfix.port if number % 2 else mail.postfix.other_port  # type: ignore[attr-defined]
        mailer = await Mailer.to(port)
        while waiting:
            one = waiting.pop()
            said = await mailer.send(one)
            if said.startswith("250"):
                taken.append(one)
            else:
                assert said.startswith("450 4.7.1"), said
                assert "cap of" in said, said
                deferred.append(one)
        mailer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return taken, deferred


@pytest.mark.timeout(180)
async def test_each_cap_holds_to_the_mail_and_the_rest_goes_the_next_day(db: Database, mail: Mail) -> None:
    caps = {FIRST: 60, SECOND: 30}
    await _acme(db, caps)
    await until(lambda: all(gate.desk.routes and gate.desk.routes.exits for gate in mail.gates))
    recipients = [f"r{number}@gmail.com" for number in range(120)]
    taken, deferred = await _hand_over(mail, recipients)
    # Two gates share the end of a cap: what one holds unused comes back within seconds.
    deadline = time.monotonic() + 10
    while len(taken) < 90 and time.monotonic() < deadline:
        more, deferred = await _hand_over(mail, deferred, 4)
        taken += more
        await asyncio.sleep(0.2)
    assert len(taken) == 90
    await until(lambda: len(mail.sink.came) == 90, 30)
    assert mail.sink.sources == {"127.0.0.2": 60, "127.0.0.3": 30}
    now = int(time.time() * 1000)
    async with db.write() as session:
        for address in caps:
            await ledger.set_window(session, address, now, now + DAY, 100, {}, 0)
    while deferred:
        _, deferred = await _hand_over(mail, deferred, 4)
    await until(lambda: len(mail.sink.came) == 120, 30)
    assert sorted(one for _, one in mail.sink.came) == sorted(recipients)
    for gate in mail.gates:
        await gate.stop()
    assert sum([await granted(db, address) for address in caps]) == 30


@pytest.mark.timeout(180)
async def test_a_pause_stops_mail_and_a_switch_moves_new_and_queued_mail_within_a_second(
    db: Database, mail: Mail
) -> None:
    await _acme(db, {FIRST: 1000})
    async with db.write() as session:
        await senders.put_pool(session, "spare", None)
    await inventory(db, {SECOND: 1000}, pool="spare")
    await until(lambda: all(gate.desk.routes and len(gate.desk.routes.exits) == 2 for gate in mail.gates))
    mail.sink.defers = {BINDS[FIRST]}
    await _hand_over(mail, [f"q{number}@gmail.com" for number in range(10)], 4)
    await until(lambda: mail.postfix.log().count("status=deferred") >= 10, 30)
    assert not mail.sink.came
    mailer = await Mailer.to(mail.postfix.port)
    async with db.write() as session:
        await pauses.pause(session, Scope.SENDER, "acme", "wrong link")
    said = await takes_effect(lambda: mailer.send("p@gmail.com"), lambda said: not said.startswith("250"))
    assert said.startswith("450 4.7.1")
    assert "sender acme is paused: wrong link" in said
    # The switch: the first IP fails, the second takes its place; queued mail is resolved anew.
    async with db.write() as session:
        await pauses.resume(session, Scope.SENDER, "acme")
        await ips.set_stage(session, FIRST, Stage.FAILED_OVER)
        (await ips.get(session, SECOND)).pool = "main"
    switched = time.monotonic()
    await takes_effect(lambda: mailer.send("n@gmail.com"), lambda said: said.startswith("250"))
    await asyncio.to_thread(mail.postfix.run, "postsuper", "-r", "ALL")
    await asyncio.to_thread(mail.postfix.run, "postkick", "public", "pickup", "W")
    await until(lambda: mail.postfix.queued() == 0, 30)
    assert set(mail.sink.sources) == {"127.0.0.3"}
    assert len(mail.sink.came) >= 11
    print(f"queued mail left by the other address {mail.sink.at[-1] - switched:.2f} s after the switch")  # noqa: T201


async def test_a_client_that_is_deferred_again_and_again_keeps_its_session(db: Database, mail: Mail) -> None:
    await _acme(db, {FIRST: 1})
    await until(lambda: all(gate.desk.routes and gate.desk.routes.exits for gate in mail.gates))
    mailer = await Mailer.to(mail.postfix.port)
    said = [await mailer.send("p@gmail.com") for _ in range(700)]  # each with a RSET after its refusal
    assert said[-1].startswith("450 4.7.1")
    assert sum(one.startswith("250") for one in said) <= 1
    mailer.close()


async def test_when_a_queued_mail_came_is_read_in_utc_whatever_the_time_zone(
    db: Database, mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _acme(db, {FIRST: 1000})
    await until(lambda: all(gate.desk.routes and gate.desk.routes.exits for gate in mail.gates))
    mail.sink.defers = {BINDS[FIRST]}
    await _hand_over(mail, ["q@gmail.com"], 1)
    await until(lambda: "status=deferred" in mail.postfix.log(), 30)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    (since,) = [one.since async for chunk in queue.messages(mail.postfix.config) for one in chunk]
    assert abs(since - time.time()) < 60


async def test_a_mail_names_the_ip_it_left_by_and_a_report_that_quotes_it_is_booked_there(
    db: Database, mail: Mail
) -> None:
    await _acme(db, {FIRST: 1000})
    async with db.write() as session:
        await senders.put_pool(session, "spare", None)
    await inventory(db, {SECOND: 1000}, pool="spare")
    await until(lambda: all(gate.desk.routes and len(gate.desk.routes.exits) == 2 for gate in mail.gates))
    mailer = await Mailer.to(mail.postfix.port)
    # What a mail brings along under that name says nothing.
    await mailer.send("ada@gmail.com", headers="x-warmpath-source: 203.0.113.66\r\n")
    async with db.write() as session:
        await pauses.pause(session, Scope.IP, FIRST, "moved")
        (await ips.get(session, SECOND)).pool = "main"
    await until(lambda: all(gate.desk.routes and gate.desk.routes.closed(FIRST) for gate in mail.gates))
    await mailer.send("bob@gmail.com")
    await until(lambda: len(mail.sink.came) == 2, 30)
    named = {one: _named(text) for one, text in mail.sink.texts.items()}
    assert named == {"ada@gmail.com": [FIRST], "bob@gmail.com": [SECOND]}
    # The far side took them, and sends both back later.
    settings = Settings(reports_trusted=True, secret_keys=(SecretStr(new_key("test")),))
    taker = Taker(db, settings)
    port = free_port()
    server = await listener.listen(taker, "127.0.0.1", port, "smtp")
    for recipient, text in mail.sink.texts.items():
        await asyncio.to_thread(_hand_in, port, _returned(recipient, text))
    server.close()
    await taker.close()
    async with db.read() as session:
        found = (await session.exec(select(MailEvent.address, MailEvent.recipient, MailEvent.kind))).all()
    assert sorted(found) == [(FIRST, "ada@gmail.com", "bounced"), (SECOND, "bob@gmail.com", "bounced")]


def _hand_in(port: int, report: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("", ["news@acme.example"], report)


def _named(text: bytes) -> list[str]:
    return email.message_from_bytes(text).get_all(SOURCE_HEADER, [])


def _returned(recipient: str, text: bytes) -> bytes:
    """A delivery report of the far side about a mail as it came there."""
    head = text.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"\n")
    return (
        (
            f"From: MAILER-DAEMON@mx.example\nTo: news@acme.example\nMessage-ID: <{recipient}.report@mx.example>\n"
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
            "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
            f"Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 5.1.1 no such user\n\n--b\nContent-Type: text/rfc822-headers\n\n"
        ).encode()
        + head
        + b"\n\n--b--\n"
    )


def test_the_header_can_be_left_out() -> None:
    source = Source(FIRST, FIRST, "a.example", "main")
    assert f"PREPEND {SOURCE_HEADER}: {FIRST}" in master_cf([source])
    assert SOURCE_HEADER not in master_cf([source], source_header=False)


def test_the_fragments_name_what_the_gate_answers(tmp_path: Path) -> None:
    text = master_cf(
        [
            Source("2001:db8::7", "2001:db8::7", "six.acme.example", "main"),
            Source(FIRST, "10.0.0.4", "a.example", "main"),
        ]
    )
    assert "wp-2001-db8--7 unix - - n - - smtp\n    -o smtp_bind_address6=2001:db8::7\n" in text
    assert "wp-198-51-100-7 unix - - n - - smtp\n    -o smtp_bind_address=10.0.0.4\n" in text
    assert "    -o inet_protocols=ipv4\n    -o smtp_helo_name=a.example\n" in text


async def test_mail_whose_address_is_not_on_the_machine_waits_and_leaves_by_no_other() -> None:
    sink = Sink()
    await sink.start()
    hop = f"[127.0.0.1]:{sink.port}"
    ways = f"transport_maps = inline:{{{{gmail.com = wp-198-51-100-7:{hop}}} {{yahoo.com = wp-198-51-100-8:{hop}}}}}\n"
    # The first is an address of documentation, which no machine has.
    master = master_cf([Source(FIRST, FIRST, "a.example", "main"), Source(SECOND, "127.0.0.3", "b.example", "main")])
    postfix = Postfix(free_port(), (ways, master), hop)
    postfix.start()
    try:
        mailer = await Mailer.to(postfix.port)
        for recipient in ("a@gmail.com", "b@yahoo.com"):
            assert (await mailer.send(recipient)).startswith("250")
        mailer.close()
        await until(lambda: "to=<a@gmail.com>" in postfix.log() and sink.came == [("127.0.0.3", "b@yahoo.com")], 30)
        told = [line for line in postfix.log().splitlines() if "to=<a@gmail.com>" in line]
        assert all("status=deferred" in line for line in told), told
    finally:
        postfix.stop()
        await sink.stop()
