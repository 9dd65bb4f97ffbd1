"""Block sizes follow the pace and strand nothing; overruns are what no grant covers."""

from __future__ import annotations

import pytest

from domain.blocks import next_pace, wanted
from domain.overrun import Booked, overrun


@pytest.mark.parametrize(
    ("pace", "room", "waiting", "size"),
    [
        (64, 10_000, 0, 64),
        (64, 80, 0, 10),  # an eighth of what is left
        (64, 7, 0, 1),
        (64, 0, 0, 1),
        (64, None, 0, 64),  # nobody knows yet
        (4, 1000, 30, 30),  # all that wait are tried for
        (5000, 100_000, 0, 1000),
    ],
)
def test_a_block_is_a_part_of_what_is_left(pace: int, room: int | None, waiting: int, size: int) -> None:
    assert wanted(pace, room, waiting, 1000) == size


@pytest.mark.parametrize(
    ("pace", "used", "lasted", "following"),
    [
        (4, 4, 0.1, 16),
        (4, 30, 0.1, 120),
        (800, 800, 0.1, 1000),
        (64, 64, 2.0, 64),
        (64, 64, 10.0, 32),
        (64, 3, 10.0, 3),
        (1, 0, 10.0, 1),
    ],
)
def test_the_pace_follows_what_was_spent(pace: int, used: int, lasted: float, following: int) -> None:
    assert next_pace(pace, used, lasted, 1000) == following


@pytest.mark.parametrize(
    ("days", "over"),
    [
        ([(100, 100)], 0),
        ([(100, 101)], 1),
        ([(100, 90), (100, 110)], 0),  # ten waited in the queue
        ([(100, 90), (100, 111)], 1),
        ([(100, 90), (100, 110), (100, 105)], 5),  # what was carried is used once
        ([(100, 130), (100, 100)], 0),  # the overrun was yesterday's
        ([(100, 0)] + [(0, 0)] * 5 + [(0, 100)], 100),  # no queue keeps mail for six days
        ([(100, 0)] + [(0, 0)] * 4 + [(0, 100)], 0),
        ([], 0),
    ],
)
def test_an_overrun_is_what_no_grant_covers(days: list[tuple[int, int]], over: int) -> None:
    assert overrun([Booked(place, granted, sent) for place, (granted, sent) in enumerate(days)]) == over
