"""State of a sandbox program: one JSON file, replaced as a whole so that a kill leaves old or new."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def file_in(state: Path, name: str) -> Path:
    """The file to keep: ``state`` itself when it names a JSON file, else ``state/name``."""
    return state if state.suffix == ".json" else state / name


def load(file: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """What was kept, or ``fresh``."""
    return {**fresh, **json.loads(file.read_text())} if file.exists() else fresh


def keep(file: Path, content: dict[str, Any]) -> None:
    """Write before the answer goes out; on return a restart finds it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    with draft.open("w") as out:
        json.dump(content, out)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
