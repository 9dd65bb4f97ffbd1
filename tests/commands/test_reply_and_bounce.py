"""`warmpath reply classify` and `warmpath bounce parse`, as a script uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DSN = """From: MAILER-DAEMON@mx.example
Content-Type: multipart/report; boundary=b

--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; dead@a.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

Final-Recipient: rfc822; late@a.example
Action: delayed
Status: 4.4.1

--b--
"""


def run(*arguments: object, given: bytes = b"", **settings: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the objects of standard output, and standard error."""
    done = subprocess.run(
        [sys.executable, "cli.py", *map(str, arguments)],
        cwd=ROOT,
        input=given,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin", **settings},
        check=False,
        timeout=60,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_an_object_for_each_line_in_their_order(tmp_path: Path) -> None:
    lines = b"550 5.1.1 no such user\r\n\n421 4.7.0 [TSS04] Messages from 198.51.100.7 deferred\n\xff\xfe\n"
    code, answers, _ = run("reply", "classify", given=lines)
    assert code == 0
    assert [one["class"] for one in answers] == ["unknown_user", "other", "ip_throttled", "other"]
    needed = {"class", "ip_event", "object", "provider", "retry", "rule"}
    assert all(needed <= one.keys() for one in answers)
    (tmp_path / "replies").write_bytes(lines)
    assert run("reply", "classify", tmp_path / "replies")[1] == answers


def test_input_that_is_not_there_and_rules_that_are_wrong(tmp_path: Path) -> None:
    code, answers, said = run("reply", "classify", tmp_path / "gone")
    assert (code, answers) == (2, [])
    assert "gone" in said
    code, answers, said = run("reply", "classify", "--provider", "hotmial", given=b"x\n")
    assert (code, answers) == (2, [])
    assert "--provider: No rule knows the provider 'hotmial'; leave it out, or choose from aliyun, apple" in said
    assert run("reply", "classify", "--provider", "Yahoo", given=b"x\n")[1][0]["provider"] == "yahoo"
    (tmp_path / "a.toml").write_text("[[rule]")
    code, answers, said = run("reply", "classify", given=b"x\n", WARMPATH_REPLY_RULES_DIR=str(tmp_path))
    assert (code, answers) == (3, [])
    assert "a.toml" in said


def test_an_object_for_each_recipient_and_file(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_text(DSN)
    (tmp_path / "b.eml").write_text("From: a@a.example\nSubject: Out of office\n\nI am away.\n")
    (tmp_path / "c.eml").write_bytes(b"\x89PNG")
    files = [tmp_path / name for name in ("a.eml", "b.eml", "c.eml", "d.eml")]
    code, answers, _ = run("bounce", "parse", *files)
    assert code == 1
    assert [(Path(one["file"]).name, one["kind"], one["recipient"]) for one in answers] == [
        ("a.eml", "bounced", "dead@a.example"),
        ("a.eml", "deferred", "late@a.example"),
        ("b.eml", "autoreply", ""),
        ("c.eml", "unreadable", ""),
        ("d.eml", "unreadable", ""),
    ]
    needed = {"file", "kind", "recipient", "class", "hard", "ip_event", "reply"}
    assert all(needed <= one.keys() for one in answers)
    assert [one["hard"] for one in answers] == [True, False, False, False, False]
    assert all(one["reason"] for one in answers[3:])
    code, answers, _ = run("bounce", "parse", "-", given=DSN.encode())
    assert (code, len(answers)) == (0, 2)
