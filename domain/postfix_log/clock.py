"""When a line was written. The traditional stamp of syslog has neither year nor offset."""

from __future__ import annotations

import contextlib
import datetime as dt

from domain.events import MAX_MS

_DAY_MS = 86_400_000
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}


class Clock:
    """Reads the stamps of one log.

    Args:
        zone: of stamps without an offset; None for that of this machine.
        now_ms: epoch milliseconds; no line is later than a day from it. Set anew while a log is followed.
    """

    def __init__(self, zone: dt.tzinfo | None, now_ms: int) -> None:
        self._zone = zone
        self._last_ms: int | None = None
        self.now_ms = now_ms

    def read(self, stamp: str) -> int | None:
        """Epoch milliseconds of ``Nov  4 16:00:01`` or ``2026-11-04T16:00:01.12+01:00``; None when it is no time."""
        try:
            found = self._traditional(stamp) if stamp[:1].isalpha() else self._iso(stamp)
        except (ValueError, OverflowError, OSError):
            return None
        if found is None or not 0 <= found <= MAX_MS:
            return None
        self._last_ms = found
        return found

    def _iso(self, stamp: str) -> int:
        return self._instant(dt.datetime.fromisoformat(stamp))

    def _traditional(self, stamp: str) -> int | None:
        """In the year in which it is nearest to the line before, which was written just before; else the latest."""
        month, day, time = _MONTHS.get(stamp[:3], 0), int(stamp[4:6]), dt.time.fromisoformat(stamp[7:])
        this_year = dt.datetime.fromtimestamp(self.now_ms / 1000, dt.UTC).year
        found = []
        for year in range(this_year + 1, this_year - 3, -1):
            with contextlib.suppress(ValueError):  # 29 February in most years
                found.append(self._instant(dt.datetime.combine(dt.date(year, month, day), time)))
        found = [one for one in found if one <= self.now_ms + _DAY_MS]
        last = self._last_ms
        return min(found, key=lambda one: -one if last is None else abs(one - last), default=None)

    def _instant(self, moment: dt.datetime) -> int:
        """A local time may mean two instants, when summer time ends: the one that does not go back from the last line.

        Lines of one second may come in any order.
        """
        if moment.tzinfo is None:
            first, second = (_milliseconds(moment.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
            return second if first < second and self._last_ms is not None and first < self._last_ms - 1_000 else first
        return _milliseconds(moment)


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
