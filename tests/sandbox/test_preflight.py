"""A disk without room is one sentence, before the start and while everything runs."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from sandbox import preflight

Usage = namedtuple("Usage", "total used free")


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1_000_000_000, 1_000_000_000 - size, size))


def test_before_the_start_it_names_the_folder_and_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 272_000_000)
    with pytest.raises(preflight.NotReady, match="too full to start: 272 MB are free, 300 MB are needed"):
        preflight.room_to_work(tmp_path / "var")


def test_a_folder_without_room_for_a_byte_keeps_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(preflight.NotReady, match="cannot be written: No space left on device"):
        preflight.room_to_work(tmp_path / "var")
    assert list((tmp_path / "var").iterdir()) == []


def test_while_everything_runs_it_says_what_stands_and_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 4_000_000)
    said = preflight.running_out(tmp_path)
    assert said.startswith(f"The disk of {tmp_path} is full (4 MB are free): changes are refused")
    assert said.endswith("everything goes on by itself.")
    free(monkeypatch, 50_000_000)
    assert preflight.running_out(tmp_path) == ""
