"""What a gate decides from memory alone, with a clock that a test moves."""

from __future__ import annotations

import dataclasses

from domain.allowance import Allowance
from domain.blocks import Block
from domain.routing import Exit, Routes
from domain.words import MailboxProvider
from gate.desk import Allow, Defer, Desk, Line, Look, Need

GMAIL = MailboxProvider.GMAIL
HOUR = 3_600_000
FIRST, SECOND = "198.51.100.7", "198.51.100.8"
ROUTES = Routes(
    exits={one: Exit(one, "main") for one in (FIRST, SECOND)},
    senders={"acme": "main"},
    matches={"acme.example": "acme"},
)


class Clock:
    """Milliseconds that only a test moves."""

    def __init__(self) -> None:
        self.ms = 0

    def desk(self) -> Desk:
        """A desk that goes by this clock in every way."""
        found = Desk(now_ms=lambda: self.ms, monotonic=lambda: self.ms / 1000)
        found.install(ROUTES)
        return found


def _asked(desk: Desk, number: int = 0) -> Allow | Defer | Need | Look:
    line = desk.line("", "news@acme.example")
    assert isinstance(line, Line)
    return desk.decide(line, GMAIL, f"m{number}", "r@gmail.com")


def _block(address: str, mails: int, ends_ms: int, share: float) -> Block:
    return Block(address, GMAIL, 0, 0, mails, mails, ends_ms, room=mails * 8, share=share)


def test_an_ip_that_was_spent_yesterday_is_not_the_last_choice_of_today() -> None:
    clock = Clock()
    desk = clock.desk()
    desk.learn(Look((FIRST, SECOND), GMAIL), {one: (Allowance(100, 1.0), HOUR) for one in (FIRST, SECOND)})
    desk.refuse((FIRST, GMAIL), "daily cap reached", HOUR)
    desk.put(_block(SECOND, 1, HOUR, 0.4))
    assert _asked(desk, 1) == desk._allowed(SECOND)
    clock.ms = HOUR - 1
    assert _asked(desk, 2) == Need(ROUTES.exits[SECOND], GMAIL)
    clock.ms = HOUR
    # Nothing of yesterday is believed: what both have left is asked for.
    assert _asked(desk, 3) == Look((FIRST, SECOND), GMAIL)
    desk.learn(Look((FIRST, SECOND), GMAIL), {one: (Allowance(100, 1.0), 2 * HOUR) for one in (FIRST, SECOND)})
    assert _asked(desk, 3) == Need(ROUTES.exits[FIRST], GMAIL)


def test_a_raised_cap_counts_at_once() -> None:
    clock = Clock()
    desk = clock.desk()
    desk.refuse((FIRST, GMAIL), "daily cap reached", HOUR)
    desk.learn(Look((SECOND,), GMAIL), {SECOND: (Allowance(5, 0.1), HOUR)})
    desk.install(ROUTES)
    assert _asked(desk) == Look((FIRST, SECOND), GMAIL)


def test_a_block_of_the_hour_before_is_not_spent_and_goes_back() -> None:
    clock = Clock()
    desk = clock.desk()
    desk.put(_block(FIRST, 10, HOUR, 0.9))
    assert _asked(desk, 1) == desk._allowed(FIRST)
    clock.ms = HOUR
    assert isinstance(_asked(desk, 2), Look)
    assert [(one.address, one.left) for one in desk.unused()] == [(FIRST, 9)]


def test_a_recipient_that_was_counted_is_free_until_its_ip_is_closed() -> None:
    desk = Clock().desk()
    desk.put(_block(FIRST, 10, HOUR, 0.9))
    for _ in range(2):
        assert _asked(desk) == desk._allowed(FIRST)
    assert desk.blocks[FIRST, GMAIL].left == 9
    desk.install(dataclasses.replace(ROUTES, held={FIRST: "listed"}))
    assert _asked(desk) == Defer(f"{FIRST} is paused: listed")


def test_an_answer_about_ips_without_a_window_is_not_asked_for_again_at_once() -> None:
    clock = Clock()
    desk = clock.desk()
    desk.learn(Look((FIRST, SECOND), GMAIL), {})
    assert _asked(desk) == Need(ROUTES.exits[FIRST], GMAIL)


def test_a_clock_that_is_set_back_grants_nothing_twice() -> None:
    clock = Clock()
    clock.ms = HOUR
    desk = clock.desk()
    desk.put(_block(FIRST, 1, 2 * HOUR, 0.5))
    assert _asked(desk, 1) == desk._allowed(FIRST)
    clock.ms = 0
    assert not isinstance(_asked(desk, 2), Allow)
    assert desk.all_blocks() == []
