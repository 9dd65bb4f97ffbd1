"""Reports by mail: stored once, on the IP and the day of the mail they are about, before they are answered."""

from __future__ import annotations

import asyncio
import json
import os
import smtplib
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api import postfix_log
from api.mail import folder, listener
from api.mail.reported import verp
from api.mail.taking import Taker
from api.webhooks import intake as webhooks
from domain.events import Kind, MailEvent
from domain.warmup import slice_ms
from domain.words import MailboxProvider, Stage
from settings import Settings
from store import attention, events, events_placing, ips
from store.database import Database
from store.events_intake import Batch, Intake
from store.tables.events import ReplyCount, ReplyPart
from store.tables.ips import Ip

IP = "198.51.100.7"
DAY = 86_400
NOW = 20_000 * DAY + 50_000
SENT = NOW - 2 * DAY


def bounce(
    recipient: str = "ada@gmail.com",
    code: str = "550 5.1.1 no such user",
    *,
    action: str = "failed",
    message_id: str = "m1@ours.example",
    report_id: str = "r1@mx.example",
    source: str = "",
) -> bytes:
    """A delivery report about a mail of ours."""
    return (
        f"From: MAILER-DAEMON@mx.example\nTo: bounces@ours.example\nMessage-ID: <{report_id}>\n"
        f"Date: {formatdate(NOW)}\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {code[4:9]}\n"
        f"Diagnostic-Code: smtp; {code}\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <{message_id}>\nDate: {formatdate(SENT)}\n"
        f"{f'X-Warmpath-Source: {source}' if source else ''}\n\n--b--\n"
    ).encode()


def complaint(type_: str = "abuse", message_id: str = "m1@ours.example") -> bytes:
    """A feedback report about a mail of ours."""
    return (
        f"From: fbl@mx.example\nTo: fbl@ours.example\nMessage-ID: <{type_}@mx.example>\nDate: {formatdate(NOW)}\n"
        f"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n"
        f"Content-Type: message/feedback-report\n\nFeedback-Type: {type_}\nOriginal-Rcpt-To: ada@gmail.com\n"
        f"Source-IP: {IP}\n\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <{message_id}>\n\nx\n--b--\n"
    ).encode()


@pytest.fixture
async def taker(db: Database, settings: Settings) -> AsyncIterator[Taker]:
    """A way in, and a mail that was sent two days ago."""
    intake = Intake(db, lambda *_: _nothing())
    await intake.take(
        Batch(
            [
                MailEvent(
                    source="kumomta", event_id=f"s {message_id} {name}", kind=Kind.SENT, address=IP, at_ms=SENT * 1000,
                    sender="acme", campaign="spring", recipient=f"{name}@gmail.com",
                    message_id=f"<{message_id}@ours.example>", provider=MailboxProvider.GMAIL,
                )
                for message_id, name in (("m1", "ada"), ("m1", "bob"), ("m2", "ada"))
            ]
        )
    )  # fmt: skip
    await intake.close()
    made = Taker(db, settings)
    yield made
    await made.close()


async def _nothing() -> None:
    return None


async def rows(db: Database) -> list[tuple[str, ...]]:
    """Kind, IP, sender, campaign, recipient and class of what came by mail."""
    async with db.read() as session:
        found = await (await session.connection()).execute(
            sa.text(
                "SELECT kind, address, sender, campaign, recipient, reply_class FROM mail_event "
                "WHERE source = 'mail' ORDER BY recipient, kind"
            )
        )
    return [tuple(row) for row in found]


async def figure(db: Database, name: str, day: int) -> int:
    """A sum of the IP at Gmail on the day of an instant (epoch seconds)."""
    start = (day - day % DAY) * 1000
    async with db.read() as session:
        sums = await events.sums(session, IP, start, start + DAY * 1000)
    return int(getattr(sums[MailboxProvider.GMAIL], name)) if MailboxProvider.GMAIL in sums else 0


