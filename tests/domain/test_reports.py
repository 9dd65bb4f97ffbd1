"""Reports by mail: each shape that mail systems write, and the traps in them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.replies import Class
from domain.reports import Action, Format, Report, mime, read
from domain.reports.counting import feedback_kind, outcome_kind
from tests.corpora import collected


def mail(*parts: tuple[str, str], kind: str = "report; report-type=delivery-status", extra: str = "") -> bytes:
    """A multipart of (content type, text)."""
    body = "".join(f"--b\nContent-Type: {type_}\n\n{text}\n" for type_, text in parts)
    head = f"From: MAILER-DAEMON@mx.example\nTo: bounces@ours.example\nMessage-ID: <r1@mx.example>\n{extra}"
    return f'{head}Content-Type: multipart/{kind}; boundary="b"\n\n{body}--b--\n'.encode()


def dsn(*groups: str, text: str = "sorry", kind: str = "message/delivery-status", original: str = "") -> bytes:
    """A delivery status with a group of fields a recipient."""
    parts = [("text/plain; charset=utf-8", text), (kind, "Reporting-MTA: dns; mx.example\n\n" + "\n\n".join(groups))]
    if original:
        parts.append(("message/rfc822", original))
    return mail(*parts)


def group(recipient: str, action: str, status: str, code: str = "") -> str:
    """Fields of one recipient."""
    diagnostic = f"\nDiagnostic-Code: smtp; {code}" if code else ""
    return f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}{diagnostic}"


def kinds(report: Report) -> dict[str, str]:
    """What each recipient counts as."""
    return {one.recipient: outcome_kind(one) for one in report.outcomes}


def test_each_recipient_has_its_own_outcome() -> None:
    report = read(
        dsn(
            group("dead@a.example", "failed", "5.1.1", "550 5.1.1 no such user"),
            group("full@a.example", "failed", "5.2.2", "552 5.2.2 mailbox full"),
            group("late@a.example", "delayed", "4.4.1"),
            group("late2@a.example", "delayed", "5.1.1", "550 5.1.1 no such user"),
            group("there@a.example", "delivered", "2.0.0"),
            group("passed@a.example", "relayed", "2.0.0"),
            group("list@a.example", "expanded", "2.0.0"),
            group(
                "blocked@a.example", "failed", "5.7.1", "550 5.7.1 client host [198.51.100.7] blocked using x.example"
            ),
        )
    )
    assert kinds(report) == {
        "dead@a.example": "bounced",
        "full@a.example": "failed",
        "late@a.example": "deferred",
        "late2@a.example": "deferred",
        "there@a.example": "delivered",
        "passed@a.example": "relayed",
        "list@a.example": "expanded",
        "blocked@a.example": "blocked",
    }
    assert {one.recipient for one in report.outcomes if one.reply.hard} == {"dead@a.example"}


def test_words_of_the_text_stand_in_for_a_missing_diagnostic() -> None:
    text = "<a@a.example>: mailbox is full\n\n<b@a.example>: user unknown\n"
    report = read(dsn(group("a@a.example", "failed", "5.0.0"), group("b@a.example", "failed", "5.0.0"), text=text))
    assert [one.reply.class_ for one in report.outcomes] == [Class.MAILBOX_FULL, Class.UNKNOWN_USER]


def test_a_missing_action_is_what_the_status_says_and_no_bounce_is_made_up() -> None:
    fields = "Final-Recipient: rfc822; a@a.example\nStatus: {}"
    assert read(dsn(fields.format("5.1.1"))).outcomes[0].action is Action.FAILED
    assert read(dsn(fields.format("nonsense"))).outcomes[0].action is Action.DELAYED


def test_the_remote_host_tells_the_provider() -> None:
    told = group("a@a.example", "failed", "5.1.1", "550 5.1.1 no such user") + "\nRemote-MTA: dns; mx1.mail.ru"
    assert read(dsn(told)).outcomes[0].reply.provider == "mailru"


def test_an_internationalised_report() -> None:
    fields = "Final-Recipient: utf-8; j\\x{00F6}rg@m\\x{00FC}nchen.example\nAction: failed\nStatus: 5.1.1"
    report = read(dsn(fields, kind="message/global-delivery-status"))
    assert kinds(report) == {"jörg@münchen.example": "bounced"}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("base64", "RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGFAYS5leGFtcGxlCkFjdGlvbjogZmFpbGVkClN0YXR1czogNS4xLjE="),
        ("quoted-printable", "Final-Recipient: rfc822;=20a=40a.example\nAction: failed\nStatus: 5.1.1"),
    ],
)
def test_transfer_encodings(encoding: str, text: str) -> None:
    part = (f"message/delivery-status\nContent-Transfer-Encoding: {encoding}", text)
    assert kinds(read(mail(part))) == {"a@a.example": "bounced"}


def test_garbage_of_a_charset_is_read_as_well_as_can_be() -> None:
    raw = dsn(group("a@a.example", "failed", "5.1.1", "550 no such user"), text="x").replace(b"utf-8", b"klingon")
    assert kinds(read(raw.replace(b"\nx\n", b"\n\xff\xfe\x00\n"))) == {"a@a.example": "bounced"}


def test_a_report_within_a_report_is_found() -> None:
    inner = (
        dsn(group("a@a.example", "failed", "5.1.1", "550 no such user")).replace(b'"b"', b'"c"').replace(b"--b", b"--c")
    )
    head, _, body = inner.partition(b"\n\n")
    outer = b"From: x@example.org\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    inner_type = next(line for line in head.split(b"\n") if line.startswith(b"Content-Type"))
    assert kinds(read(outer + inner_type + b"\n\n" + body + b"\n--b--\n")) == {"a@a.example": "bounced"}


def test_a_report_that_somebody_sent_on_is_read_and_a_bounce_of_a_bounce_is_the_outer_one() -> None:
    inner = (
        dsn(group("a@a.example", "failed", "5.1.1", "550 no such user")).replace(b'"b"', b'"c"').replace(b"--b", b"--c")
    )
    sent_on = b"From: x@example.org\nSubject: FW: see\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
    raw = sent_on + b"Content-Type: message/rfc822\n\n" + inner + b"\n--b--\n"
    assert kinds(read(raw)) == {"a@a.example": "bounced"}
    outer = dsn(group("bounces@ours.example", "failed", "5.2.2", "552 mailbox full"), original=inner.decode())
    assert kinds(read(outer)) == {"bounces@ours.example": "failed"}


def test_a_boundary_that_starts_another_is_not_taken_for_it() -> None:
    head = b"From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n"
    raw = head + b"--b\n\none\n--bb\nstill one\n--b\n\ntwo\n--b--\n"
    assert [part.body for part in mime.read(raw).parts] == [b"one\n--bb\nstill one", b"two"]


def test_fields_without_boundaries_are_found() -> None:
    body = "sorry\n\nReporting-MTA: dns; x.example\n\n" + group("a@a.example", "failed", "5.1.1", "550 no such user")
    raw = f"From: MAILER-DAEMON@x.example\nContent-Type: multipart/report; boundary=gone\n\n{body}\n"
    assert kinds(read(raw.encode())) == {"a@a.example": "bounced"}


QMAIL = """From: MAILER-DAEMON@mx.example
Return-Path: <>
Subject: failure notice

Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.

