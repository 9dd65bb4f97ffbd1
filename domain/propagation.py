"""When to ask DNS again: after what is known to be cached has run out, not by a fixed clock."""

from __future__ import annotations

#: Shortest and longest pause between two rounds, seconds.
SHORTEST = 1.0
LONGEST = 900.0
#: Resolvers cap how long they keep "there is none" (RFC 2308 recommends 1-3 h).
NEGATIVE_CAP = 10_800
#: Added to every computed deadline for slow secondaries, seconds.
MARGIN = 3_600.0


def negative_ttl(soa_ttl: int, soa_minimum: int) -> int:
    """How long "there is none" is cached, seconds (RFC 2308, RFC 9077)."""
    return min(soa_ttl, soa_minimum, NEGATIVE_CAP)


def next_ask(*, published: bool, remaining_ttls: list[int], waited: float) -> float:
    """Seconds until the next round.

    Args:
        published: every authoritative server agrees, so only caches are waited for.
        remaining_ttls: what resolvers said is left of the wrong or negative answers that they hold.
        waited: seconds since the records were handed out. Before publication nothing is cached by the
            question itself (only authoritative servers are asked), so the pause is a tenth of the wait.
    """
    if published and remaining_ttls:
        return min(max(max(remaining_ttls) + 0.5, SHORTEST), LONGEST)
    if published:
        return SHORTEST
    return min(max(waited / 10, SHORTEST), LONGEST)


def deadline_seconds(*, secondary_lag: float, old_ttl: int, negative: int, hours: float) -> float:
    """Seconds until DNS is escalated: the hours given, unless lag and caches alone may take longer."""
    caches = secondary_lag + max(old_ttl, negative)
    return hours * 3_600 if caches <= hours * 3_600 else caches + MARGIN


def serial_reached(serial: int | None, wanted: int | None) -> bool:
    """Whether a zone serial is the same as or newer than another, in RFC 1982 arithmetic."""
    if wanted is None:
        return True
    return serial is not None and (serial - wanted) % 2**32 < 2**31
