"""`warmpath postfix`: what Postfix needs to know of the IPs."""

from __future__ import annotations

import asyncio
import time
import zoneinfo
from pathlib import Path
from typing import Annotated

import typer

import settings as configuration

app = typer.Typer(no_args_is_help=True, help="Postfix: one transport an IP, and what its log says.")


@app.command("render")
def render(
    into: Annotated[
        Path | None, typer.Option(help="Folder for `main.cf.warmpath` and `master.cf.warmpath`; else they are printed.")
    ] = None,
) -> None:
    """Write the fragments for main.cf and master.cf; append them, then `postfix reload`."""
    from domain.refusals import Refused
    from gate.mail_systems import read_sources
    from providers.senders import postfix

    chosen = configuration.load()
    host = "127.0.0.1" if chosen.gate_host in ("0.0.0.0", "::") else chosen.gate_host
    main = postfix.main_cf(host, chosen.gate_policy_port, chosen.gate_socketmap_port)
    try:
        sources = asyncio.run(read_sources(chosen, round(time.time() * 1000)))
        master = postfix.master_cf(sources, source_header=chosen.postfix_source_header)
    except Refused as refusal:
        typer.echo(refusal.detail, err=True)
        raise typer.Exit(1) from refusal
    if into is None:
        typer.echo(main + "\n" + master, nl=False)
        return
    into.mkdir(parents=True, exist_ok=True)
    (into / "main.cf.warmpath").write_text(main)
    (into / "master.cf.warmpath").write_text(master)


@app.command("follow-log")
def follow_log(
    file: Annotated[Path, typer.Argument(help="Where Postfix's log is written: /var/log/mail.log, or `maillog_file`.")],
    from_start: Annotated[
        bool, typer.Option("--from-start", help="The first time, book what is in the file already, too.")
    ] = False,
    time_zone: Annotated[
        str, typer.Option(help="Of stamps without an offset, such as Europe/Berlin; else that of this machine.")
    ] = "",
) -> None:
    """Book what Postfix's log says of deliveries, until SIGTERM; started again, it goes on where it was.

    Exit code 1 when the log is followed already, 2 when it cannot be read, 3 when a rule file is wrong.
    """
    from api.postfix_log import service

    try:
        zone = zoneinfo.ZoneInfo(time_zone) if time_zone else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        typer.echo(f"--time-zone: {time_zone!r} is no time zone that this machine knows.", err=True)
        raise typer.Exit(2) from None
    chosen = configuration.load()
    raise typer.Exit(asyncio.run(service.run(chosen, file, from_start=from_start, zone=zone)))
