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


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"\xff")
    for arguments, reason in (
        (["postmark", str(file)], "not UTF-8"),
        (["postmark", str(tmp_path / "absent")], "No such file"),
        (["nobody", str(file)], "There is no webhook"),
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2
        assert reason in done.stderr
