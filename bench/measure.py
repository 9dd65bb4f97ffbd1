"""What the measurements share: how a figure with its spread and the load of the machine is printed."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Median of repeated figures with the least and the most of them."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def share(values: Sequence[float], q: float) -> float:
    """The value that a share ``q`` of the values does not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def say(line: str) -> None:
    """Print one result with the load of the last minute: ratios hold under load, rates do not."""
    sys.stdout.write(f"{line} [load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores]\n")
    sys.stdout.flush()


def verdict(ratios: Sequence[float], aim: float) -> str:
    """The ratio with its spread, against the aim."""
    met = "met" if statistics.median(ratios) >= aim else "MISSED"
    return f"ratio {spread(ratios, '.2f')}, aim {aim}: {met}"
