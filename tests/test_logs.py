"""A log that cannot be written ends nothing, and goes to standard error as it is now."""

from __future__ import annotations

import io
import logging
import sys

import pytest
import structlog

import logs
from settings import Settings


class Full(io.StringIO):
    """Standard error on a disk without room."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_ends_nobody_who_logs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(settings)
    monkeypatch.setattr(sys, "stderr", Full())
    structlog.get_logger().warning("senders.turn", reason="the API fails")
    now = io.StringIO()
    monkeypatch.setattr(sys, "stderr", now)
    structlog.get_logger().warning("senders.turn", reason="it goes on")
    assert "it goes on" in now.getvalue()


def test_a_stream_that_closed_is_not_held_on_to(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    logs.configure(settings)
    first.close()
    monkeypatch.setattr(sys, "stderr", second)
    logging.getLogger("temporalio").warning("a line of a library")
    structlog.get_logger().warning("a line of ours")
    assert "temporalio: a line of a library" in second.getvalue()
    assert "a line of ours" in second.getvalue()
