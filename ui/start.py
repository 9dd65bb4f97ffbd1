"""Starts the console: ``python -m ui.start`` takes what ``streamlit run`` takes beside the file to run.

What draws tables and charts takes seconds to import on a busy machine. The first operator would wait for it, so it is
imported shortly after the start.
"""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path

from streamlit.web import cli

FILE = Path(__file__).parent / "shell" / "app.py"
#: Seconds in which the server itself and what starts beside it have the processor for themselves.
PATIENCE_SECONDS = 3.0


def fetch() -> None:
    """Imports what the pages need."""
    importlib.import_module("ui.pieces.charts")


def main() -> None:
    """The command; ends with the server."""
    waiting = threading.Timer(PATIENCE_SECONDS, fetch)
    waiting.daemon = True
    waiting.start()
    sys.argv = ["streamlit", "run", str(FILE), *sys.argv[1:]]
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