async def test_a_bounce_is_of_the_ip_sender_campaign_and_day_of_its_mail(taker: Taker, db: Database) -> None:
    await taker.take(bounce(), sent_to="bounces@ours.example", now=NOW)
    assert await rows(db) == [("bounced", IP, "acme", "spring", "ada@gmail.com", "unknown_user")]
    assert await figure(db, "bounced", SENT) == 1
    assert await figure(db, "bounced", NOW) == 0


async def test_the_same_report_counts_once(taker: Taker, db: Database) -> None:
    for _ in range(3):
        await taker.take(bounce(), sent_to="", now=NOW)
    assert await figure(db, "bounced", SENT) == 1


@pytest.mark.parametrize(
    ("queue_id", "action", "counted"),
    [
        ("B41F920E092", "failed", False),
        ("B41F920E092", "delayed", False),
        # The other side runs Postfix, too: it took the mail, which our log calls delivered, and refused it later.
        ("B41F920E0", "failed", True),
        ("4dGxRd1zPrz9vJ", "failed", True),
    ],
)
async def test_what_a_postfix_reports_whose_log_is_followed_is_left_to_its_log(
    taker: Taker, db: Database, queue_id: str, action: str, counted: bool
) -> None:
    line = (
        b"2024-10-02T13:53:20Z mail postfix/wp-198-51-100-7/smtp[1]: B41F920E092: to=<ada@gmail.com>, relay=none, "
        b"delay=1, delays=0/0/1/0, dsn=4.4.1, status=deferred (connect to mx[192.0.2.1]:25: Connection refused)"
    )
    logged = postfix_log.normalise(line, NOW)
    for one in logged:
        one.message_id = "m9@ours.example"
    intake = Intake(db, lambda *_: _nothing())
    await intake.take(Batch(logged))
    await intake.close()
    report = bounce(message_id="m9@ours.example", action=action, code="550 5.1.1 no such user")
    told = f"Reporting-MTA: dns; mx.example\nX-Postfix-Queue-ID: {queue_id}\n".encode()
    await taker.take(report.replace(b"Reporting-MTA: dns; mx.example\n", told), sent_to="", now=NOW)
    assert [row[:2] for row in await rows(db)] == ([("bounced", IP)] if counted else [])


async def mailed_later(db: Database, *told: MailEvent) -> None:
    """What a source tells after a report about it came; then the look for mails of reports."""
    intake = Intake(db, lambda *_: _nothing())
    await intake.take(Batch(told))
    await intake.close()
    day = {"slice_ms": slice_ms(DAY), "kept_ms": 14 * DAY * 1000}
    await events_placing.step(db, webhooks.tell, **day, now_ms=int(time.time() * 1000) + DAY * 1000)


def mail_of(message_id: str, *, name: str = "ada", ip: str = IP) -> MailEvent:
    """What KumoMTA tells of a mail that it sends."""
    return MailEvent(
        source="kumomta", event_id=f"late {message_id} {name}", kind=Kind.SENT, address=ip, at_ms=SENT * 1000,
        sender="acme", campaign="spring", recipient=f"{name}@gmail.com", message_id=f"<{message_id}>",
        provider=MailboxProvider.GMAIL,
    )  # fmt: skip


async def test_reports_that_come_before_their_mail_is_told_of_count_as_if_they_came_after(
    taker: Taker, db: Database
) -> None:
    late = "late@ours.example"
    for _ in range(2):
        await taker.take(bounce(message_id=late), sent_to="", now=NOW)
        await taker.take(complaint(message_id=late), sent_to="", now=NOW)
    assert [row[:2] for row in await rows(db)] == [("bounced", ""), ("complained", "")]
    await mailed_later(db, mail_of(late))
    whose = (IP, "acme", "spring", "ada@gmail.com")
    assert [row[:5] for row in await rows(db)] == [("bounced", *whose), ("complained", *whose)]
    for _ in range(2):
        await taker.take(bounce(message_id=late), sent_to="", now=NOW)
        await taker.take(complaint(message_id=late), sent_to="", now=NOW)
        await mailed_later(db)
    assert (await figure(db, "bounced", SENT), await figure(db, "complained", SENT)) == (1, 1)


