"""The status board of ``make up``: what runs, where it is, and what to do first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sandbox.process import Process, State

COLOURS = {
    State.WAITING: "dim",
    State.STARTING: "yellow",
    State.RUNNING: "green",
    State.RESTARTING: "red",
    State.STOPPING: "yellow",
    State.STOPPED: "dim",
}


def board(processes: Sequence[Process], headline: str, token: Path, console_url: str) -> Group:
    """The board as it stands now."""
    table = Table(expand=False, box=None, pad_edge=False)
    for column in ("part", "state", "since", "restarts", "where"):
        table.add_column(column, overflow="fold")
    for process in processes:
        table.add_row(
            process.part.name,
            Text(process.state, style=COLOURS[process.state]),
            dt.datetime.fromtimestamp(process.since).strftime("%H:%M:%S"),
            str(process.restarts or ""),
            process.part.link,
        )
    footer = Text.assemble(
        ("Console ", "bold"), console_url, "   ",
        ("Token ", "bold"), f"in {token}   ",
        ("Next ", "bold"), "make demo   ", ("Stop ", "bold"), "Ctrl-C",
    )  # fmt: skip
    return Group(Text(headline, style="bold"), table, footer)
