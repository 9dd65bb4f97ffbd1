"""Imports only point down (docs/architecture.md); read from the syntax trees, so nothing runs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

ROOT = Path(__file__).resolve().parents[1]

ALLOWED: dict[str, set[str]] = {
    "domain": {"domain"},
    "settings": set(),
    "logs": {"settings"},
    "providers": {"providers", "domain", "settings"},
    "store": {"store", "domain", "settings"},
    "activities": {"activities", "providers", "store", "domain", "settings"},
    "workflows": {"workflows", "activities", "domain", "settings"},
    "gate": {"gate", "providers", "store", "domain", "settings", "logs"},
    "sandbox": {"sandbox", "providers", "store", "domain", "settings", "logs"},
    "api": {"api", "workflows", "activities", "providers", "store", "domain", "settings", "logs"},
    "ui": {"ui"},
    "commands": {
        "commands",
        "api",
        "gate",
        "workflows",
        "activities",
        "providers",
        "store",
        "domain",
        "settings",
        "logs",
    },
}
"""What each room may import of ours."""

CLIENTS_OF_WORKFLOWS = {"workflows/client.py", "workflows/codec.py"}
"""Platform files of the workflow floor that no workflow imports: they read keys, so they see the store's crypto."""

OUTSIDE_OF_DOMAIN = {"pydantic", "typing_extensions"}
"""What the pure rules may use beside the standard library."""

ROOMS = {*ALLOWED, "cli", "worker", "bench"}


def imports(file: Path) -> list[tuple[int, str]]:
    """Line and full module name of every import, those inside functions too."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level
            found.append((node.lineno, prefix + (node.module or "")))
    return found


def files_of(room: str) -> list[Path]:
    """The source files of a room."""
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_point_down(room: str) -> None:
    wrong = []
    for file in files_of(room):
        name = str(file.relative_to(ROOT))
        allowed = ALLOWED[room] | ({"store"} if name in CLIENTS_OF_WORKFLOWS else set())
        for line, module in imports(file):
            top = module.split(".")[0]
            if module.startswith("."):
                wrong.append(f"{name}:{line} imports relatively; write the full name")
            elif top in ROOMS and top not in allowed:
                wrong.append(f"{name}:{line} imports {module}; {room}/ may import {sorted(allowed)}")
    assert not wrong, "\n".join(wrong)


def test_domain_uses_the_standard_library_and_pydantic_only() -> None:
    known = set(sys.stdlib_module_names) | OUTSIDE_OF_DOMAIN | {"domain"}
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files_of("domain")
        for line, module in imports(file)
        if module.split(".")[0] not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_workflows_never_import_tables() -> None:
    """A table class in a workflow file stops the worker."""
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files_of("workflows")
        for line, module in imports(file)
        if module.split(".")[0] in {"sqlmodel", "sqlalchemy"} or module.startswith("store.tables")
    ]
    assert not wrong, "\n".join(wrong)


def test_migrations_follow_one_another() -> None:
    """Two that follow the same one are a fork: no installation could be upgraded."""
    scripts = ScriptDirectory(str(ROOT / "store" / "migrations"))
    numbers = sorted(file.name[:4] for file in (ROOT / "store" / "migrations" / "versions").glob("[0-9]*.py"))
    assert len(scripts.get_heads()) == 1
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