async def test_a_complaint_told_again_while_its_mail_becomes_known_is_one(taker: Taker, db: Database) -> None:
    late = "late@ours.example"
    await taker.take(complaint(message_id=late), sent_to="", now=NOW)
    intake = Intake(db, lambda *_: _nothing())
    await intake.take(Batch([mail_of(late)]))
    await intake.close()
    await taker.take(complaint(message_id=late), sent_to="", now=NOW)
    assert await figure(db, "complained", SENT) == 1
    await mailed_later(db)
    assert await figure(db, "complained", SENT) == 1
    assert [row[:2] for row in await rows(db)] == [("complained", IP)]


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_report_of_our_postfix_that_comes_before_its_log_counts_once(
    db: Database, settings: Settings, *, trusted: bool
) -> None:
    taker = Taker(db, settings.model_copy(update={"reports_trusted": trusted}))
    code = "550 5.1.1 <ada@gmail.com>: no such user"
    report = bounce(message_id="m9@ours.example", code=code, source=IP)
    told = b"Reporting-MTA: dns; mx.example\nX-Postfix-Queue-ID: B41F920E092\n"
    await taker.take(report.replace(b"Reporting-MTA: dns; mx.example\n", told), sent_to="", now=NOW)
    await taker.close()
    assert [row[:2] for row in await rows(db)] == [("bounced", IP if trusted else "")]
    line = (
        "2024-10-02T13:53:20Z mail postfix/wp-198-51-100-7/smtp[1]: B41F920E092: to=<ada@gmail.com>, "
        "relay=mx[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.1.1, status=bounced "
        f"(host mx[192.0.2.1] said: {code} (in reply to RCPT TO command))"
    )
    logged = postfix_log.normalise(line.encode(), NOW)
    for one in logged:
        one.message_id, one.sent_ms, one.at_ms = "m9@ours.example", SENT * 1000, NOW * 1000
    await mailed_later(db, *logged)
    assert await figure(db, "bounced", SENT) == 1
    async with db.read() as session:
        seen = (await session.exec(sa.select(ReplyCount.address, ReplyCount.count))).all()
        parts = (await session.exec(sa.select(ReplyPart.name, ReplyPart.count).where(ReplyPart.part == ""))).all()
    assert [tuple(one) for one in seen] == [(IP, 1)]
    assert [tuple(one) for one in parts] == [("", 1)]
    assert await rows(db) == []


@pytest.mark.parametrize(
    ("sent_to", "whom"), [("", "ada@gmail.com"), ("fbl+bob=gmail.com@ours.example", "bob@gmail.com")]
)
async def test_a_feedback_report_that_lists_several_recipients_is_one_complaint(
    taker: Taker, db: Database, sent_to: str, whom: str
) -> None:
    both = b"Original-Rcpt-To: ada@gmail.com\nOriginal-Rcpt-To: bob@gmail.com\n"
    raw = complaint().replace(b"Original-Rcpt-To: ada@gmail.com\n", both)
    for _ in range(2):
        await taker.take(raw, sent_to=sent_to, now=NOW)
    assert [(row[0], row[4]) for row in await rows(db)] == [("complained", whom)]
    await taker.take(raw.replace(b"<abuse@mx.example>", b"<another@mx.example>"), sent_to=sent_to, now=NOW)
    # Another report is of another one of them, unless the address it came to tells that it is the same person.
    assert await figure(db, "complained", SENT) == (1 if sent_to else 2)


