"""`warmpath webhook`: what the product makes of what other systems post."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Annotated

import typer

from commands import lines
from domain.events import MailEvent, storable

app = typer.Typer(no_args_is_help=True, help="Webhooks of mail systems and monitors.")


@app.command("normalise")
def normalise(
    source: Annotated[str, typer.Argument(help="Its name in the address: ses, sendgrid, mailgun, ...; mail; postfix.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="A body as posted, or - for standard input; its signature is not looked at. "
            "Mail: a report; postfix: a log."
        ),
    ],
) -> None:
    """Print the events that would be stored for a body, a JSON object a line; nothing is stored.

    Exit code 0 when the body was read (even when it holds no event), 2 when it or the file cannot be.
    """
    from api import postfix_log
    from api.mail import reported
    from api.webhooks.reading import Rejected  # the other commands do not need the API's parts
    from api.webhooks.registry import known
    from commands.reply import use_rules

    use_rules()
    try:
        body = typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
        beside = {"mail": reported.normalise, "postfix": postfix_log.normalise}
        read = beside.get(source) or known(source, tuple(beside)).normalise
        found = read(body, time.time())
    except OSError as error:
        typer.echo(f"{file}: {error.strerror}.", err=True)
        raise typer.Exit(2) from None
    except Rejected as refusal:
        typer.echo(refusal.detail, err=True)
        raise typer.Exit(2) from None
    for one in found:
        lines.write({name: storable(told) if isinstance(told, str) else told for name, told in shown(one).items()})


def shown(event: MailEvent) -> dict[str, object]:
    """An event as scripts see it; `class` is null where there was no reply to read."""
    at = dt.datetime.fromtimestamp(event.at_ms / 1000, dt.UTC)
    return {
        "event": event.kind.value,
        "event_id": event.event_id,
        "recipient": event.recipient,
        "occurred_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "class": event.reply_class or None,
        "reply": event.detail,
        "counted": event.counted,
        "local": event.local,
        "ip": event.address or event.bound_address or None,
        "provider": event.provider.value,
        "sender": event.sender,
        "campaign": event.campaign,
        "message_id": event.message_id,
    }
