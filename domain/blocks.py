"""How much allowance a gate takes at once, and when it gives it back.

A block is taken from the ledger for one IP, mailbox provider and hour, and spent from memory. Large
blocks save work, small ones strand nothing: a block follows the pace of what was spent, and is never
more than a part of what is left of the cap.
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.words import MailboxProvider

#: Mails of the first block, before any pace is known.
FIRST = 4
#: A block is at most this part of the room left, so that several gates share the end of a cap.
PART = 8
#: A block that lasted less than this was too small, one that lasted four times as long too large.
LASTS_SECONDS = 1.0
#: How fast blocks grow; the first second of a burst reaches a thousand in four steps.
GROWTH = 4


@dataclass(slots=True)
class Block:
    """Allowance of one IP and provider that this gate holds.

    Attributes:
        starts_ms: start of the ledger's window it came from.
        hour: part of the window it came from.
        left: mails that may still be granted.
        ends_ms: end of that hour; what is left then goes back to the day.
        room: what the ledger had left when it was taken.
        share: that room as a part of the cap, 0 to 1.
    """

    address: str
    provider: MailboxProvider
    starts_ms: int
    hour: int
    size: int
    left: int
    ends_ms: int
    room: int = 0
    share: float = 0.0
    taken_at: float = 0.0
    seen_left: int = -1
    seen_at: float = 0.0


def wanted(pace: int, room: int | None, waiting: int, most: int) -> int:
    """Mails to ask for.

    Args:
        pace: the size that the pace so far suggests, see :func:`next_pace`.
        room: what was left of the cap when last asked; None when it is not known.
        waiting: questions that wait for this block; all of them are tried for.
        most: upper bound of a block.
    """
    fair = pace if room is None else min(pace, room // PART)
    return max(1, waiting, min(most, fair))


def next_pace(pace: int, used: int, lasted: float, most: int) -> int:
    """The size for the next block, after one of which ``used`` mails were spent in ``lasted`` seconds."""
    if lasted < LASTS_SECONDS:
        return min(most, max(pace, used) * GROWTH)
    if lasted > 4 * LASTS_SECONDS:
        return max(1, min(pace // 2, used))
    return pace
