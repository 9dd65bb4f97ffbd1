"""What commands that answer in JSON lines share: where input comes from, how a line goes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer


def read(file: Path | None) -> Iterator[str]:
    """Lines of a file or of standard input, whatever their bytes, without their ends.

    Raises:
        typer.Exit: the file cannot be read (code 2).
    """
    try:
        source = file.open("rb") if file is not None and str(file) != "-" else sys.stdin.buffer
        with source as opened:
            for line in opened:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
    except OSError as error:
        typer.echo(f"{file}: cannot be read: {error.strerror}.", err=True)
        raise typer.Exit(2) from None


def write(answer: Mapping[str, Any]) -> None:
    """One JSON object on a line of standard output, at once: whoever asks line by line waits for it."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()
