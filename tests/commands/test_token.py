"""`warmpath token`: a token that an operator makes from a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import select

from domain.words import Role
from settings import Settings
from store import accounts
from store.database import Database
from store.tables.accounts import Audit

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
async def test_a_token_made_from_a_shell_stands_in_the_audit(db: Database, settings: Settings, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "cli.py", "token", *arguments],
            cwd=ROOT,
            capture_output=True,
            env={
                "PATH": os.environ["PATH"], "LOGNAME": "ada",
                "WARMPATH_DATABASE_URL": settings.database_url, "WARMPATH_VAR_DIR": str(tmp_path),
            },
            check=True,
            text=True,
            timeout=60,
        ).stdout.strip()  # fmt: skip

    texts = [run("create", "a screen", "--role", "viewer", "--reason", "the wall")]
    run("bootstrap")
    texts.append((tmp_path / "operator.token").read_text().strip())
    async with db.read() as session:
        made = [await accounts.find_token(session, text) for text in texts]
        lines = (await session.exec(select(Audit).order_by(Audit.id))).all()  # type: ignore[arg-type]
    assert [one and (one.name, one.role) for one in made] == [("a screen", Role.VIEWER), ("first operator", Role.ADMIN)]
    assert [(one.who, one.what, one.target, one.after) for one in lines] == [
        ("ada (command line)", "token.create", one.name, {"role": one.role, "id": one.id}) for one in made if one
    ]
    assert [one.why for one in lines] == ["the wall", ""]
    assert not any(text.partition("_")[2].partition("_")[2] in str(lines) for text in texts), "nothing of the secret"


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["n", "--reason", "r" * 501], "reason: it has 501 characters; 500 at most."),
        (["n", "--reason", "a\x1b[2J"], "reason: there is a control character (U+001B)"),
        ([""], "name: it is empty; say whose token it is"),
        (["  "], "name: it is empty; say whose token it is"),
        (["n" * 101], "name: it has 101 characters; 100 at most."),
        (["a\x1b[2J"], "name: there is a control character (U+001B)"),
        (["a\udcff"], "name: there is half of a character"),
    ],
)
async def test_what_the_audit_cannot_say_makes_no_token(
    db: Database, settings: Settings, tmp_path: Path, given: list[str], said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "cli.py", "token", "create", *given],
        cwd=ROOT,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "WARMPATH_DATABASE_URL": settings.database_url},
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(said), ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    async with db.read() as session:
        assert (await accounts.list_tokens(session, limit=10))[0] == []
