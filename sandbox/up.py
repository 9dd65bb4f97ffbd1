"""``make up``: starts everything, shows a board, keeps it running, and leaves nothing behind.

State lies in ``var/``; the next start goes on where this one stood.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console, Group
from rich.live import Live

from sandbox import migrated, parts, preflight
from sandbox.board import board
from sandbox.environment import Ports, prepare
from sandbox.process import DoesNotStart, Part, Process, State, die_with
from settings import Settings, said

ROOT = Path(__file__).resolve().parent.parent
MIGRATED = Path("sandbox") / "migrated"
DISK_SECONDS = 2.0
"""Time between looks at the disk."""
START_SECONDS = 90.0
"""A part that is not ready by then does not start; a cold disk and two busy cores are in it."""


class Supervisor:
    """Everything that one ``make up`` runs."""

    def __init__(self, settings: Settings) -> None:
        self._var = settings.var_dir.absolute()
        self._environment = prepare(settings)
        self._settings = settings
        self._ports = Ports.of(settings)
        self._logs = self._var / "logs"
        self._logs.mkdir(exist_ok=True)
        self._began = time.monotonic()
        self._headline = "Warmpath is starting ..."
        self._stop = asyncio.Event()
        self._wounded: list[str] = []
        self._full = ""
        self._screen = Console()
        self._live: Live | None = None
        self._tasks: list[asyncio.Task[None]] = []
        ports, var = self._ports, self._var
        self._waves = [
            [self._process(part) for part in wave]
            for wave in (parts.neighbours(ports, var), parts.product(ports, settings), parts.senders(ports))
        ]

    def _process(self, part: Part) -> Process:
        return Process(part, self._environment, ROOT, self._logs, changed=self._changed)

    @property
    def _processes(self) -> list[Process]:
        return [process for wave in self._waves for process in wave]

    async def run(self) -> int:
        """Run until told to stop; the answer is the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        if self._screen.is_terminal:
            self._live = Live(self._board(), console=self._screen, auto_refresh=False)
            self._live.start()
        try:
            self._tasks.append(asyncio.create_task(self._watch_disk()))
            rise = asyncio.create_task(self._rise())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([rise, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set() and rise.exception() is None:
                await stopping
            rise.cancel()
            with contextlib.suppress(asyncio.CancelledError, preflight.NotReady, DoesNotStart):
                await rise
            if rise.done() and not rise.cancelled() and (error := rise.exception()) is not None:
                self._wounded.append(str(error))
        finally:
            await self._drain()
            if self._live is not None:
                self._live.stop()
        for sentence in dict.fromkeys(self._wounded):
            print(sentence, file=sys.stderr, flush=True)
        print("Everything has stopped; `make up` goes on where it stood.", flush=True)
        return 1 if self._wounded else 0

    async def _rise(self) -> None:
        neighbours, product, senders = self._waves
        if self._is_migrated():
            # The parts wait for each other by themselves: in turns, two cores would be idle half of the time.
            await self._bootstrap_token()
            await self._start([*neighbours, *product, *senders])
        else:
            await asyncio.gather(self._start(neighbours), self._migrate())
            await self._bootstrap_token()
            await self._start([*product, *senders])
        took = time.monotonic() - self._began
        self._headline = f"Warmpath is up ({took:.1f} s)."
        self._refresh()
        if self._live is None:
            self._screen.print(self._board())
        await self._seed()

    async def _watch_disk(self) -> None:
        """Say once that the disk is full, and once that it is not any more: nothing else can be written down then."""
        while True:
            if (full := preflight.running_out(self._var)) != self._full:
                if self._live is None and bool(full) != bool(self._full):
                    print(full or "The disk has room again; everything goes on.", flush=True)
                self._full = full
                self._refresh()
            await asyncio.sleep(DISK_SECONDS)

    async def _start(self, wave: Sequence[Process]) -> None:
        for process in wave:
            self._tasks.append(asyncio.create_task(self._keep(process)))
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*(process.ready.wait() for process in wave))
        except TimeoutError:
            late = next(process for process in wave if not process.ready.is_set())
            raise DoesNotStart(f"{late.part.name} was not ready after {START_SECONDS:.0f} s; see {late.log}") from None

    async def _keep(self, process: Process) -> None:
        try:
            await process.keep_running()
        except (DoesNotStart, OSError) as error:
            self._wounded.append(str(error))
            self._stop.set()

    async def _once(self, *arguments: str) -> str:
        """Run ``python cli.py`` with the arguments; its last line is the sentence if it fails."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "cli.py", *arguments),
            cwd=ROOT,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
        output, _ = await child.communicate()
        text = output.decode(errors="replace").strip()
        if child.returncode:
            said = text.splitlines()[-1] if text else f"exit code {child.returncode}"
            raise DoesNotStart(said)
        return text

    @property
    def _database(self) -> Path | None:
        """The SQLite file of this sandbox; None for a database that others may change."""
        file = self._var / "warmpath.sqlite"
        return file if self._environment["WARMPATH_DATABASE_URL"] == f"sqlite:///{file}" else None

    def _is_migrated(self) -> bool:
        return self._database is not None and migrated.is_done(self._var / MIGRATED, self._database)

    async def _migrate(self) -> None:
        await self._once("db", "upgrade")
        if self._database is not None:
            migrated.done(self._var / MIGRATED, self._database)

    async def _bootstrap_token(self) -> None:
        if not (self._var / "operator.token").exists():
            await self._once("token", "bootstrap")

    async def _seed(self) -> None:
        if (self._var / "sandbox" / "seeded").exists():
            return
        log = self._logs / "seed.log"
        with log.open("ab") as out:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sandbox.seed"),
                cwd=ROOT,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )
            try:
                code = await child.wait()
            except asyncio.CancelledError:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
                raise
        done = "with a small fleet" if code == 0 else f"but its first fleet is incomplete (see {log})"
        self._headline = f"{self._headline[:-1]}, {done}."
        self._refresh()
        if self._live is None:
            print(self._headline, flush=True)

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            for process in self._processes:
                process.kill()
        self._headline = "Warmpath drains and stops ... (Ctrl-C again ends it at once)"
        self._stop.set()
        self._refresh()

    async def _drain(self) -> None:
        for wave in reversed(self._waves):
            await asyncio.gather(*(process.stop() for process in reversed(wave)))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _board(self) -> Group:
        url = f"http://127.0.0.1:{self._ports.console}"
        return board(self._processes, self._full or self._headline, self._var / "operator.token", url)

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._board(), refresh=True)

    def _changed(self, process: Process) -> None:
        if self._live is None and process.state is State.RESTARTING and not self._stop.is_set():
            print(f"{process.part.name} ended and is started again (see {process.log})", flush=True)
        self._refresh()


def main() -> int:
    """Check, then run; the answer is the exit code."""
    try:
        settings = Settings()
        var = settings.var_dir.absolute()
        preflight.needed_binaries()
        preflight.room_to_work(var)
        lock = preflight.only_one(var)
        preflight.free_ports(Ports.of(settings))
    except preflight.NotReady as error:
        print(error, file=sys.stderr)
        return 1
    except ValidationError as error:
        print(f"A setting is wrong: {said(error)}", file=sys.stderr)
        return 1
    with lock:
        try:
            return asyncio.run(_supervise(settings))
        except OSError as error:
            print(f"The sandbox cannot be started: {error.strerror} ({error.filename}).", file=sys.stderr)
            return 1


async def _supervise(settings: Settings) -> int:
    return await Supervisor(settings).run()


if __name__ == "__main__":
    # The Temporal client's own threads can outlive the interpreter; nothing is left to flush.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
