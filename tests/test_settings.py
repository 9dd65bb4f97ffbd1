"""A wrong setting ends any program with one sentence that names it, and shows no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings import Profile, Settings

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


#: A live installation that may start, and what is taken from it or put into it.
LIVE = {
    "profile": "live", "ip_vendors": "inventory", "payments": "stripe", "secret_keys": "k:c2VjcmV0",
    "day_seconds": 86_400,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ip_vendors": "inventory,sandbox"}, "WARMPATH_IP_VENDORS"),
        ({"payments": "sandbox"}, "WARMPATH_PAYMENTS"),
        ({"secret_keys": ""}, "WARMPATH_SECRET_KEYS"),
        ({"day_seconds": 8}, "WARMPATH_DAY_SECONDS"),
        ({"dns_publisher": "bind"}, "WARMPATH_DNS_PUBLISHER: no 'bind'"),
        ({"dns_publisher": "rfc2136"}, "WARMPATH_DNS_TSIG_SECRET"),
        ({"event_days": 40}, "WARMPATH_EVENT_DUPLICATE_DAYS"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_a_live_installation_starts_with_nothing_that_is_only_safe_in_the_sandbox(
    given: dict[str, object], words: str
) -> None:
    assert Settings.model_validate(LIVE).profile is Profile.LIVE
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate(LIVE | given)
