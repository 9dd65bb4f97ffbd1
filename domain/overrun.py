"""Granted against really sent: more mail than allowance is an overrun.

A mail granted today may leave tomorrow (a deferral waits in the queue), so allowance that was not
used is carried for as long as a mail system keeps trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Days a granted mail may wait in a queue (Postfix ``maximal_queue_lifetime``, default 5 days).
CARRIED_DAYS = 5


@dataclass(frozen=True)
class Booked:
    """A window of an IP: what was granted, and what was reported as attempted."""

    starts_ms: int
    granted: int
    sent: int


def overrun(windows: Sequence[Booked]) -> int:
    """Mails sent in the last window that no grant covers; windows oldest first, without gaps that sent."""
    waiting: list[int] = []  # unused allowance of the windows before, oldest first
    over = 0
    for one in windows:
        owed = one.sent
        waiting = [*waiting, one.granted][-(CARRIED_DAYS + 1) :]
        for place in range(len(waiting)):
            used = min(owed, waiting[place])
            waiting[place] -= used
            owed -= used
        over = owed
    return over
