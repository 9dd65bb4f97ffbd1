"""What an IP has left, by the limit that is met first."""

from __future__ import annotations

import pytest

from domain.allowance import Allowance, left


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ([(400, 100)], Allowance(300, 0.75)),
        ([(400, 100), (50, 40)], Allowance(10, 0.2)),
        ([(400, 0), (8, 0)], Allowance(8, 1.0)),  # a small cap that is whole comes before a large one in use
        ([(400, 390), (8, 2)], Allowance(6, 0.025)),  # room and part may come from different limits
        ([(400, 400), (50, 0)], Allowance(0, 0.0)),
        ([(100, 120)], Allowance(0, 0.0)),  # a cap cut below what is granted
        ([(0, 0)], Allowance(0, 0.0)),
    ],
)
def test_what_is_left(limits: list[tuple[int, int]], found: Allowance) -> None:
    assert left(limits) == found
