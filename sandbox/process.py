"""One child of the supervisor: started in its own group, watched, restarted with back-off, drained.

A child dies with its parent even when that is killed with SIGKILL (prctl PR_SET_PDEATHSIG), so that
no ``make up`` leaves a process behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

PR_SET_PDEATHSIG = 1
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
HEALTHY_SECONDS = 30.0
TRIES_BEFORE_GIVING_UP = 3
#: Size past which a log is begun anew, and seconds between looks at it.
LOG_BYTES, LOG_LOOK_SECONDS = 10_000_000, 20.0
_LIBC = ctypes.CDLL(None, use_errno=True)

Probe = Callable[[], Awaitable[bool]]


class State(StrEnum):
    """What the board shows."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class DoesNotStart(Exception):
    """A part ended again and again before it was ever ready; the message is for the operator."""


@dataclass(frozen=True)
class Part:
    """A program of the sandbox.

    Attributes:
        ready: asked until it says yes; then the part counts as running.
        link: where a person finds it, or a word on what it does.
        grace: seconds it may take to drain after SIGTERM.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe
    link: str = ""
    grace: float = 5.0


def die_with(parent: int) -> Callable[[], None]:
    """What a child runs before it becomes the program."""

    def arrange() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def last_line(log: Path) -> str:
    """The last line of a log that says something; of one of our own, the reason it gives."""
    try:
        lines = log.read_text(errors="replace")[-4000:].splitlines()
    except OSError:
        return ""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    with contextlib.suppress(ValueError):
        said = json.loads(line)
        if isinstance(said, dict) and isinstance(said.get("reason"), str):
            return str(said["reason"])
    return line


@dataclass
class Process:
    """A :class:`Part` at work."""

    part: Part
    environment: dict[str, str]
    folder: Path
    logs: Path
    changed: Callable[[Process], None] = lambda _: None
    state: State = State.WAITING
    since: float = field(default_factory=time.time)
    restarts: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _child: asyncio.subprocess.Process | None = None
    _leaving: bool = False

    @property
    def log(self) -> Path:
        """Where the part's output goes."""
        return self.logs / f"{self.part.name}.log"

    def _set(self, state: State) -> None:
        if state is not self.state:
            self.state, self.since = state, time.time()
            self.changed(self)

    async def keep_running(self) -> None:
        """Start the part and start it again whenever it ends, until :meth:`stop`.

        Raises:
            DoesNotStart: it was never ready and keeps ending.
        """
        pause, failures = FIRST_PAUSE, 0
        while not self._leaving:
            self._set(State.RESTARTING if self.restarts else State.STARTING)
            began = time.monotonic()
            await self._start()
            assert self._child is not None
            beside = [asyncio.create_task(self._watch_ready()), asyncio.create_task(self._keep_log_short())]
            try:
                await self._child.wait()
            finally:
                for task in beside:
                    task.cancel()
            if self._leaving:
                return
            if not self.ready.is_set():
                failures += 1
                if failures >= TRIES_BEFORE_GIVING_UP:
                    raise DoesNotStart(f"{self.part.name} does not start: {last_line(self.log)} (log: {self.log})")
            if time.monotonic() - began > HEALTHY_SECONDS:
                pause = FIRST_PAUSE
            self.restarts += 1
            self._set(State.RESTARTING)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _start(self) -> None:
        with self.log.open("ab") as out:
            self._child = await asyncio.create_subprocess_exec(
                *self.part.command,
                cwd=self.folder,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )

    async def _keep_log_short(self) -> None:
        """A log past its size is begun anew, and what it held goes to ``.log.1`` if the disk has room for it.

        The part holds the file open and writes at its end, wherever that is: so it is emptied, not replaced.
        """
        while True:
            with contextlib.suppress(OSError):
                if self.log.stat().st_size > LOG_BYTES:
                    with contextlib.suppress(OSError):
                        await asyncio.to_thread(shutil.copyfile, self.log, self.log.with_suffix(".log.1"))
                    os.truncate(self.log, 0)
            await asyncio.sleep(LOG_LOOK_SECONDS)

    async def _watch_ready(self) -> None:
        while not await self.part.ready():
            await asyncio.sleep(0.1)
        self.ready.set()
        self._set(State.RUNNING)

    async def stop(self) -> None:
        """Ask the part to end, insist after its grace, and wait until it is gone."""
        self._leaving = True
        child = self._child
        if child is None or child.returncode is not None:
            self._set(State.STOPPED)
            return
        self._set(State.STOPPING)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), self.part.grace)
        self._signal(signal.SIGKILL)
        await child.wait()
        self._set(State.STOPPED)

    def kill(self) -> None:
        """End the part at once (a second Ctrl-C)."""
        self._leaving = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)