<a@a.example>:
198.51.100.9 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 198.51.100.9.

<b@a.example>:
Remote host said: 552 mailbox full

--- Below this line is a copy of the message.

Return-Path: <us@ours.example>
Message-ID: <m1@ours.example>
X-Warmpath-Source: 198.51.100.7
"""
EXIM = """From: Mail Delivery System <Mailer-Daemon@mx.example>
X-Failed-Recipients: a@a.example
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

  a@a.example
    host mx.a.example [198.51.100.9]
    SMTP error from remote mail server after RCPT TO:<a@a.example>:
    550 Mailbox quota exceeded
"""
EXCHANGE = """From: postmaster@mx.example
Subject: Undeliverable: hello

Your message

  To:      a@a.example
  Subject: hello

did not reach the following recipient(s):

a@a.example on Mon, 1 Jan 2024 10:00:00 +0000
    The recipient name is not recognized
"""
SENDMAIL = """From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example>
Subject: Returned mail: User unknown

   ----- The following addresses had permanent fatal errors -----
<a@a.example>

   ----- Transcript of session follows -----
... while talking to mx.a.example.:
>>> RCPT To:<a@a.example>
<<< 550 5.1.1 <a@a.example>... User unknown
"""
OLD_EXCHANGE = EXCHANGE.replace("To:      a@", "To:      list@").replace(
    "\na@a.example on Mon", "\nc=US;a= ;p=Mx;o=Mx;dda:SMTP=A@a.example; on Mon"
)
NAMES_ONLY = """From: Mail Delivery Subsystem <MAILER-DAEMON@a.example>
Subject: Mail Delivery Problem

