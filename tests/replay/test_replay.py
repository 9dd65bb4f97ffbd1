"""Committed histories of the real workflows replay with today's code, converter, codec and runner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

import worker
from tests.replay.record import HISTORIES, KEYS
from workflows.client import converter

RECORDED = sorted(HISTORIES.glob("*.json"))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_committed_history_replays(file: Path) -> None:
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    replayer = Replayer(workflows=worker.WORKFLOWS, data_converter=converter(KEYS), workflow_runner=worker.RUNNER)
    await replayer.replay_workflow(history)


def test_the_journeys_are_recorded_and_sealed() -> None:
    wanted = {"purchase", "purchase_cancelled", "dns", "lifecycle_bought", "lifecycle", "warmup", "sweep", "sweep_dns"}
    assert wanted <= {file.stem for file in RECORDED}
    for file in RECORDED:
        first = json.loads(file.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
        assert all("key-id" in payload["metadata"] for payload in first["input"]["payloads"]), file.name
