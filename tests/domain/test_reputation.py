"""Scores and At risk lines, as tables."""

from __future__ import annotations

import pytest

from domain.blocklists import ALLOW_ZONES, ZONES, Outcome, ZoneAnswer, read
from domain.figures import Figures
from domain.policy import RiskPolicy
from domain.reputation import Engagement, Line, Score, lines_over, score
from domain.words import Band

CLEAN = [read(zone, Outcome.NXDOMAIN, []) for zone in ZONES]
SILENT = [read(zone, Outcome.FAILURE, []) for zone in ZONES]
NONE = Figures()
GOOD = Figures(attempted=5000, delivered=4990, bounced=10)


def answer(zone: str, code: str) -> ZoneAnswer:
    return read(next(one for one in ZONES if one.name == zone), Outcome.ADDRESSES, [code])


SBL, CSS = answer("zen.spamhaus.org", "127.0.0.2"), answer("zen.spamhaus.org", "127.0.0.3")
PBL = answer("zen.spamhaus.org", "127.0.0.10")
SPAMCOP, PSBL = answer("bl.spamcop.net", "127.0.0.2"), answer("psbl.surriel.com", "127.0.0.2")
LEVEL_2 = answer("dnsbl-2.uceprotect.net", "127.0.0.2")


def of(figures: Figures, answers: list[ZoneAnswer] = CLEAN, confirmed: list[ZoneAnswer] | None = None) -> Score:
    return score(answers, confirmed or [], figures, figures, figures)


def test_clean_lists_and_good_mail_are_green() -> None:
    result = of(GOOD)
    assert result.band is Band.GREEN
    assert result.lines == []


@pytest.mark.parametrize(
    ("answers", "figures"),
    [(SILENT, GOOD), (CLEAN, NONE), (SILENT, NONE), ([], GOOD)],
    ids=["silent lists", "no mail", "nothing at all", "not asked"],
)
def test_unknown_is_never_good(answers: list[ZoneAnswer], figures: Figures) -> None:
    result = of(figures, answers)
    assert (result.score, result.band) == (None, Band.UNKNOWN)


def test_a_silent_critical_list_leaves_the_lists_unknown() -> None:
    component = of(GOOD, [SILENT[0], *CLEAN[1:]]).components[0]
    assert (component.name, component.value, component.sample) == ("blocklists", None, len(ZONES) - 1)


def test_a_small_sample_has_no_value() -> None:
    parts = of(Figures(attempted=99, delivered=50, bounced=49)).components
    assert [part.value for part in parts if part.name != "blocklists"] == [None] * 4
    assert [part.sample for part in parts if part.name == "bounces"] == [99]


@pytest.mark.parametrize(
    ("listing", "highest", "lines"),
    [
        (SBL, 10, [Line.CRITICAL_LISTING]),
        (CSS, 40, [Line.LISTING]),
        (SPAMCOP, 59, [Line.LISTING]),
        (PSBL, 90, []),
        (LEVEL_2, 100, []),
        (PBL, 100, []),
    ],
    ids=["SBL", "CSS", "SpamCop", "PSBL", "UCEPROTECT 2", "PBL"],
)
def test_a_confirmed_listing_weighs_by_its_list(listing: ZoneAnswer, highest: int, lines: list[Line]) -> None:
    result = of(GOOD, [*CLEAN[1:], listing], [listing])
    assert result.lines == lines
    assert result.score is not None
    assert result.score <= highest
    assert (result.band is Band.RED) is bool(lines)


def test_a_listing_seen_once_does_not_act() -> None:
    assert of(GOOD, [SBL, *CLEAN[1:]]).lines == []


@pytest.mark.parametrize(
    ("bounced", "delivered", "over"),
    [(9, 90, False), (20, 79, False), (20, 80, True), (12, 88, False), (120, 880, True)],
    ids=["9 % of few", "one short of a sample", "20 %", "12 % that luck explains", "12 % of many"],
)
def test_bounces_need_evidence(bounced: int, delivered: int, over: bool) -> None:
    three = Figures(attempted=bounced + delivered, delivered=delivered, bounced=bounced)
    assert (Line.BOUNCE in lines_over([], three, NONE, three)) is over


@pytest.mark.parametrize(
    ("complained", "delivered", "over"),
    [
        (1, 100, False),
        (2, 99, False),
        (2, 100, True),
        # Wilson's lower bound is 0.0044 here, over the limit; the exact one is 0.0019, and waits.
        (2, 125, False),
        (3, 1000, False),
        (30, 5000, True),
    ],
)
def test_complaints_need_exact_evidence(complained: int, delivered: int, over: bool) -> None:
    month = Figures(attempted=delivered, delivered=delivered, complained=complained)
    assert (Line.COMPLAINT in lines_over([], NONE, month, NONE)) is over


def test_more_complaints_than_mail_is_no_error() -> None:
    month = Figures(attempted=100, delivered=100, complained=150)
    assert lines_over([], NONE, month, NONE) == [Line.COMPLAINT]


def test_one_block_reply_acts_at_once() -> None:
    assert lines_over([], NONE, NONE, Figures(attempted=1, blocked=1)) == [Line.BLOCK]


