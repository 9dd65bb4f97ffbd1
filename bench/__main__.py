"""``make bench``: every measurement, one after the other; names on the command line choose some.

A measurement that fails is named and the others go on; the exit code then is 1. A missed aim is
printed as such and is no failure: load of the machine must not break a build.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from bench import events, gate, journeys, keeping, leases, listing, mail, measure, replies, startup

MEASUREMENTS: dict[str, Callable[[], Awaitable[float]]] = {
    "journeys": journeys.main,
    "events": events.main,
    "keeping": keeping.main,
    "leases": leases.main,
    "gate": gate.main,
    "mail": mail.main,
    "listing": listing.main,
    "startup": startup.main,
    "replies": replies.main,
}


def main() -> int:
    """Run the chosen measurements; the answer is the exit code."""
    chosen = sys.argv[1:] or list(MEASUREMENTS)
    unknown = [name for name in chosen if name not in MEASUREMENTS]
    if unknown:
        sys.stderr.write(f"There is no measurement {unknown[0]!r}; choose from {', '.join(MEASUREMENTS)}.\n")
        return 2
    failed = 0
    for name in chosen:
        began = time.monotonic()
        try:
            asyncio.run(_run(MEASUREMENTS[name]))
        except Exception as error:  # noqa: BLE001 - the other measurements are still wanted
            sys.stderr.write(f"{name}: failed: {type(error).__name__}: {error}\n")
            failed = 1
        measure.say(f"{name}: measured in {time.monotonic() - began:.0f} s")
    return failed


async def _run(measurement: Callable[[], Awaitable[float]]) -> None:
    await measurement()


if __name__ == "__main__":
    sys.exit(main())