async def test_each_recipient_of_a_report_counts(taker: Taker, db: Database) -> None:
    second = (
        b"\nFinal-Recipient: rfc822; bob@gmail.com\nAction: failed\nStatus: 5.1.1\n\n--b\nContent-Type: text/rfc822"
    )
    await taker.take(bounce().replace(b"--b\nContent-Type: text/rfc822", second, 1), sent_to="", now=NOW)
    assert [row[4] for row in await rows(db)] == ["ada@gmail.com", "bob@gmail.com"]


async def test_reports_without_an_id_are_told_apart_by_their_content(taker: Taker, db: Database) -> None:
    bare = bounce().replace(b"Message-ID: <r1@mx.example>\n", b"", 1)
    for raw in (bare, bare, bare.replace(b"ada@", b"bob@")):
        await taker.take(raw, sent_to="", now=NOW)
    assert [row[4] for row in await rows(db)] == ["ada@gmail.com", "bob@gmail.com"]


async def test_full_mailboxes_and_policy_are_no_bounces(taker: Taker, db: Database) -> None:
    await taker.take(bounce(code="552 5.2.2 mailbox full", report_id="r2"), sent_to="", now=NOW)
    await taker.take(bounce(code="550 5.7.1 rejected by policy", report_id="r3"), sent_to="", now=NOW)
    assert await figure(db, "bounced", SENT) == 0
    assert await figure(db, "failed", SENT) == 2


async def test_a_delayed_recipient_of_a_bounce_is_deferred(taker: Taker, db: Database) -> None:
    await taker.take(bounce(action="delayed"), sent_to="", now=NOW)
    assert [row[0] for row in await rows(db)] == ["deferred"]
    assert await figure(db, "bounced", SENT) == 0


async def test_a_delivered_recipient_is_nothing_new(taker: Taker, db: Database) -> None:
    await taker.take(bounce(action="delivered", code="250 2.0.0 ok"), sent_to="", now=NOW)
    assert await rows(db) == []


async def test_complaints_count_once_on_the_day_the_mail_was_sent(taker: Taker, db: Database) -> None:
    await taker.take(complaint(), sent_to="", now=NOW)
    await taker.take(complaint("fraud"), sent_to="", now=NOW)
    assert await figure(db, "complained", SENT) == 1
    assert await figure(db, "complained", NOW) == 0


@pytest.mark.parametrize("type_", ["not-spam", "auth-failure", "dmarc"])
async def test_other_feedback_is_no_complaint(taker: Taker, db: Database, type_: str) -> None:
    await taker.take(complaint(type_), sent_to="", now=NOW)
    assert await figure(db, "complained", SENT) == 0


async def test_words_of_the_own_mail_system_count_nowhere(taker: Taker, db: Database) -> None:
    await taker.take(bounce(code="451 4.4.1 connect to mx.example: Connection timed out"), sent_to="", now=NOW)
    assert [row[-1] for row in await rows(db)] == ["network"]
    assert await figure(db, "failed", SENT) == 0


async def test_a_report_about_mail_that_nobody_knows_counts_into_no_sum(taker: Taker, db: Database) -> None:
    text = bounce(
        message_id="other@ours.example", source=IP, code=f"550 5.7.1 client host [{IP}] blocked using x.example"
    )
    await taker.take(text, sent_to="", now=NOW)
    assert [row[:2] for row in await rows(db)] == [("failed", "")]


async def test_a_trusted_report_names_its_ip(db: Database, settings: Settings) -> None:
    taker = Taker(db, settings.model_copy(update={"reports_trusted": True}))
    await taker.take(bounce(message_id="other@ours.example", source=f"{IP}; campaign=x"), sent_to="", now=NOW)
    await taker.close()
    assert [row[:2] for row in await rows(db)] == [("bounced", IP)]


