"""`warmpath mail-systems`: make mail systems follow the inventory, pauses and switches."""

from __future__ import annotations

import asyncio

import typer

import logs
import settings as configuration

app = typer.Typer(no_args_is_help=True, help="Mail systems that send from the IPs.")


@app.callback()
def systems() -> None:
    """Mail systems that send from the IPs."""


@app.command("follow")
def follow() -> None:
    """Drive the mail systems of WARMPATH_MAIL_SYSTEMS until SIGTERM; for Postfix on its own machine, as root."""
    from gate import mail_systems
    from providers.senders.port import MailSystemError
    from providers.senders.registry import mail_systems as chosen

    settings = configuration.load()
    logs.configure(settings)
    try:
        found = chosen(settings)
    except (ValueError, MailSystemError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if not found:
        typer.echo("WARMPATH_MAIL_SYSTEMS names no mail system; set it, for example to postfix.", err=True)
        raise typer.Exit(2)
    asyncio.run(mail_systems.follow(settings, found))
