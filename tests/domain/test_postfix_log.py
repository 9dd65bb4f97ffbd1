"""What lines of Postfix's log mean: as Postfix 3.7 writes them, in the shapes that syslog daemons give them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import postfix_log
from domain.events import MailEvent
from domain.postfix_log import Clock, Mails
from domain.routing import Exit, Routes, address_of, transport_name

IP, OTHER = "198.51.100.7", "198.51.100.8"
NOW = int(dt.datetime(2026, 11, 24, 18, tzinfo=dt.UTC).timestamp() * 1000)
WP, WP2 = "wp-198-51-100-7/smtp", "wp-198-51-100-8/smtp"
#: Queue ids with and without `enable_long_queue_ids`.
SHORT, LONG = "B41F920E092", "4dGxRd1zPrz9vJ"
GONE = "host mx.a.example[192.0.2.1] said: 550 5.1.1 <ada@a.example>: User unknown (in reply to RCPT TO command)"
LATER = "host mx.a.example[192.0.2.1] said: 451 4.3.0 try later (in reply to RCPT TO command)"
LISTED = (
    "host mx.a.example[192.0.2.1] refused to talk to me: 554 5.7.1 Service unavailable; "
    "Client host [198.51.100.7] blocked using zen.spamhaus.org"
)
ROUTES = Routes(
    exits={IP: Exit(IP, pool="main")},
    senders={"acme": "main"},
    matches={"acme.example": "acme", "app": "acme"},
    campaigns={"spring": "acme"},
)


def line(said: str, *, at: str = "2026-11-24T16:00:01.500+00:00", service: str = WP, queue: str = SHORT) -> str:
    return f"{at} mail postfix/{service}[1382]: {queue}: {said}"


def delivery(
    status: str = "sent", text: str = "250 2.0.0 OK", *, to: str = "ada@a.example",
    relay: str = "mx.a.example[192.0.2.1]:25", delay: str = "0.5", between: str = "", **more: Any,
) -> str:  # fmt: skip
    dsn = {"sent": "2.0.0", "deferred": "4.3.0"}.get(status, "5.1.1")
    said = f"to=<{to}>, {between}relay={relay}, delay={delay}, delays=0.1/0/0.2/0.2, dsn={dsn}, status={status}"
    return line(f"{said} ({text})", **more)


def read(*lines: str, mails: Mails | None = None, zone: dt.tzinfo | None = dt.UTC, now: int = NOW) -> list[MailEvent]:
    known = mails or Mails()
    if not known.routes.senders:
        known.routes = ROUTES
    return postfix_log.events([one.encode() + b"\n" for one in lines], known, Clock(zone, now))


def told(*lines: str, **more: Any) -> list[tuple[str, str, bool]]:
    return [(one.kind.value, one.reply_class, one.local) for one in read(*lines, **more)]


@pytest.mark.parametrize(
    ("status", "text", "kind", "reply_class", "local"),
    [
        ("sent", "250 2.0.0 OK 1700000000 a1-20020a05", "delivered", "", False),
        ("bounced", GONE, "bounced", "unknown_user", False),
        ("bounced", "host mx[192.0.2.1] said: 550-5.1.1 The account 550-5.1.1 does not exist. 550 5.1.1 user unknown "
         "(in reply to RCPT TO command)", "bounced", "unknown_user", False),
        ("bounced", "host mx[192.0.2.1] said: 552 5.2.2 mailbox full (in reply to DATA command)",
         "failed", "mailbox_full", False),
        ("bounced", LISTED, "blocked", "ip_blocked", False),
        ("deferred", LISTED, "blocked", "ip_blocked", False),
        ("deferred", LATER, "deferred", "receiver_fault", False),
        ("SOFTBOUNCE", GONE, "deferred", "unknown_user", False),
        # What Postfix says by itself is nobody's opinion of the IP.
        ("deferred", "connect to mx.a.example[192.0.2.1]:25: Connection timed out", "deferred", "network", True),
        ("deferred", "lost connection with mx.a.example[192.0.2.1] while sending RCPT TO", "deferred", "network", True),
        ("deferred", "conversation with mx.a.example[192.0.2.1] timed out while sending message body",
         "deferred", "network", True),
        ("deferred", "TLS is required, but was not offered by host mx.a.example[192.0.2.1]", "deferred", "local", True),
        ("bounced", "bad address syntax", "failed", "local", True),
        ("bounced", "unable to look up host a.example: No address associated with hostname", "failed", "local", True),
        ("deferred", "Host or domain name not found. Name service error for name=a.example type=MX: Host not found, "
         "try again", "deferred", "network", True),
        # That a domain is not there, or takes no mail, is its owner's word.
        ("bounced", "Host or domain name not found. Name service error for name=a.example type=A: Host not found",
         "bounced", "unknown_domain", False),
        ("bounced", "Domain a.example does not accept mail (nullMX)", "bounced", "unknown_domain", False),
    ],
)  # fmt: skip
def test_a_delivery_is_judged_by_its_reply(status: str, text: str, kind: str, reply_class: str, local: bool) -> None:
    found = told(delivery(status, text))
    assert found == [("sent", "", False), (kind, reply_class, local)]


@pytest.mark.parametrize("service", ["smtp", "lmtp", "local", "wp-198-51-100-7/lmtp", "wp-300-1-1-1/smtp", "error"])
def test_other_deliveries_are_no_events(service: str) -> None:
    assert read(delivery(service=service)) == []


@pytest.mark.parametrize("address", [IP, "2001:db8::7", "::1", "2001:db8:1:2:3:4:5:6", "2001:db8::7:8", "fe80::"])
def test_the_name_of_a_transport_is_read_back(address: str) -> None:
    assert address_of(transport_name(address)) == address
    (sent, delivered) = read(delivery(service=f"{transport_name(address)}/smtp"))
    assert (sent.address, delivered.address) == (address, address)


@pytest.mark.parametrize("name", ["smtp", "wp-", "wp-1-2-3", "wp-retired", "wp-resolve", "wp-1-2-3-4-5", "wp-::1"])
def test_other_names_are_no_transports(name: str) -> None:
    assert address_of(name) == ""


@pytest.mark.parametrize("queue", [SHORT, LONG])
def test_whose_mail_it_is_comes_from_earlier_lines(queue: str) -> None:
    sent, bounced = read(
        line("client=app[10.0.0.2], sasl_method=PLAIN, sasl_username=app", service="submission/smtpd", queue=queue),
        line("message-id=<m1@app.example>", service="cleanup", queue=queue),
        line("from=<bounce+spring+ada=a.example@other.example>, size=355, nrcpt=1 (queue active)",
             service="qmgr", queue=queue),
        delivery("bounced", GONE, queue=queue),
    )  # fmt: skip
    assert (sent.sender, sent.campaign, sent.message_id) == ("acme", "spring", "m1@app.example")
    assert (bounced.sender, bounced.campaign, bounced.message_id) == ("acme", "spring", "m1@app.example")
    assert (bounced.address, bounced.recipient, bounced.detail) == (IP, "ada@a.example", GONE)
    assert bounced.event_id == f"{queue}@mail failed ada@a.example"


def test_headers_that_cleanup_logs_name_sender_and_campaign() -> None:
    headers = [
        line(f"{how}: header X-Warmpath-{name}: {value} from localhost[127.0.0.1]; from=<a@b.example> to=<c@d.example> "
             "proto=ESMTP helo=<app>", service="cleanup")
        for how, name, value in (("info", "Sender", "globex"), ("warning", "Campaign", "from us to you"))
    ]  # fmt: skip
    _, event = read(*headers, delivery())
    assert (event.sender, event.campaign) == ("globex", "from us to you")


def test_lost_lines_leave_what_is_in_the_line_itself() -> None:
    _, event = read(delivery("bounced", GONE))
    assert (event.kind, event.address, event.sender, event.message_id) == ("bounced", IP, "", "")


def test_a_mail_to_several_has_an_event_each() -> None:
    found = read(delivery(to="ada@a.example"), delivery("bounced", GONE, to="bob@a.example"))
    assert [(one.kind, one.recipient) for one in found] == [
        ("sent", "ada@a.example"), ("delivered", "ada@a.example"),
        ("sent", "bob@a.example"), ("bounced", "bob@a.example"),
    ]  # fmt: skip
    assert len({one.once_key() for one in found}) == 4


@pytest.mark.parametrize(
    ("between", "to", "recipient"),
    [
        ("orig_to=<sales@acme.example>, ", "ada@a.example", "ada@a.example"),
        ("", '"a, relay=x> b"@a.example', '"a, relay=x> b"@a.example'),
        ("", '"x>, relay=mx[192.0.2.1]:25, delay=1, delays=1/1/1/1, dsn=2.0.0, status=sent (250 ok"@a.example', None),
    ],
)
def test_recipients_of_every_kind(between: str, to: str, recipient: str | None) -> None:
    _, event = read(delivery("bounced", GONE, between=between, to=to))
    assert (event.recipient, event.kind) == (recipient or to, "bounced")


@pytest.mark.parametrize(
    ("relay", "to", "text", "provider"),
    [
        ("gmail-smtp-in.l.google.com[142.250.1.26]:25", "ada@a.example", "250 OK", "gmail"),
        ("a-example.mail.protection.outlook.com[2a01:111:f400::1]:25, conn_use=2", "ada@a.example", "250 OK",
         "microsoft"),
        ("[192.0.2.1]:587", "ada@gmail.com", "250 OK", "gmail"),
        ("none", "ada@a.example", "connect to aspmx.l.google.com[142.250.1.26]:25: Connection timed out", "gmail"),
        ("none", "ada@yahoo.co.uk", "Server certificate not verified", "yahoo"),
        ("none", "ada@a.example", "delivery failed", "other"),
    ],
)  # fmt: skip
def test_the_provider_is_that_of_the_relay_or_of_the_address(relay: str, to: str, text: str, provider: str) -> None:
    assert {one.provider for one in read(delivery(relay=relay, to=to, text=text))} == {provider}


def test_one_mail_that_is_deferred_again_and_again_counts_once_for_its_ip() -> None:
    mails = Mails()
    message = line("message-id=<m1@a.example>", service="cleanup")
    found = read(message, *(delivery("deferred", LATER, delay=str(60 * n)) for n in range(1, 4)), mails=mails)
    assert [one.kind for one in found] == ["sent", "deferred", "deferred", "deferred"]
    assert len({one.once_key() for one in found}) == 2
    (done,) = read(delivery(delay="240"), line("removed", service="qmgr"), mails=mails)
    assert done.kind == "delivered"
    assert {one.booked_ms for one in [*found, done]} == {found[0].at_ms}, "all of it counts when the mail was granted"
    assert mails.open == {}


def test_a_mail_that_moves_to_another_ip_counts_there_from_its_first_try() -> None:
    put_back = "C047520E73A"
    found = read(
        line("message-id=<m1@a.example>", service="cleanup"),
        delivery("deferred", LATER, at="2026-11-23T23:00:00.0Z", delay="1"),
        line(f"uid=104 from=<news+spring@acme.example> orig_id={SHORT}", service="pickup", queue=put_back),
        # The gate lets nobody have it: Postfix does not even try.
        delivery("deferred", f"{OTHER} is paused: bad luck", relay="none", service="error", queue=put_back),
        delivery(service=WP2, queue=put_back, at="2026-11-24T01:00:00.0Z", delay="7201"),
        line("removed", service="qmgr", queue=put_back),
    )
    assert [(one.kind, one.address, one.booked_ms % 86_400_000 // 1000) for one in found] == [
        ("sent", IP, 82_799), ("deferred", IP, 82_799), ("sent", OTHER, 3_600), ("delivered", OTHER, 3_600),
    ]  # fmt: skip
    assert (found[3].campaign, found[3].message_id) == ("spring", "m1@a.example")


def test_a_block_counts_once_however_often_it_is_said_and_again_for_the_next_ip() -> None:
    found = read(delivery("deferred", LISTED), delivery("deferred", LISTED), delivery("bounced", LISTED))
    assert [one.event_id for one in found if one.kind == "blocked"] == [f"{SHORT}@mail blocked {IP} ada@a.example"] * 3
    (_, other) = read(delivery("deferred", LISTED, service=WP2))
    assert other.event_id == f"{SHORT}@mail blocked {OTHER} ada@a.example"
    assert other.stops_mail


@pytest.mark.parametrize("status", ["expired", "force-expired"])
def test_who_still_waits_when_a_mail_expires_failed_by_nobodys_word(status: str) -> None:
    *_, event = read(
        delivery("deferred", LATER),
        delivery("sent", to="bob@a.example"),
        line(f"from=<news@acme.example>, status={status}, returned to sender", service="qmgr"),
    )
    assert (event.kind, event.recipient, event.address, event.local) == ("failed", "ada@a.example", IP, True)
    assert event.counted is None


def test_a_queue_id_that_is_used_again_is_another_mail() -> None:
    *_, event = read(
        line("client=app[10.0.0.2], sasl_method=PLAIN, sasl_username=app", service="smtpd"),
        line("message-id=<old@a.example>", service="cleanup"),
        line("client=unknown[10.0.0.9]", service="smtpd"),
        delivery(),
    )
    assert (event.sender, event.message_id) == ("", "")


def test_the_same_lines_make_the_same_ids_from_wherever_they_are_read() -> None:
    lines = [
        line("message-id=<m1@a.example>", service="cleanup"),
        delivery("deferred", LATER),
        delivery("bounced", GONE),
        delivery("sent", to="bob@a.example"),
    ]
    known = Mails()
    whole = {one.once_key() for one in read(*lines, mails=known)}
    again = {one.once_key() for one in read(*lines[2:], mails=known)}
    assert again <= whole


def test_mails_whose_end_was_not_seen_are_forgotten_after_a_time() -> None:
    mails = Mails()
    read(delivery("deferred", LATER), mails=mails)
    mails.changed.clear()
    mails.forget(NOW - 86_400_000)
    assert len(mails.open) == 1
    mails.forget(NOW)
    assert (mails.open, mails.changed) == ({}, {f"{SHORT}@mail"})


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("data", ["-", '[origin ip="192.0.2.1"][x y="a \\] b"]'])
def test_lines_of_rfc_5424_say_the_same(data: str) -> None:
    plain = delivery(at="2026-11-24T16:00:01.123456+00:00")
    stamp, host, program, said = plain.split(" ", 3)
    service, process = program.rstrip(":").rstrip("]").split("[")
    structured = f"<22>1 {stamp} {host} {service} {process} - {data} {said}"
    assert read(structured) == read(plain)
    assert len(read(structured)) == 2


@pytest.mark.parametrize(
    ("at", "zone", "read_at", "then"),
    [
        ("2026-11-24T16:00:01.123456+00:00", dt.UTC, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.123Z"),
        ("2026-11-24T16:00:01.5Z", BERLIN, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.500Z"),
        ("2026-11-24T21:30:01.25+05:30", BERLIN, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.250Z"),
        ("2026-11-24T16:00:01.5+0000", BERLIN, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.500Z"),  # journalctl
        ("2026-11-24T17:00:01.5", BERLIN, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.500Z"),
        ("Nov 24 17:00:01.5", BERLIN, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.500Z"),
        ("<22>Nov  4 17:00:01.5", BERLIN, "2026-11-24T18:00:00Z", "2026-11-04T16:00:01.500Z"),
        # Seconds alone are taken for their end.
        ("Nov 24 16:00:01", dt.UTC, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.999Z"),
        ("2026-11-24T16:00:01Z", dt.UTC, "2026-11-24T18:00:00Z", "2026-11-24T16:00:01.999Z"),
        # The year is the last one that is not in the future.
        ("Dec 31 23:59:58.5", dt.UTC, "2027-01-01T00:00:09Z", "2026-12-31T23:59:58.500Z"),
        ("Jan  1 00:00:01.5", dt.UTC, "2026-12-31T23:59:59Z", "2027-01-01T00:00:01.500Z"),
        ("Feb 29 12:00:00.5", dt.UTC, "2025-03-01T00:00:00Z", "2024-02-29T12:00:00.500Z"),
    ],
)
def test_when_a_line_was_written(at: str, zone: dt.tzinfo, read_at: str, then: str) -> None:
    now = int(dt.datetime.fromisoformat(read_at).timestamp() * 1000)
    sent, _ = read(delivery(at=at, delay="0"), zone=zone, now=now)
    assert sent.at_ms == int(dt.datetime.fromisoformat(then).timestamp() * 1000)


def test_the_hour_that_comes_twice_is_told_by_the_line_before() -> None:
    clock = Clock(BERLIN, NOW)
    stamps = ["Oct 25 02:59:59", "Oct 25 02:00:01", "Oct 25 02:59:59", "Oct 25 03:00:00"]
    clock.read("Oct 25 01:59:59")
    seconds = [(clock.read(one) or 0) // 1000 for one in stamps]
    assert [after - before for before, after in zip(seconds, seconds[1:], strict=False)] == [2, 3598, 1]


def test_the_year_goes_on_with_the_log() -> None:
    clock = Clock(dt.UTC, int(dt.datetime(2027, 6, 1, tzinfo=dt.UTC).timestamp() * 1000))
    first, second = (clock.read(one) or 0 for one in ("Dec 31 23:59:59", "Jan  1 00:00:00"))
    assert second - first == 1000


@pytest.mark.parametrize(
    "text",
    [
        "", "no log", "Nov 24 16:00:01 mail postfix/qmgr[1]: warning: nothing",
        "Nov 31 16:00:01 mail postfix/qmgr[1]: B41F920E092: removed",
        "Foo 24 16:00:01 mail postfix/qmgr[1]: B41F920E092: removed",
        "2026-13-45T99:00:00Z mail postfix/qmgr[1]: B41F920E092: removed",
        line("host mx.a.example[192.0.2.1] said: 451 4.3.0 try later (in reply to RCPT TO command)"),
        line("to=<ada@a.example>, relay=mx.a.example[192.0.2.1]:25, delay=0.5, delays=0.1/0/0."),
        delivery("deliverable"), line("to=<"), delivery("sent")[:60],
        line("client=x[10.0.0.1]", service="smtpd", queue="NOQUEUE"),
    ],
)  # fmt: skip
def test_what_is_no_delivery_is_passed_over(text: str) -> None:
    assert read(text) == []


BLOCKED = "host mx1.a.example[192.0.2.1] refused to talk to me: 554 5.7.1 your IP [198.51.100.7] is blocked, see SBL"
SLOWED = "host mx1.a.example[192.0.2.1] said: 451 4.7.1 greylisted, come again (in reply to RCPT TO command)"


@pytest.mark.parametrize(
    ("refused", "recipients", "last", "kinds"),
    [
        (SLOWED, 1, "sent", ["sent", "deferred", "delivered"]),
        (BLOCKED, 1, "sent", ["sent", "blocked", "delivered"]),
        (BLOCKED, 1, "deferred", ["sent", "blocked", "deferred"]),
        # A deferral counts once a recipient: the last word stands for all.
        (SLOWED, 1, "deferred", ["sent", "deferred"]),
        # Whom of several it was about, the line does not say.
        (BLOCKED, 2, "sent", ["sent", "delivered"]),
        (BLOCKED, None, "sent", ["sent", "delivered"]),
    ],
)
def test_what_the_first_host_said_is_of_a_mail_with_one_recipient(
    refused: str, recipients: int | None, last: str, kinds: list[str]
) -> None:
    known = (
        []
        if recipients is None
        else [line(f"from=<a@b.example>, size=9, nrcpt={recipients} (queue active)", service="qmgr")]
    )
    found = read(*known, line(refused), delivery(last, "host mx2.a.example[192.0.2.2] said: 451 4.3.0 try again"))
    assert [one.kind.value for one in found] == kinds
    if len(kinds) == 3:
        assert (found[1].recipient, found[1].address) == ("ada@a.example", "198.51.100.7")
        assert found[1].detail == refused


def test_the_first_host_is_remembered_from_one_reading_to_the_next() -> None:
    mails = Mails()
    read(line("from=<a@b.example>, size=9, nrcpt=1 (queue active)", service="qmgr"), line(BLOCKED), mails=mails)
    assert mails.changed
    kept = json.loads(json.dumps(dataclasses.asdict(next(iter(mails.open.values())))))
    later = Mails({next(iter(mails.open)): postfix_log.Mail(**kept)})
    assert [one.kind.value for one in read(delivery(), mails=later)] == ["sent", "blocked", "delivered"]
    assert [one.kind.value for one in read(delivery("deferred", "451 later"), mails=later)] == ["sent", "deferred"]


def test_lines_that_are_not_understood_are_counted() -> None:
    tally = postfix_log.Tally()
    lines = [
        delivery(), delivery("deliverable"), line("lost connection with mx.a.example[192.0.2.1] while sending"),
        "2026-11-24T16:00:01Z mail postfix/anvil[1]: statistics: max", "Nov 24 16:00:01 mail kernel: hello", "",
        line("to=<ada@a.example>, relay=new form"), "no log", "[24/Nov/2026:16:00:01] mail",
    ]  # fmt: skip
    postfix_log.events([one.encode() for one in lines], Mails(), Clock(dt.UTC, NOW), tally)
    assert (tally.lines, tally.unread) == (8, 3)
    assert tally.last_ms == int(dt.datetime(2026, 11, 24, 16, 0, 1, 500_000, dt.UTC).timestamp() * 1000)


def test_a_reply_that_was_cut_is_read_as_far_as_it_goes() -> None:
    whole = delivery("bounced", "host mx.a.example[192.0.2.1] said: 550 5.1.1 user unknown " + "x" * 30_000)
    assert told(whole) == [("sent", "", False), ("bounced", "unknown_user", False)]
    assert told(delivery("bounced", GONE)[:-40])[1] == ("bounced", "unknown_user", False)


_PIECES = st.sampled_from(
    [
        "Nov 24 16:00:01 ", "2026-11-24T16:00:01Z ", "mail ", f"postfix/{WP}[1]: ", "postfix/qmgr[1]: ", f"{SHORT}: ",
        "postfix/smtpd[1]: ", "postfix/cleanup[1]: ", "postfix/pickup[1]: ", "client=a[1], sasl_username=",
        "message-id=<", "to=<", ">, ", "relay=", "none, ", "delay=", "1e999, ", "delays=1/1/1/1, ", "dsn=5.1.1, ",
        "status=", "bounced (", "expired, ", "from=<", "uid=0 from=<> orig_id=", "removed", ")", '"', "\\", "\n", "\r",
        "\0", "é", "\ud800", "..",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(_PIECES, st.text(max_size=8)), max_size=40))
def test_no_line_breaks_the_reader(pieces: list[str]) -> None:
    body = "".join(pieces).encode("utf-8", "surrogatepass")
    for one in postfix_log.events(body.split(b"\n"), Mails(), Clock(None, NOW)):
        assert one.address == IP
        assert one.event_id


@given(st.text(max_size=50), st.text(max_size=30), st.text(max_size=60))
def test_no_delivery_breaks_the_reader(to: str, relay: str, text: str) -> None:
    body = delivery("bounced", text, to=to, relay=relay).encode("utf-8", "surrogatepass")
    for one in postfix_log.events([body], Mails(), Clock(None, NOW)):
        assert one.address == IP