async def test_a_complaint_without_the_date_of_its_mail_counts_when_that_arrived(
    db: Database, settings: Settings
) -> None:
    taker = Taker(db, settings.model_copy(update={"reports_trusted": True}))
    arrived = f"Source-IP: {IP}\nArrival-Date: {formatdate(SENT)}\n"
    raw = complaint(message_id="other@ours.example").replace(f"Source-IP: {IP}\n".encode(), arrived.encode())
    await taker.take(raw, sent_to="", now=NOW)
    await taker.close()
    async with db.read() as session:
        found = await events.sums(session, IP, (SENT - 1000) * 1000, (SENT + 1000) * 1000)
    assert sum(one.complained for one in found.values()) == 1


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.usefixtures("taker")
async def test_a_block_of_the_ip_told_by_mail_stops_it(db: Database, settings: Settings, *, trusted: bool) -> None:
    """Only where nobody else can reach the way in: who holds a mail knows all that a report about it must name."""
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.WARMING))
    taker = Taker(db, settings.model_copy(update={"reports_trusted": trusted}))
    await taker.take(bounce(code=f"550 5.7.1 client host [{IP}] blocked using x.example"), sent_to="", now=NOW)
    await taker.close()
    async with db.read() as session:
        told = (await (await session.connection()).execute(sa.text("SELECT COUNT(*) FROM outbox"))).scalar_one()
        waits = [item.text for item in (await attention.page(session))[0]]
    counted = await figure(db, "blocked", SENT), await figure(db, "failed", SENT)
    assert (told, counted) == ((2, (1, 0)) if trusted else (0, (0, 1)))
    assert [row[0] for row in await rows(db)] == ["blocked" if trusted else "failed"]
    assert [IP in text and "anybody" in text for text in waits] == ([] if trusted else [True])


async def test_a_delay_told_by_anybody_slows_no_ip(taker: Taker, db: Database) -> None:
    code = "421 4.7.28 unusual rate of unsolicited mail originating from your IP"
    await taker.take(bounce(action="delayed", code=code), sent_to="", now=NOW)
    assert (await figure(db, "deferred", SENT), await figure(db, "limited", SENT)) == (1, 0)


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        ("bounces+ada=gmail.com@ours.example", "ada@gmail.com"),
        ("b-Ada=Gmail.com@ours.example", "ada@gmail.com"),
        ("bounces@ours.example", ""),
        ("", ""),
    ],
)
def test_verp(address: str, recipient: str) -> None:
    assert verp(address) == recipient


async def test_an_alias_is_whom_was_written_to_when_that_was_one(taker: Taker, db: Database) -> None:
    await taker.take(bounce("alias@elsewhere.example", message_id="m2@ours.example"), sent_to="", now=NOW)
    await taker.take(bounce("alias@elsewhere.example", report_id="r2@mx.example"), sent_to="", now=NOW)
    assert [row[4] for row in await rows(db)] == ["ada@gmail.com", "alias@elsewhere.example"]


async def test_verp_tells_an_alias_from_whom_was_written_to(taker: Taker, db: Database) -> None:
    await taker.take(bounce("alias@elsewhere.example"), sent_to="bounces+ada=gmail.com@ours.example", now=NOW)
    assert [row[4] for row in await rows(db)] == ["ada@gmail.com"]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_a_report_over_the_socket(
    taker: Taker, db: Database, free_port: Callable[[], int], protocol: str
) -> None:
    port = free_port()
    server = await listener.listen(taker, "127.0.0.1", port, protocol)

    def send() -> None:
        kind = smtplib.LMTP if protocol == "lmtp" else smtplib.SMTP
        with kind("127.0.0.1", port) as client:
            client.sendmail("", ["bounces@ours.example"], bounce())
            client.sendmail("", ["bounces@ours.example"], bounce())

    try:
        await asyncio.to_thread(send)
        # Answered means stored: nothing is waited for.
        assert len(await rows(db)) == 1
    finally:
        server.close()
        await server.wait_closed()


