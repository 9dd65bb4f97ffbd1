"""Ports for programs that bind them later."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

#: Below the range that the kernel takes ports of outgoing connections from: a connection in between would take one.
_FIRST, _LAST = 26_000, 32_000


def free_ports(count: int, row: int = 1) -> list[int]:
    """Free ports on loopback, no two alike.

    Args:
        row: how many are free from each on; the sandbox's DNS servers stand side by side.
    """
    starts = list(range(_FIRST, _LAST - row, row))
    random.shuffle(starts)
    found: list[int] = []
    with ExitStack() as held:
        for start in starts:
            with ExitStack() as side_by_side:
                try:
                    for port in range(start, start + row):
                        side_by_side.enter_context(socket.socket()).bind(("127.0.0.1", port))
                except OSError:
                    continue
                held.enter_context(side_by_side.pop_all())
            found.append(start)
            if len(found) == count:
                return found
    raise RuntimeError("no free ports")
