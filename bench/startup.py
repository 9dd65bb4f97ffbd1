"""Time of a cold and of a warm ``make up``, and the memory of each process: ``python -m bench.startup``.

Cold is an empty ``var/``; the environment is installed already, as downloading measures the network.
Time runs from the command to "Warmpath is up"; the first fleet is ordered after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from bench import measure

WAIT_SECONDS, AIM_SECONDS = 120.0, 10.0
#: What tells a process of the sandbox by its command line, and its name here.
NAMES = (
    ("worker.py", "worker"),
    ("-m gate", "gate"),
    ("api.app", "API"),
    ("streamlit", "console"),
    ("api.codec_server", "codec server"),
    ("start-dev", "Temporal server"),
    ("sandbox.dns", "sandbox DNS"),
    ("sandbox.smtp", "sandbox SMTP"),
    ("sandbox.vendor", "sandbox vendor"),
    ("sandbox.payments", "sandbox payments"),
    ("sandbox.senders", "sandbox senders"),
    ("sandbox.up", "supervisor"),
)


def _environment(var: Path) -> dict[str, str]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(13)]
        free = [one.getsockname()[1] for one in held]
    names = (
        "API", "CONSOLE", "CODEC", "TEMPORAL", "TEMPORAL_UI", "SMTP", "SANDBOX_SENDERS", "GATE_POLICY",
        "GATE_SOCKETMAP", "GATE_HTTP", "REPORTS",
    )  # fmt: skip
    ports = {f"WARMPATH_{name}_PORT": str(port) for name, port in zip(names, free, strict=False)}
    # As the Makefile does: without compiled packages a start measures Python's compiler.
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **outside,
        **ports,
        "WARMPATH_SANDBOX_DNS_PORT": str(_five_in_a_row()),
        "WARMPATH_VAR_DIR": str(var),
        "WARMPATH_SANDBOX_VENDOR_URL": f"http://127.0.0.1:{free[11]}",
        "WARMPATH_SANDBOX_PAYMENTS_URL": f"http://127.0.0.1:{free[12]}",
        "PYTHONUNBUFFERED": "1",
    }


def _five_in_a_row() -> int:
    """The first of five free ports, for the name servers and resolvers."""
    for first in range(20_053, 30_000, 10):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + 5):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise OSError("no five free ports in a row")


async def _start(environment: dict[str, str]) -> tuple[float, dict[str, float]]:
    """Seconds until it is up, and resident megabytes of each process; everything is stopped again."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox.up", env=environment, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while "Warmpath is up" not in said:
                line = (await process.stdout.readline()).decode(errors="replace")
                if not line:
                    raise RuntimeError(f"make up ended: {said[-500:]}")
                said += line
        took = time.perf_counter() - began
        return took, _memory(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def _memory(root: int) -> dict[str, float]:
    """Resident megabytes of a process and its descendants, by the names above."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    family, grown = {root}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    found: dict[str, float] = {}
    for one in family:
        with contextlib.suppress(OSError, StopIteration):
            command = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
            name = next((name for part, name in NAMES if part in command), command.split("/")[-1][:20] or "other")
            status = Path(f"/proc/{one}/status").read_text()
            resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
            found[name] = found.get(name, 0.0) + int(resident.split()[1]) / 1024
    return found


async def main() -> float:
    """Print both times and the memory; answers the warm time in seconds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = _environment(Path(folder))
        cold, _ = await _start(environment)
        warm, memory = await _start(environment)
    met = "met" if warm < AIM_SECONDS else "MISSED"
    measure.say(f"make up: cold {cold:.1f} s, warm {warm:.1f} s, aim warm < {AIM_SECONDS:.0f} s: {met}")
    listed = ", ".join(f"{name} {size:.0f}" for name, size in sorted(memory.items(), key=lambda one: -one[1]))
    measure.say(f"memory (MB resident, after a warm start): {listed}; together {sum(memory.values()):.0f}")
    return warm


if __name__ == "__main__":
    asyncio.run(main())