BAD = Figures(attempted=1000, delivered=920, bounced=80)


@pytest.mark.parametrize(
    ("line", "week", "month", "three", "stays"),
    [
        (Line.BOUNCE, NONE, NONE, NONE, True),
        (Line.BOUNCE, BAD, NONE, BAD, True),
        (Line.BOUNCE, GOOD, NONE, GOOD, False),
        (Line.BOUNCE, Figures(attempted=20, delivered=20), NONE, Figures(attempted=5, delivered=5), False),
        (Line.COMPLAINT, NONE, NONE, NONE, True),
        (Line.COMPLAINT, NONE, Figures(delivered=1000, complained=1), NONE, True),
        (Line.COMPLAINT, NONE, Figures(delivered=4000, complained=1), NONE, False),
        (Line.BLOCK, NONE, NONE, NONE, True),
        (Line.BLOCK, Figures(attempted=10, blocked=1), NONE, NONE, True),
        (Line.BLOCK, GOOD, NONE, GOOD, False),
    ],
)
def test_a_line_goes_only_by_evidence(line: Line, week: Figures, month: Figures, three: Figures, stays: bool) -> None:
    assert (line in lines_over([], week, month, three, standing=[line])) is stays


def read_mail(delivered: int, opened: int, replied: int = 0) -> Figures:
    return Figures(attempted=delivered, delivered=delivered, opened=opened, replied=replied)


@pytest.mark.parametrize(
    ("today", "before", "over"),
    [
        (read_mail(1000, 80), read_mail(3000, 900), True),
        (read_mail(1000, 0), read_mail(3000, 900), True),
        (read_mail(1000, 160), read_mail(3000, 900), False),  # 16 % against 30 %: less than half is not left
        (read_mail(1000, 140), read_mail(3000, 900), False),  # 14 %: chance may explain that
        (read_mail(99, 0), read_mail(3000, 900), False),  # too little mail today
        (read_mail(1000, 0), read_mail(3000, 19), False),  # too few opens to compare with
        (read_mail(1000, 0), read_mail(99, 90), False),
        (read_mail(1000, 0), read_mail(3000, 0), False),  # nobody measures opens
        (read_mail(1000, 300, 2), read_mail(3000, 900, 150), True),  # replies alone
        (read_mail(100, 100), read_mail(100, 250), False),  # more opens than mail: a source that counts otherwise
        (NONE, NONE, False),
    ],
)
def test_opens_and_replies_fall_by_evidence(today: Figures, before: Figures, over: bool) -> None:
    engagement = Engagement(today=today, before=before)
    assert (Line.ENGAGEMENT in lines_over([], GOOD, GOOD, GOOD, engagement=engagement)) is over
    result = score(CLEAN, [], GOOD, GOOD, GOOD, engagement=engagement)
    assert (result.band is Band.RED) is over
    assert ("fell by more than 50 %" in result.reason) is over


@pytest.mark.parametrize(
    ("today", "week_before", "stays"),
    [
        (read_mail(1000, 80), read_mail(7000, 1400), True),
        (read_mail(1000, 180), read_mail(7000, 1400), False),
        (read_mail(20, 20), read_mail(7000, 1400), True),
        (NONE, NONE, True),
    ],
)
def test_a_fall_stands_until_mail_is_read_again(today: Figures, week_before: Figures, stays: bool) -> None:
    # The three days before are bad ones themselves by now.
    engagement = Engagement(today=today, before=read_mail(3000, 240), week_before=week_before)
    found = lines_over([], GOOD, GOOD, GOOD, standing=[Line.ENGAGEMENT], engagement=engagement)
    assert (Line.ENGAGEMENT in found) is stays


def test_a_silent_allow_list_hides_no_listing_and_is_no_sample() -> None:
    silent = read(ALLOW_ZONES[0], Outcome.FAILURE, [])
    component = of(GOOD, [*CLEAN, silent]).components[0]
    assert (component.value, component.sample) == (100, len(ZONES))


def test_components_say_how_old_they_are() -> None:
    result = score(CLEAN, [], GOOD, GOOD, GOOD, lists_age=0.0, figures_age=900.0)
    assert {part.name: part.age for part in result.components} == {
        "blocklists": 0.0, "bounces": 900.0, "complaints": 900.0, "blocks": 900.0, "deferrals": 900.0
    }  # fmt: skip


@pytest.mark.parametrize(("bounced", "value"), [(0, 100), (30, 80), (100, 0)])
def test_a_component_stands_at_80_where_the_days_decision_holds_and_at_0_where_it_stops(
    bounced: int, value: int
) -> None:
    def bounces(week: Figures, policy: RiskPolicy) -> int | None:
        parts = score([], [], week, Figures(), Figures(), policy=policy).components
        return next(part.value for part in parts if part.name == "bounces")

    assert bounces(Figures(attempted=1_000, delivered=1_000 - bounced, bounced=bounced), RiskPolicy()) == value
    # The same share of an installation's own limits.
    doubled = RiskPolicy(decision_bounce_hold=0.06, decision_bounce_stop_day=0.20)
    assert bounces(Figures(attempted=500, delivered=500 - bounced, bounced=bounced), doubled) == value
