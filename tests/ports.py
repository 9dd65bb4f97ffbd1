"""Ports for programs that bind them later; the one place where tests choose any."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack

#: Below the range that the kernel takes ports of outgoing connections from: a connection in between would take one.
_FIRST, _LAST = 20_000, 32_000
HERE = ("127.0.0.1",)
#: Given out by this process: whoever asked may not have bound it yet.
_given: set[int] = set()


def free_port(row: int = 1, hosts: Sequence[str] = HERE) -> int:
    """A free port, as :func:`free_ports`."""
    return free_ports(1, row, hosts)[0]


def free_ports(count: int, row: int = 1, hosts: Sequence[str] = HERE) -> list[int]:
    """Ports free for TCP and UDP, no two alike, and none that was given out before.

    Args:
        row: how many are free from each on; the sandbox's DNS servers stand side by side.
        hosts: addresses of loopback that they are free on.
    """
    starts = list(range(_FIRST, _LAST - row, row))
    random.shuffle(starts)
    found: list[int] = []
    for start in starts:
        ports = range(start, start + row)
        if _given.isdisjoint(ports) and _free(ports, hosts):
            _given.update(ports)
            found.append(start)
            if len(found) == count:
                return found
    raise RuntimeError("no free ports")


def _free(ports: Sequence[int], hosts: Sequence[str]) -> bool:
    with ExitStack() as held:
        try:
            for port in ports:
                for host in hosts:
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        held.enter_context(socket.socket(type=kind)).bind((host, port))
        except OSError:
            return False
    return True
