"""A wrong setting ends any program with one sentence that names it, and shows no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECRET = "sk_live_nobody_may_read_this"


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("PROFILE", "live", "WARMPATH_IP_VENDORS: `sandbox` sells no real addresses"),
        ("DAY_SECONDS", "soon", "WARMPATH_DAY_SECONDS: Input should be a valid number"),
        (
            "DATABASE_URL",
            f"mysql://{SECRET}@host/x",
            "WARMPATH_DATABASE_URL: give `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
        ),
    ],
)
@pytest.mark.parametrize("program", [("worker.py",), ("cli.py", "db", "upgrade")], ids=["worker", "cli"])
def test_a_wrong_setting(program: tuple[str, ...], setting: str, value: str, words: str) -> None:
    environment = {**os.environ, "WARMPATH_STRIPE_API_KEY": SECRET, f"WARMPATH_{setting}": value}
    ran = subprocess.run(
        [sys.executable, *program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"A setting is wrong: {words}")
    assert ran.stderr.count("\n") == 1
    assert SECRET not in ran.stderr + ran.stdout
