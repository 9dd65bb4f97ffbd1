"""Writes ``docs/configuration.md`` from :data:`settings.GROUPS`; ``make docs`` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from settings import GROUPS

TARGET = ROOT / "docs" / "configuration.md"
HEAD = """# Configuration

Generated from `settings.py` by `make docs`; a test fails when it is out of date.

Every setting is an environment variable. The sandbox (`make up`) needs none: what it sets is in
`sandbox/environment.py`, and a variable that you set wins. The `live` profile refuses to start with
parts that are only safe in the sandbox and names the setting.

Defaults name their source. Most are published: Amazon SES, Gmail, Microsoft SNDS, SendGrid, SparkPost and Mailtrap on
their own pages, the statistics in the papers named by author and year. Two are not: the *requirements* are what
Warmpath was asked to do, and the *operator's IP guide* is the working practice of the operator it was made for. What
follows from one of these two alone is a choice that fits that operator; set it to what fits you.
"""
TABLE = "\n## {}\n\n| setting | default | meaning |\n|---|---|---|\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == () or value == "":
        return "-"
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, tuple):
        value = ",".join(str(part) for part in value)
    return f"`{value}`"


def render() -> str:
    """The whole document."""
    return HEAD + "".join(_table(group) for group in GROUPS)


def _table(group: type[BaseModel]) -> str:
    rows = [_row(name, field) for name, field in group.model_fields.items()]
    return TABLE.format((group.__doc__ or "").removesuffix(".")) + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `WARMPATH_{name.upper()}` | {_default(field)} | {meaning} |"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render())
