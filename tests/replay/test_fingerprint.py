"""A change of what a workflow commands is seen before it reaches a workflow that runs since last month."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from tests.replay import fingerprint

EXPLANATION = """
The commands of {name} changed (committed: -, source: +):

{difference}

A workflow that runs now was recorded with the old commands; replayed by the new code it fails with a
non-determinism error and its IP or order stands still. Do one of these:

1. Keep the old way for runs that are under way:

       if workflow.patched("say-what-changed"):
           ...  # the new commands
       else:
           ...  # the old commands, until no such run is open; then workflow.deprecate_patch

2. If nothing of it can be running (a new workflow, a release not yet made, only names of variables), go on.

Then write the new fingerprint, and commit it with the change:

    python -m tests.replay.fingerprint

and record the histories anew if the workflow was never released, or add one beside them if it was:

    python -m tests.replay.record
"""


def lines(methods: dict[str, list[str]]) -> list[str]:
    """A fingerprint as text, a command a line."""
    return [line for name, commands in methods.items() for line in (f"{name}:", *(f"    {one}" for one in commands))]


def explain(committed: dict[str, dict[str, list[str]]], source: dict[str, dict[str, list[str]]]) -> str:
    """What differs and what to do, or nothing."""
    said = []
    for name in sorted(committed | source):
        before, after = lines(committed.get(name, {})), lines(source.get(name, {}))
        if before != after or (name in committed) != (name in source):
            difference = "\n".join(difflib.unified_diff(before, after, lineterm="", n=2))
            said.append(EXPLANATION.format(name=name, difference=difference))
    return "\n".join(said)


def test_every_workflow_commands_what_was_committed() -> None:
    trouble = explain(json.loads(fingerprint.COMMITTED.read_text()), fingerprint.now())
    assert not trouble, trouble


def test_another_order_of_commands_is_seen_and_explained(tmp_path: Path) -> None:
    source = (fingerprint.ROOT / "workflows" / "purchase.py").read_text()
    first = 'await self._step("provision", PurchaseActivities.provision, step)'
    second = 'await self._step("capture payment", PurchaseActivities.capture, step)'
    assert source.index(first) < source.index(second)
    file = tmp_path / "purchase.py"
    file.write_text(source.replace(first, "...").replace(second, first).replace("...\n", f"{second}\n", 1))
    said = explain(fingerprint.of_file(fingerprint.ROOT / "workflows" / "purchase.py"), fingerprint.of_file(file))
    assert "workflow.patched" in said
    assert "python -m tests.replay.fingerprint" in said


def test_a_word_in_a_summary_is_no_command(tmp_path: Path) -> None:
    source = (fingerprint.ROOT / "workflows" / "warmup.py").read_text()
    file = tmp_path / "warmup.py"
    file.write_text(source.replace("Close day", "Finish day"))
    assert explain(fingerprint.of_file(fingerprint.ROOT / "workflows" / "warmup.py"), fingerprint.of_file(file)) == ""