Your mail to the following recipients could not be delivered because they take no mail from us@ours.example:
	ann_b
"""
WARNS_OF_NOBODY = """From: MDaemon@a.example
Subject: Warning: a@a.example - User unknown!

a@a.example - no such user here.
"""
UNKNOWN_USERS = """From: Postmaster <postmaster@mx.example>
Subject: Undeliverable Mail

Unknown user: a@a.example

RCPT TO generated following response:
553 5.3.0 <a@a.example>... Addressee unknown

Unknown user: b@a.example

RCPT TO generated following response:
553 5.3.0 <b@a.example>... Addressee unknown
"""
DASHES = """From: MAILER-DAEMON@mx.example
Subject: Returned mail - nameserver error report

 --------Message not delivered to the following addresses:

      a@a.example

 ---- a@a.example
      User unknown

 --------Unsent Message below:

To: b@a.example
"""


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (OLD_EXCHANGE, {"a@a.example": "bounced"}),
        (NAMES_ONLY, {"ann_b@a.example": "failed"}),
        (WARNS_OF_NOBODY, {"a@a.example": "bounced"}),
        (UNKNOWN_USERS, {"a@a.example": "bounced", "b@a.example": "bounced"}),
        (DASHES, {"a@a.example": "bounced"}),
        (QMAIL, {"a@a.example": "bounced", "b@a.example": "failed"}),
        (EXIM, {"a@a.example": "failed"}),
        (EXCHANGE, {"a@a.example": "bounced"}),
        (SENDMAIL, {"a@a.example": "bounced"}),
    ],
)
def test_bounces_in_words_only(raw: str, expected: dict[str, str]) -> None:
    report = read(raw.encode())
    assert report.format is Format.BOUNCE
    assert kinds(report) == expected


def test_an_address_that_only_a_gateway_knows_gives_way_to_the_one_mailed_to() -> None:
    for final in (
        "local; <ann>",
        "rfc822; @store1.mx.example:ann@lmtp_daemon",
        "rfc822; ann@store1",
        "x400; /S=ann/C=GB/",
    ):
        report = read(dsn(f"Original-Recipient: rfc822; ann@a.example\nFinal-Recipient: {final}\nAction: failed"))
        assert kinds(report) == {"ann@a.example": "failed"}, final
    report = read(dsn("Final-Recipient: x400; /RFC-822=ann(a)a.example/ADMD= /C=WW/\nAction: failed\nStatus: 5.0.0"))
    assert kinds(report) == {"ann@a.example": "failed"}


def test_advertising_beside_a_telling_status_is_not_the_reply() -> None:
    text = "Delivery failed to:\n\n   ann@a.example\n\n____\nThis mail was scanned for viruses by scan.example.\n"
    report = read(dsn(group("ann@a.example", "failed", "5.1.1"), text=text))
    assert kinds(report) == {"ann@a.example": "bounced"}
    assert report.outcomes[0].text == "5.1.1"
    said = read(
        dsn(group("ann@a.example", "failed", "5.2.2"), text="<ann@a.example>\n  552 over quota\n\nscan.example")
    )
    assert said.outcomes[0].text == "552 over quota"


def test_a_report_that_names_nobody_is_about_whom_the_mail_was_for() -> None:
    original = "Received: by mx.example id 1 for <ann@a.example>; Mon, 2 Mar 2026 10:00:00 +0000\nTo: l@b.example"
    report = read(dsn("Action: failed\nStatus: 5.1.1", original=original))
    assert kinds(report) == {"ann@a.example": "bounced"}
    copy = "--- Original message ---\nSubject: hello\nTo: ann@a.example\n"
    raw = f"From: MAILER-DAEMON@mx.example\nSubject: Returned mail\n\nUser unknown\n\n{copy}"
    assert kinds(read(raw.encode())) == {"ann@a.example": "bounced"}


def test_of_two_status_parts_the_one_with_recipients_counts() -> None:
    parts = [
        ("message/delivery-status", "for people: it went wrong"),
        ("message/delivery-status", "Reporting-MTA: dns; mx.example\n\n" + group("ann@a.example", "failed", "5.2.2")),
    ]
    assert kinds(read(mail(*parts))) == {"ann@a.example": "failed"}


def test_a_report_that_a_filter_wrapped_without_its_header_is_read() -> None:
    wrapped = f"--c\nContent-Type: message/delivery-status\n\n{group('ann@a.example', 'failed', '5.1.1')}\n--c--"
    raw = mail(("message/rfc822", wrapped), ("text/plain", "footer"), kind="mixed; report-type=delivery-status")
    assert kinds(read(raw)) == {"ann@a.example": "bounced"}


def test_a_boundary_without_indentation_is_found() -> None:
    raw = (
        'From: post_master@mx.example\nSubject: Re: hello\nContent-Type: multipart/mixed;\nboundary="b"\n\n'
        "--b\nContent-Type: text/plain\n   charset=x\n\nError: no such user here\nRCPT TO: ann@a.example\n--b--\n"
    )
    assert kinds(read(raw.encode())) == {"ann@a.example": "bounced"}


@pytest.mark.parametrize("kind", ["report; report-type=tlsrpt", "mixed"])
def test_a_sum_of_many_mails_is_no_bounce_even_from_a_daemon(kind: str) -> None:
    extra = "Subject: Report Domain: ours.example Submitter: mx.example\n"
    text = "This MIME email was sent by mx.example."
    assert read(mail(("text/plain", text), ("application/gzip", "x"), kind=kind, extra=extra)).format is Format.OTHER


def test_a_notice_to_the_postmaster_is_no_bounce() -> None:
    raw = (
        "From: Mail Delivery System <Mailer-Daemon@mx.example>\nAuto-Submitted: auto-generated\n"
        "Subject: error(s) in your filter file\n\nReferences: <E1AbC-0000@mx.example>\ndomain missing or malformed\n"
    )
    assert not read(raw.encode()).outcomes


def test_the_address_before_an_alias_is_kept() -> None:
    raw = SENDMAIL.replace("<a@a.example>\n\n   -----", "<a@a.example>\n    (expanded from: <b@a.example>)\n\n   -----")
    assert [(one.recipient, one.original) for one in read(raw.encode()).outcomes] == [("a@a.example", "b@a.example")]


def test_the_mail_that_came_back_is_known_by_its_headers() -> None:
    quoted = read(QMAIL.encode()).original
    assert (quoted.message_id, quoted.source) == ("m1@ours.example", "198.51.100.7")
    attached = read(
        dsn(group("a@a.example", "failed", "5.1.1"), original="Message-ID: <m2@ours.example>\nSubject: x\n\nx")
    )
    assert attached.original.message_id == "m2@ours.example"


def test_a_warning_is_a_delay() -> None:
    raw = EXIM.replace("Mail delivery failed: returning message to sender", "Warning: message 1abc delayed 24 hours")
    assert kinds(read(raw.replace("550 Mailbox", "450 Mailbox").encode())) == {"a@a.example": "deferred"}


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\nSubject: Re: hello",
        "X-Autoreply: yes\nSubject: hello",
        "Precedence: auto_reply\nSubject: hello",
        "Subject: Out of office: hello",
        "Subject: =?utf-8?q?Automatische_Antwort=3A_hello?=",
    ],
)
def test_an_auto_reply_is_no_bounce(headers: str) -> None:
    raw = f"From: a@a.example\nTo: bounces@ours.example\n{headers}\n\nI am away. 550 5.1.1 no such user\n"
    report = read(raw.encode())
    assert (report.format, report.outcomes) == (Format.AUTO_REPLY, ())


@pytest.mark.parametrize("charset", ["idna", "unicode_escape", "utf-7", "undefined", "hex", "utf-16", "iso-2022-jp"])
def test_no_charset_makes_text_that_cannot_be_written(charset: str) -> None:
    text = "<a@a.example>: \\ud800 user unknown +2AA-"
    raw = dsn(group("a@a.example", "failed", "5.0.0"), text=text).replace(b"utf-8", charset.encode())
    raw = raw.replace(b"To: bounces", f"Subject: =?{charset}?q?=5Cud800?=\nTo: bounces".encode())
    for outcome in read(raw).outcomes:
        outcome.text.encode()


@pytest.mark.parametrize("subject", ["=?utf-8?b?abcde?=", "=?klingon?q?x?=", "=?utf-8?q?=ff=fe?=", "=?a?b?c?=" * 500])
def test_a_subject_that_cannot_be_decoded_is_read_as_it_is(subject: str) -> None:
    assert read(f"From: a@a.example\nSubject: {subject}\n\nhello\n".encode()).format is Format.OTHER


def test_a_read_receipt_and_a_letter_are_no_bounces() -> None:
    receipt = mail(("message/disposition-notification", "Disposition: manual-action"), kind="report")
    assert read(receipt).format is Format.RECEIPT
    assert read(b"From: a@a.example\nSubject: hello\n\nhello\n").format is Format.OTHER


def arf(type_: str) -> bytes:
    """A feedback report."""
    told = f"Feedback-Type: {type_}\nSource-IP: 198.51.100.7\nOriginal-Rcpt-To: <A@a.example>\nArrival-Date: x"
    original = "Message-ID: <m1@ours.example>\nDate: Mon, 01 Jan 2024 10:00:00 +0000"
    return complaint(told, original)


def complaint(fields: str, original: str) -> bytes:
    """A feedback report of these fields about a mail with these headers."""
    parts = [("message/feedback-report", fields), ("message/rfc822", f"{original}\n\nx")]
    return mail(*parts, kind="report; report-type=feedback-report")


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("abuse", "complained"),
        ("fraud", "complained"),
        ("virus", "complained"),
        ("not-spam", "feedback"),
        ("auth-failure", "feedback"),
        ("dmarc", "feedback"),
        ("unheard-of", "feedback"),
        ("opt-out", "unsubscribed"),
    ],
)
def test_which_feedback_is_a_complaint(type_: str, kind: str) -> None:
    report = read(arf(type_))
    assert report.feedback is not None
    assert feedback_kind(report.feedback) == kind
    assert (report.feedback.source_ip, report.recipients) == ("198.51.100.7", ("a@a.example",))
    assert report.original.message_id == "m1@ours.example"


@pytest.mark.parametrize(
    ("fields", "original", "recipients"),
    [
        ("Original-Rcpt-To: redacted@a.example\nRemoval-Recipient: ann@a.example", "", ("ann@a.example",)),
        ("", "X-Rcpt-To: ann@a.example\nTo: redacted@a.example", ("ann@a.example",)),
        ("", "Received: by mx.example for <ann@a.example>; Mon\nTo: redacted@a.example", ("ann@a.example",)),
        ("", "To: redacted@a.example", ("redacted@a.example",)),
        ("", "To: ann@a.example, bob@a.example", ("ann@a.example",)),
        ("Original-Rcpt-To: ann@a.example\nOriginal-Rcpt-To: bob@a.example", "", ("ann@a.example", "bob@a.example")),
    ],
)  # fmt: skip
def test_who_complained_is_found_where_a_reporter_hid_it(
    fields: str, original: str, recipients: tuple[str, ...]
) -> None:
    report = read(complaint(f"Feedback-Type: abuse\n{fields}", original))
    assert report.recipients == recipients


def test_a_complaint_may_name_its_mail_beside_the_headers() -> None:
    report = read(complaint("Feedback-Type: abuse\nOriginal-Message-ID: <m1@ours.example>", "Subject: x"))
    assert report.original.message_id == "m1@ours.example"


@pytest.mark.parametrize("written", ["[198.51.100.7]", "198.51.100.7 (mx.ours.example)", "IPv4:198.51.100.7"])
def test_the_source_of_a_complaint_is_found_however_it_is_written(written: str) -> None:
    report = read(arf("abuse").replace(b"Source-IP: 198.51.100.7", b"Source-IP: " + written.encode()))
    assert report.feedback is not None
    assert report.feedback.source_ip == "198.51.100.7"


def test_outlooks_complaint_of_the_older_shape() -> None:
    original = "X-HmXmrOriginalRecipient: a@hotmail.example\nMessage-ID: <m1@ours.example>\n\nx"
    raw = mail(("message/rfc822", original), kind="mixed", extra="Subject: complaint about message from 198.51.100.7\n")
    report = read(raw)
    assert report.feedback is not None
    assert (report.feedback.complaint, report.feedback.source_ip) == (True, "198.51.100.7")
    assert report.recipients == ("a@hotmail.example",)


@pytest.mark.parametrize("raw", [b"", b"\0" * 50, b"\x89PNG\r\n\x1a\n" * 20, b"no header at all"])
def test_what_is_no_mail_says_so(raw: bytes) -> None:
    report = read(raw)
    assert report.format is Format.UNREADABLE
    assert report.reason


def test_a_report_without_its_facts_says_so() -> None:
    report = read(mail(("text/html", "<p>hello</p>")).replace(b"MAILER-DAEMON@mx.example", b"a@a.example"))
    assert report.format is Format.UNREADABLE


@given(st.binary(max_size=2_000))
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    read(raw)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_broken_report_breaks_the_reader(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from([dsn(group("a@a.example", "failed", "5.1.1", "550 x")), arf("abuse"), QMAIL.encode()])
    )
    start = data.draw(st.integers(0, len(whole)))
    middle = data.draw(st.binary(max_size=60))
    for one in read(whole[:start] + middle + whole[data.draw(st.integers(start, len(whole))) :]).outcomes:
        outcome_kind(one)


def nested(levels: int) -> bytes:
    """Multiparts within each other."""
    head = b"From: a@example.org\n"
    return head + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(levels))


@pytest.mark.parametrize(
    "raw",
    [
        nested(3_000),
        b"From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 200_000,
        b"From: MAILER-DAEMON@x\nSubject: failure notice\n\n" + b"<a@b.example>:\n550 no\n" * 100_000,
        b"From: MAILER-DAEMON@x\nSubject: failure notice\n\n" + b"a@" * 1_000_000,
        b"X: " + b"y" * 5_000_000,
        b"From: a@example.org\n" + b"X: y\n z\n" * 300_000,
        dsn(*[group(f"a{n}@b.example", "failed", "5.0.0") for n in range(20_000)], text="word " * 50_000),
        b"From: MAILER-DAEMON@x\nSubject: failure notice\n\n" + b"-" * 500_000 + b"\n" + b" " * 500_000,
        b"From: MAILER-DAEMON@x\nSubject: failure notice\nContent-Type: text/html\n\n" + b"<p " * 300_000,
    ],
    ids=["nested", "parts", "recipients", "at signs", "one header", "headers", "groups", "dashes", "tags"],
)
def test_huge_and_hostile_mails_take_little_time(raw: bytes) -> None:
    began = time.process_time()
    read(raw)
    assert time.process_time() - began < 2.0  # measured: at most 0.5 s


#: File, then what its recipients count as.
EXPECTED = {
    "kumomta_rfc3464_1.eml": {"louisl@larry.slip.umd.edu": "failed"},
    "kumomta_rfc3464_2.eml": {
        "arathib@vnet.ibm.com": "bounced",
        "johnh@hpnjld.njd.hp.com": "deferred",
        "wsnell@sdcc13.ucsd.edu": "bounced",
    },
    "kumomta_rfc3464_3.eml": {"nair_s": "bounced"},
    "kumomta_rfc3464_4.eml": {"thomas@de-montfort.ac.uk": "deferred"},
    "kumomta_rfc3464_5.eml": {"recipient@domain.com": "failed"},
    "kumomta_rfc3464_6.eml": {"redacted@example.com": "failed"},
    "kumomta_rfc3464_obsolete_arrival_date.eml": {"user@example.com": "bounced"},
}


#: Reports as mail systems write them (RFC 3464, appendix of shapes; RFC 5965), put together by hand.
OWN_REPORTS = {
    "several groups": (
        dsn(
            "Original-Recipient: rfc822;x@a.example\n" + group("gone@a.example", "failed", "5.1.1", "550 5.1.1 gone"),
            group("slow@a.example", "delayed", "4.4.1", "421 4.4.1 no answer") + "\nWill-Retry-Until: Fri, 2 Jan 2026",
            text="This is the mail system at mx.example.",
            original="From: news@ours.example\nMessage-ID: <m1@ours.example>\nSubject: hello\n\nhello",
        ),
        {"gone@a.example": "bounced", "slow@a.example": "deferred"},
    ),
    "a bare recipient and an old date": (
        dsn("Final-Recipient: rfc822; <full@a.example>\nAction: FAILED\nStatus: 5.2.2 (mailbox full)\n"
            "Arrival-Date: Thursday, 01-Jan-26 00:00:00 GMT"),
        {"full@a.example": "failed"},
    ),
}  # fmt: skip
REPORTS = {
    **OWN_REPORTS,
    **{one.name: (one.read_bytes(), EXPECTED[one.name]) for one in collected("dsn_arf/*.eml") if one.name in EXPECTED},
}


@pytest.mark.parametrize("name", REPORTS)
def test_delivery_reports_as_they_come(name: str) -> None:
    raw, expected = REPORTS[name]
    assert kinds(read(raw)) == expected


OWN_COMPLAINT = mail(
    ("text/plain", "This is a complaint about a mail from 198.51.100.7."),
    (
        "message/feedback-report",
        "Feedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nSource-IP: 198.51.100.7\n"
        "Original-Mail-From: <news@ours.example>\nOriginal-Rcpt-To: <reader@a.example>",
    ),
    ("message/rfc822", "From: news@ours.example\nTo: reader@a.example\nMessage-ID: <m1@ours.example>\n\nhello"),
    kind="report; report-type=feedback-report",
)


COMPLAINTS = {
    "own": OWN_COMPLAINT,
    **{one.stem: one.read_bytes() for one in collected("dsn_arf/kumomta_rfc5965_*.eml")},
}


@pytest.mark.parametrize("name", COMPLAINTS)
def test_complaints_as_they_come(name: str) -> None:
    report = read(COMPLAINTS[name])
    assert report.feedback is not None
    assert feedback_kind(report.feedback) == "complained"


SES_MAIL = {
    "messageId": "0100-ses", "timestamp": "2026-01-01T10:00:00.000Z", "source": "news@acme.example",
    "destination": ["ada@gmail.com"], "tags": {"ses:outgoing-ip": ["198.51.100.7"]},
}  # fmt: skip
GONE = {
    "emailAddress": "Ada@gmail.com",
    "action": "failed",
    "status": "5.1.1",
    "diagnosticCode": "smtp; 550 5.1.1 gone",
}
FOOTER = "\n\n--\nIf you wish to stop receiving notifications from this topic, please visit the link below"


def notified(kind: str, part: dict[str, object], *, wrapped: bool = False) -> bytes:
    """A mail of SNS: of the protocol `email` with its footer, or of `email-json` with its envelope."""
    name = kind[0].lower() + kind[1:]
    told = json.dumps({"notificationType": kind, "mail": SES_MAIL, name: part})
    text = json.dumps({"Type": "Notification", "MessageId": "n1", "Message": told}) if wrapped else told + FOOTER
    return (
        "From: AWS Notifications <no-reply@sns.amazonaws.com>\nMessage-ID: <n1@amazonses.example>\n"
        f"Subject: AWS Notification Message\nContent-Type: text/plain; charset=UTF-8\n\n{text}\n"
    ).encode()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_bounce_that_amazon_tells_by_mail_is_a_report(wrapped: bool) -> None:
    part = {"bounceType": "Permanent", "bouncedRecipients": [GONE, {**GONE, "action": "delayed", "status": "4.2.0"}]}
    report = read(notified("Bounce", part, wrapped=wrapped))
    first, second = report.outcomes
    assert (report.format, first.recipient, first.text) == (Format.DSN, "ada@gmail.com", "550 5.1.1 gone")
    assert (outcome_kind(first), outcome_kind(second)) == ("bounced", "deferred")
    assert (report.message_id, report.original.message_id) == ("n1@amazonses.example", "0100-ses")
    assert (report.original.source, report.original.recipient) == ("198.51.100.7", "ada@gmail.com")
    assert report.original.date == "Thu, 01 Jan 2026 10:00:00 +0000"


def test_a_bounce_that_may_pass_is_no_dead_address() -> None:
    (outcome,) = read(notified("Bounce", {"bounceType": "Transient", "bouncedRecipients": [GONE]})).outcomes
    assert outcome_kind(outcome) == "failed"


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({}, "complained"),
        ({"complaintFeedbackType": "abuse"}, "complained"),
        ({"complaintFeedbackType": "not-spam"}, "feedback"),
        ({"complaintSubType": "OnAccountSuppressionList"}, "feedback"),
    ],
)
def test_a_complaint_that_amazon_tells_by_mail_is_one(part: dict[str, object], kind: str) -> None:
    report = read(notified("Complaint", {"complainedRecipients": [{"emailAddress": "a@gmail.com"}], **part}))
    assert report.feedback is not None
    assert (feedback_kind(report.feedback), report.recipients) == (kind, ("a@gmail.com",))


def test_other_json_by_mail_is_no_report() -> None:
    suppressed = {"bounceSubType": "Suppressed", "bouncedRecipients": [GONE]}
    assert read(notified("Bounce", suppressed)).format is Format.OTHER
    assert read(notified("Bounce", {})).format is Format.OTHER
    assert read(notified("Received", {"recipients": ["a@b.de"]})).format is Format.OTHER
    for text in ('{"alarm": "CPU"}', "{", '{"Message": "{"}', "[1]", '{"a":' * 5_000):
        assert read(f"From: a@b.de\n\n{text}\n".encode()).format is Format.OTHER


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["Bounce", "Complaint", "failed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["mail", "bounce", "bouncedRecipients", "bounceSubType", "emailAddress", "tags", "timestamp"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["Bounce", "Complaint", "Delivery", "DeliveryDelay"]), JSON, JSON)
@settings(max_examples=200, deadline=None)
def test_whatever_amazon_were_to_tell_by_mail_is_read(kind: str, about: object, part: object) -> None:
    name = kind[0].lower() + kind[1:]
    for given_ in (about, {**SES_MAIL, "tags": about, "timestamp": about, "destination": about}):
        text = json.dumps({"eventType": kind, "mail": given_, name: part})
        assert read(f"From: a@b.de\n\n{text}\n".encode()).format in tuple(Format)