async def test_a_mail_system_too_many_is_told_to_come_again(
    taker: Taker, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 2)
    port = free_port()
    server = await listener.listen(taker, "127.0.0.1", port, "smtp")

    async def greeted() -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return await asyncio.wait_for(reader.readline(), 5), writer

    try:
        first, second, third = [await greeted() for _ in range(3)]
        assert [one[0][:4] for one in (first, second, third)] == [b"220 ", b"220 ", b"421 "]
        first[1].close()
        await first[1].wait_closed()
        async with asyncio.timeout(5):
            while (await greeted())[0][:4] != b"220 ":
                await asyncio.sleep(0.01)
    finally:
        server.close()


async def test_long_lines_of_the_returned_mail_are_taken(
    taker: Taker, db: Database, free_port: Callable[[], int]
) -> None:
    port = free_port()
    server = await listener.listen(taker, "127.0.0.1", port, "smtp")

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("", ["bounces@ours.example"], bounce() + b"x" * 200_000)

    try:
        await asyncio.to_thread(send)
        assert len(await rows(db)) == 1
    finally:
        server.close()
        await server.wait_closed()


async def test_what_cannot_be_stored_is_not_taken(taker: Taker, db: Database, free_port: Callable[[], int]) -> None:
    async with db.write() as session:
        await (await session.connection()).execute(sa.text("ALTER TABLE mail_event RENAME TO gone"))
    port = free_port()
    server = await listener.listen(taker, "127.0.0.1", port, "smtp")

    def send() -> int:
        with smtplib.SMTP("127.0.0.1", port) as client:
            try:
                client.sendmail("", ["bounces@ours.example"], bounce())
            except smtplib.SMTPDataError as error:
                return error.smtp_code
        return 250

    try:
        assert await asyncio.to_thread(send) == 451
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("maildir", [True, False])
async def test_a_folder_is_emptied_once(taker: Taker, db: Database, tmp_path: Path, maildir: bool) -> None:
    root = tmp_path / "reports"
    coming = root / "new" if maildir else root
    for one in (coming, root / "cur" if maildir else root):
        one.mkdir(parents=True, exist_ok=True)
    (coming / "1").write_bytes(bounce())
    (coming / ".2").write_bytes(bounce("bob@gmail.com")[:100])
    assert await folder.look(taker, root) == 1
    assert await folder.look(taker, root) == 0
    assert [row[4] for row in await rows(db)] == ["ada@gmail.com"]
    assert (root / "cur" / "1:2,S" if maildir else root / "done" / "1").exists()
    assert (coming / ".2").exists()


async def test_a_file_that_cannot_be_read_keeps_no_other_from_being_taken(
    taker: Taker, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(bounce(f"ada{name}@gmail.com"))
        os.utime(tmp_path / name, (int(name), int(name)))
    read = Path.open

    def refused(path: Path, *how: Any) -> Any:
        if path.name == "1":
            raise PermissionError(13, "Permission denied")
        return read(path, *how)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(PermissionError):
        await folder.look(taker, tmp_path)
    assert [row[4] for row in await rows(db)] == ["ada2@gmail.com"]
    assert (tmp_path / "1").exists()


async def test_what_amazon_tells_by_mail_counts_on_the_day_of_its_mail(taker: Taker, db: Database) -> None:
    gone = {"emailAddress": "ada@gmail.com", "action": "failed", "diagnosticCode": "smtp; 550 5.1.1 no such user"}
    told = {
        "notificationType": "Bounce",
        "mail": {"messageId": "m1@ours.example"},
        "bounce": {"bouncedRecipients": [gone]},
    }
    raw = f"From: no-reply@sns.amazonaws.com\nMessage-ID: <n1@amazonses.example>\n\n{json.dumps(told)}\n\n--\nfooter\n"
    for _ in range(2):
        await taker.take(raw.encode(), sent_to="", now=NOW)
    assert await figure(db, "bounced", SENT) == 1
