"""`warmpath webhook normalise`: what would be stored, a JSON object a line; what cannot be read is code 2."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from commands.webhook import app


def test_events_of_a_body_are_printed_and_nothing_needs_a_signature(tmp_path: Path) -> None:
    file = tmp_path / "body"
    body = [
        {"event": "bounce", "sg_event_id": "e1", "email": "a@gmail.com", "timestamp": 1600112492, "ip": "198.51.100.7",
         "reason": "550 5.1.1 user \ud800 unknown"},
        {"event": "open", "sg_event_id": "e2", "email": "a@gmail.com", "timestamp": 1600112493},
    ]  # fmt: skip
    file.write_text(json.dumps(body))
    done = CliRunner().invoke(app, ["sendgrid", str(file)])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["event"], one["event_id"], one["recipient"], one["class"]) for one in lines] == [
        ("bounced", "e1", "a@gmail.com", "unknown_user"),
        ("opened", "e2", "a@gmail.com", None),
    ]
    assert lines[0]["occurred_at"] == "2020-09-14T19:41:32.000Z"
    assert lines[0]["reply"] == "550 5.1.1 user ? unknown"


def test_a_report_that_came_by_mail_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "report.eml"
    file.write_text(
        "From: mailer-daemon@mx.example\nMessage-ID: <r1@mx.example>\nDate: Fri, 2 Jan 2026 10:00:00 +0000\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n"
        "Final-Recipient: rfc822; a@gmail.com\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 user unknown\n\n"
        "Final-Recipient: rfc822; b@gmail.com\nAction: delayed\nStatus: 4.2.0\n"
        "Diagnostic-Code: smtp; 450 4.2.0 wait\n\n--b\nContent-Type: message/rfc822\n\n"
        "X-Warmpath-Source: 198.51.100.7\nMessage-ID: <m1@acme.example>\n\n--b--\n"
    )
    done = CliRunner().invoke(app, ["mail", str(file)])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["event"], one["recipient"], one["ip"], one["message_id"]) for one in lines] == [
        ("bounced", "a@gmail.com", "198.51.100.7", "m1@acme.example"),
        ("deferred", "b@gmail.com", "198.51.100.7", "m1@acme.example"),
    ]


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"\xff")
    for arguments, reason in (
        (["postmark", str(file)], "not UTF-8"),
        (["postmark", str(tmp_path / "absent")], "No such file"),
        (["nobody", str(file)], "There is no webhook"),
        (["mail", str(file)], "is no mail"),
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2
        assert reason in done.stderr


def test_a_log_of_postfix_is_read_as_a_body_is(tmp_path: Path) -> None:
    file = tmp_path / "mail.log"
    head = "2026-11-24T16:00:01.500+00:00 mail postfix"
    file.write_text(
        f"{head}/smtpd[7]: connect from localhost[127.0.0.1]\n"
        f"{head}/wp-198-51-100-7/smtp[9]: 4dGxRd1zPrz9vJ: to=<a@gmail.com>, relay=none, delay=1, delays=0/0/1/0, "
        "dsn=4.4.1, status=deferred (connect to mx.example[192.0.2.1]:25: Connection refused)\n"
    )
    done = CliRunner().invoke(app, ["postfix", str(file)])
    assert done.exit_code == 0, done.output
    sent, deferred = [json.loads(line) for line in done.stdout.splitlines()]
    assert (sent["event"], sent["ip"], sent["occurred_at"]) == ("sent", "198.51.100.7", "2026-11-24T16:00:00.500Z")
    assert (deferred["event"], deferred["class"], deferred["local"]) == ("deferred", "network", True)
    file.write_text("{}\n")
    done = CliRunner().invoke(app, ["postfix", str(file)])
    assert (done.exit_code, "No line is one of a mail system's log" in done.stderr) == (2, True)


def test_a_body_can_come_by_standard_input() -> None:
    body = b'{"RecordType": "Delivery", "Recipient": "a@gmail.com", "MessageID": "m"}'
    done = CliRunner().invoke(app, ["postmark", "-"], input=body)
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["delivered"]
