"""What each workflow commands, in source order: read from the syntax tree, so that nothing runs.

``python -m tests.replay.fingerprint`` rewrites ``fingerprints.json`` after a wanted change.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = Path(__file__).with_name("fingerprints.json")

#: Calls that write a command into the history, or decide when the next one is written.
COMMANDS = frozenset(
    {
        "execute_activity", "execute_activity_method", "execute_activity_class",
        "start_activity", "start_activity_method", "start_activity_class",
        "execute_local_activity", "execute_local_activity_method",
        "start_local_activity", "start_local_activity_method",
        "execute_child_workflow", "start_child_workflow", "get_external_workflow_handle",
        "sleep", "wait_condition", "wait", "wait_for", "timeout", "gather",
        "signal", "cancel", "upsert_search_attributes", "upsert_memo", "continue_as_new",
        "patched", "deprecate_patch", "random", "uuid4",
    }
)  # fmt: skip

#: Commands whose argument is a length of time, which replay does not compare.
LENGTHS = frozenset({"sleep", "timeout"})


def _decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {ast.unparse(one).split("(")[0] for one in node.decorator_list}


def _own(call: ast.Call) -> bool:
    """Whether it calls a method of the same workflow."""
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self"


def _commands(function: ast.AST) -> list[str]:
    """Commands of a function in source order, and the own methods it awaits, which command in turn."""
    awaited = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Await)}
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    found: list[tuple[int, int, str]] = []
    for call in calls:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        if name not in COMMANDS and not (_own(call) and id(call) in awaited) and not name.startswith("_signal"):
            continue
        # The first argument says which activity, child, signal or step; how it is called may change freely.
        target = ast.unparse(call.args[0]) if call.args and name not in LENGTHS else ""
        timed = ", timeout" if name == "wait_condition" and any(k.arg == "timeout" for k in call.keywords) else ""
        said = ast.unparse(call.func) if name in COMMANDS else f"await {ast.unparse(call.func)}"
        found.append((call.end_lineno or 0, call.end_col_offset or 0, f"{said}({target}{timed})"))
    return [text for _, _, text in sorted(found, key=lambda one: one[:2])]


def of_file(file: Path) -> dict[str, dict[str, list[str]]]:
    """Commands by workflow (and base class of workflows) and method of a source file."""
    told: dict[str, dict[str, list[str]]] = {}
    tree = ast.parse(file.read_text(), str(file))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    workflows = {node.name for node in classes if "workflow.defn" in _decorators(node)}
    bases = {ast.unparse(base) for node in classes if node.name in workflows for base in node.bases}
    for node in classes:
        if node.name not in workflows | bases:
            continue
        methods = {}
        for item in node.body:
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                kinds = {name.removeprefix("workflow.") for name in _decorators(item) if name.startswith("workflow.")}
                commands = _commands(item)
                if commands or kinds:
                    methods[" ".join([*sorted(kinds), item.name])] = commands
        told[f"{file.stem}.{node.name}"] = methods
    return told


def now() -> dict[str, dict[str, list[str]]]:
    """Commands of every workflow as the source stands."""
    told: dict[str, dict[str, list[str]]] = {}
    for file in sorted((ROOT / "workflows").glob("*.py")):
        told |= of_file(file)
    return told


def write() -> None:
    """Replace the committed file."""
    COMMITTED.write_text(json.dumps(now(), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{COMMITTED.relative_to(ROOT)} is written; commit it with the change and its patch.\n")
