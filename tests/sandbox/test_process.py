"""A part that dies is started again; nothing outlives its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import preflight
from sandbox import process as supervising
from sandbox.environment import Ports
from sandbox.process import DoesNotStart, Part, Process, State
from tests.ports import free_port, free_ports

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = "import pathlib, sys, os, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"


def sleeper(pid_file: Path) -> Part:
    async def ready() -> bool:
        return bool(pid_file.exists() and pid_file.read_text())

    return Part("sleeper", (sys.executable, "-c", SLEEPER, str(pid_file)), ready)


def process_of(part: Part, folder: Path) -> Process:
    return Process(part, dict(os.environ), folder, folder)


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_a_part_that_was_killed_is_started_again(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    process = process_of(sleeper(file), tmp_path)
    kept = asyncio.create_task(process.keep_running())
    await until(process.ready.is_set)
    first = int(file.read_text())
    os.kill(first, signal.SIGKILL)
    await until(lambda: file.read_text() not in ("", str(first)))
    await until(lambda: process.state is State.RUNNING)
    assert process.restarts == 1
    second = int(file.read_text())
    await process.stop()
    await kept
    assert gone(second)
    assert process.state is State.STOPPED


async def test_a_log_that_grew_is_begun_anew_while_its_part_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOG_BYTES", 20_000)
    monkeypatch.setattr(supervising, "LOG_LOOK_SECONDS", 0.02)
    talker = "import itertools, time\nfor n in itertools.count(): print(n, 'x' * 100, flush=True); time.sleep(0.0005)"

    async def ready() -> bool:
        return True

    process = process_of(Part("talker", (sys.executable, "-c", talker), ready), tmp_path)
    kept = asyncio.create_task(process.keep_running())
    before = tmp_path / "talker.log.1"
    try:
        await until(before.exists)
        first = before.stat().st_mtime_ns
        await until(lambda: before.stat().st_mtime_ns != first)
        await until(lambda: process.log.stat().st_size > 0)
        assert process.log.read_bytes()[:1].isdigit(), "it begins with a line, not with a hole"
        assert process.restarts == 0
    finally:
        await process.stop()
        await kept
    assert process.log.stat().st_size + before.stat().st_size < 200_000


async def test_a_part_that_never_starts_is_given_up_with_its_own_last_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    part = Part("broken", (sys.executable, "-c", "raise SystemExit('port 1 is taken')"), never)
    with pytest.raises(DoesNotStart, match="broken does not start: port 1 is taken"):
        await process_of(part, tmp_path).keep_running()


async def test_a_part_that_ignores_sigterm_is_ended_after_its_grace(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER
    part = Part("stubborn", (sys.executable, "-c", stubborn, str(file)), sleeper(file).ready, grace=0.3)
    process = process_of(part, tmp_path)
    kept = asyncio.create_task(process.keep_running())
    await until(process.ready.is_set)
    await process.stop()
    await kept
    assert gone(int(file.read_text()))


async def test_a_killed_supervisor_leaves_no_part_behind(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests" / "sandbox")!r}]
from test_process import process_of, sleeper
from tests.ports import free_port, free_ports
folder = pathlib.Path({str(tmp_path)!r})
asyncio.run(process_of(sleeper(folder / "pid"), folder).keep_running())
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    file = tmp_path / "pid"
    try:
        await until(lambda: file.exists() and bool(file.read_text()))
        pid = int(file.read_text())
    finally:
        supervisor.kill()
        await supervisor.wait()
    await until(lambda: gone(pid))


def ports(taken: int) -> Ports:
    others = ("console", "codec", "temporal", "temporal_ui", "smtp", "vendor", "payments", "senders")
    names = (*others, "gate_policy", "gate_socketmap", "gate_http", "reports")
    return Ports(api=taken, dns=free_port(row=5), **dict(zip(names, free_ports(len(names)), strict=True)))


def test_a_busy_port_is_one_sentence_with_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(preflight.NotReady, match=rf"^Port {port} \(for api\) is used .* WARMPATH_API_PORT\.$"):
            preflight.free_ports(ports(port))


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "LEAST_FREE_BYTES", 10**18)
    with pytest.raises(preflight.NotReady, match=r"^The disk of .* is too full to start: \d+ MB are free"):
        preflight.room_to_work(tmp_path)


def test_a_missing_temporal_server_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(preflight.NotReady, match="^The Temporal server is missing"):
        preflight.needed_binaries()


def test_a_second_supervisor_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with preflight.only_one(tmp_path), pytest.raises(preflight.NotReady, match="runs already"):
        preflight.only_one(tmp_path)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"event": "worker cannot run", "reason": "there is no vendor"}\n\n', "there is no vendor"),
        ("a line\nOSError: no\n", "OSError: no"),
        ("7\n", "7"),
        ("", ""),
    ],
)
def test_the_reason_of_a_part_that_ends_is_a_sentence(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "worker.log").write_text(written)
    assert supervising.last_line(tmp_path / "worker.log") == said
