"""`warmpath bounce`: what a mail that came back means."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

import settings as configuration
from commands import lines
from commands.reply import shown, use_rules
from domain import reports
from domain.reports import counting

app = typer.Typer(no_args_is_help=True, help="Mail that came back: bounces, delays, complaints.")


@app.command("parse")
def parse(
    files: Annotated[list[Path], typer.Argument(help="Files of one mail each, or - for standard input.")],
) -> None:
    """Say what reports mean: a JSON object a line for each file and recipient.

    A file that reports nothing still has one object, whose `kind` is `autoreply`, `receipt` or `other`; one that cannot
    be read has `kind` `unreadable` with a `reason`. Exit code 0 when every file was read, 1 when one was not, 3 when
    a rule file of WARMPATH_REPLY_RULES_DIR is wrong.
    """
    use_rules()
    unread = False
    for file in files:
        for answer in _answers(file):
            unread |= answer["kind"] == "unreadable"
            lines.write(answer)
    if unread:
        raise typer.Exit(1)


@app.command("listen")
def listen() -> None:
    """Take reports by mail: SMTP or LMTP on WARMPATH_REPORTS_PORT, and from WARMPATH_REPORTS_DIR."""
    from api.mail import service

    raise typer.Exit(asyncio.run(service.run(configuration.load())))


def _answers(file: Path) -> list[dict[str, Any]]:
    name = str(file)
    try:
        raw = typer.get_binary_stream("stdin").read() if name == "-" else file.read_bytes()
    except OSError as error:
        return [_unreadable(name, f"cannot be read: {error.strerror}")]
    if not raw.strip(b"\0\r\n\t "):
        return [_unreadable(name, "is empty")]
    report = reports.read(raw)
    if report.reason:
        return [_unreadable(name, report.reason)]
    return [{"file": name, **one} for one in rows(report)]


def _unreadable(name: str, reason: str) -> dict[str, Any]:
    return {"file": name, "kind": "unreadable", "recipient": "", **_NOTHING, "reason": reason}


_NOTHING: dict[str, Any] = {"class": None, "hard": False, "ip_event": False, "reply": ""}


def rows(report: reports.Report) -> list[dict[str, Any]]:
    """A report as scripts see it: an object a recipient, at least one."""
    told = {"format": report.format.value, "message_id": report.original.message_id}
    if report.feedback is not None:
        feedback = report.feedback
        kind = counting.feedback_kind(feedback)
        more = {"feedback_type": feedback.type, "source_ip": feedback.source_ip}
        return [
            {"kind": kind, "recipient": one, **_NOTHING, "class": feedback.type or None, **told, **more}
            for one in report.recipients or ("",)
        ]
    answers = []
    for outcome in report.outcomes:
        reply = shown(outcome.reply)
        answers.append(
            {
                "kind": counting.outcome_kind(outcome),
                "recipient": outcome.recipient,
                **{name: reply[name] for name in ("class", "hard", "ip_event")},
                "reply": outcome.text,
                "action": outcome.action.value,
                **{name: reply[name] for name in ("object", "provider", "retry", "rule", "code", "status", "remote")},
                **told,
            }
        )
    return answers or [{"kind": report.format.value, "recipient": "", **_NOTHING, **told}]
