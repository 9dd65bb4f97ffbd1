"""What an IP may still send to one mailbox provider, by the limit that is met first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the limits of a day and an hour, of the IP and of one provider.

    Attributes:
        room: mails, by the limit with the least left.
        share: 0 to 1, by the limit of which the least part is left; 1 for an IP that has sent nothing yet, however
            small its caps are.
    """

    room: int
    share: float


def left(limits: Iterable[tuple[int, int]]) -> Allowance:
    """What is left of limits, each with what is spent of it."""
    room: int | None = None
    share = 1.0
    for limit, spent in limits:
        rest = max(0, limit - spent)
        room = rest if room is None else min(room, rest)
        share = min(share, rest / limit if limit > 0 else 0.0)
    return Allowance(room or 0, share if room else 0.0)
