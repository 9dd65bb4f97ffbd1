"""What must be true before ``make up`` starts anything; each failure is one sentence."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO

from sandbox.environment import Ports

LEAST_FREE_BYTES = 300_000_000
LEAST_WHILE_RUNNING_BYTES = 20_000_000
DNS_PORTS = 5


class NotReady(Exception):
    """The message says what is wrong and what to do."""


def needed_binaries() -> None:
    """The Temporal server lies beside this Python.

    Raises:
        NotReady: it does not.
    """
    binary = Path(sys.executable).parent / "temporal"
    if not os.access(binary, os.X_OK):
        raise NotReady(f"The Temporal server is missing ({binary}); delete .venv and run `make up` again.")


def room_to_work(var: Path) -> None:
    """``var`` can be written and the disk has room.

    Raises:
        NotReady: it cannot, or has not.
    """
    try:
        var.mkdir(parents=True, exist_ok=True)
        probe = var / ".writable"
        try:
            probe.write_bytes(b"x" * 4096)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise NotReady(f"The folder {var} cannot be written: {error.strerror}.") from error
    free = shutil.disk_usage(var).free
    if free < LEAST_FREE_BYTES:
        raise NotReady(
            f"The disk of {var} is too full to start: {free // 1_000_000} MB are free, "
            f"{LEAST_FREE_BYTES // 1_000_000} MB are needed."
        )


def running_out(var: Path) -> str:
    """What to tell while everything runs and the disk has no room for the next change; empty while it has."""
    free = shutil.disk_usage(var).free
    if free >= LEAST_WHILE_RUNNING_BYTES:
        return ""
    return (
        f"The disk of {var} is full ({free // 1_000_000} MB are free): changes are refused and journeys stand still. "
        "Free space on it; everything goes on by itself."
    )


def only_one(var: Path) -> IO[str]:
    """A lock held while this supervisor lives; keep the answer.

    Raises:
        NotReady: another supervisor works on the same folder.
    """
    held = (var / "up.lock").open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.seek(0)
        raise NotReady(f"`make up` runs already in {var} (process {held.read().strip() or '?'}).") from error
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    return held


def free_ports(ports: Ports) -> None:
    """Every port of the sandbox can be bound.

    Raises:
        NotReady: one is taken; names it, its part and the setting.
    """
    settings = {
        "temporal": "WARMPATH_TEMPORAL_PORT", "temporal_ui": "WARMPATH_TEMPORAL_UI_PORT",
        "api": "WARMPATH_API_PORT", "console": "WARMPATH_CONSOLE_PORT", "codec": "WARMPATH_CODEC_PORT",
        "dns": "WARMPATH_SANDBOX_DNS_PORT", "smtp": "WARMPATH_SMTP_PORT",
        "vendor": "WARMPATH_SANDBOX_VENDOR_URL", "payments": "WARMPATH_SANDBOX_PAYMENTS_URL",
        "senders": "WARMPATH_SANDBOX_SENDERS_PORT", "gate_policy": "WARMPATH_GATE_POLICY_PORT",
        "gate_socketmap": "WARMPATH_GATE_SOCKETMAP_PORT", "gate_http": "WARMPATH_GATE_HTTP_PORT",
        "reports": "WARMPATH_REPORTS_PORT",
    }  # fmt: skip
    claimed: dict[int, str] = {}
    for name, port in asdict(ports).items():
        for each in range(port, port + (DNS_PORTS if name == "dns" else 1)):
            if (other := claimed.setdefault(each, name)) != name:
                raise NotReady(f"Port {each} is set for both {other} and {name}; change {settings[name]}.")
            if _taken(each):
                raise NotReady(f"Port {each} (for {name}) is used by another program; stop it or set {settings[name]}.")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
