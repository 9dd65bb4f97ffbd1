"""`warmpath reply`: what a mail server's reply means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import settings as configuration
from commands import lines
from domain import replies
from domain.refusals import Refused

app = typer.Typer(no_args_is_help=True, help="Replies of mail servers.")


def use_rules() -> None:
    """Take the installation's own rules, if it has any.

    Raises:
        typer.Exit: a rule file is wrong (code 3).
    """
    try:
        replies.use(configuration.load().reply_rules_dir)
    except Refused as error:
        typer.echo(f"WARMPATH_REPLY_RULES_DIR: {error.detail}", err=True)
        raise typer.Exit(3) from None


@app.command("classify")
def classify(
    file: Annotated[Path | None, typer.Argument(help="A reply a line; without it standard input is read.")] = None,
    provider: Annotated[str, typer.Option(help="Whose replies they are, when they do not tell themselves.")] = "",
) -> None:
    """Say what replies mean: a reply a line in, a JSON object a line out.

    Exit code 0 when every line was answered (an empty line too), 2 when the input cannot be read or no
    rule knows the provider, 3 when a rule
    file of WARMPATH_REPLY_RULES_DIR is wrong.
    """
    use_rules()
    try:
        told = replies.speaker(provider)
    except Refused as error:
        typer.echo(f"--provider: {error.detail}", err=True)
        raise typer.Exit(2) from None
    for line in lines.read(file):
        lines.write(shown(replies.classify(line, told)))


def shown(reply: replies.Reply) -> dict[str, object]:
    """A reply as scripts see it."""
    return reply.model_dump(mode="json", by_alias=True)
