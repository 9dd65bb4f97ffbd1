"""Plans, ladders and days of a warm-up."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise
from typing import Any

import pytest

from domain.presets import PRESETS
from domain.refusals import Refused
from domain.warmup import JITTER, MAX_DAYS, StopSignal, WarmupPlan, jitter_seconds
from domain.words import MailboxProvider

START = dt.datetime(2026, 1, 5, 9, 30, tzinfo=dt.UTC)  # a Monday


@pytest.mark.parametrize(
    ("field", "given", "says"),
    [
        ("initial", {"initial": 19}, "give 20 to 50"),
        ("initial", {"initial": 51}, "give 20 to 50"),
        ("initial", {"initial": -(10**9)}, "give 20 to 50"),
        ("growth", {"growth": 0.19}, "give 20 % to 30 %"),
        ("growth", {"growth": 0.31}, "Growth of 31 % a step; give 20 % to 30 %"),
        ("growth", {"growth": 0.301}, "Growth of 30.1 % a step"),  # not "30 %; give 20 % to 30 %"
        ("growth", {"growth": math.nan}, "give 20 % to 30 %"),
        ("growth", {"growth": math.inf}, "give 20 % to 30 %"),
        ("growth", {"preset": "mailtrap", "growth": 0.0, "target": 100_000}, "give 20 % to 30 %"),
        ("step_days", {"step_days": 0}, "give 1 to 30"),
        ("step_days", {"step_days": 31}, "give 1 to 30"),
        ("step_days", {"step_days": 30}, "shorten the step"),
        ("target", {"target": 49}, "under the initial cap of 50"),
        ("target", {"preset": "sparkpost", "target": 199}, "under the initial cap of 200"),
        ("target", {"target": 10_000_001}, "past 10,000,000"),
        ("target", {"target": 10**30}, "past 10,000,000"),
        ("sending_days", {"sending_days": []}, "at least one sending day"),
        ("sending_days", {"sending_days": [7]}, "0 (Monday) to 6 (Sunday)"),
        ("shares", {"shares": {MailboxProvider.GMAIL: 1.1}}, "between 0 and 1"),
        ("shares", {"shares": {MailboxProvider.GMAIL: math.nan}}, "between 0 and 1"),
        ("preset", {"preset": "magic"}, "choose one of every_3_days"),
        ("time_zone", {"time_zone": "Mars/Olympus"}, "is no time zone"),
        ("time_zone", {"time_zone": "../../etc/passwd"}, "is no time zone"),
        ("time_zone", {"time_zone": ""}, "is no time zone"),
        ("day_seconds", {"day_seconds": 0.0}, "longer than 0 seconds"),
        ("day_seconds", {"day_seconds": math.inf}, "longer than 0 seconds"),
    ],
)
def test_a_bad_plan_is_refused_with_its_field_and_the_fix(field: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused) as refusal:
        WarmupPlan(**given).checked()
    assert refusal.value.field == field
    assert says in refusal.value.detail


def test_the_bounds_themselves_are_within_them() -> None:
    for initial, growth in ((20, 0.20), (50, 0.30)):
        WarmupPlan(initial=initial, growth=growth, target=initial).checked()
    # 20 steps of 20 days; then 49 steps of 7 sending days, six in a week.
    longest = WarmupPlan(growth=0.20, target=1_500, step_days=20)
    assert len(longest.ladder()) * 20 == MAX_DAYS
    longest.checked()
    too_long = WarmupPlan(initial=20, growth=0.20, target=126_000, step_days=7, sending_days=[0, 1, 2, 3, 4, 5])
    assert len(too_long.ladder()) == 49
    with pytest.raises(Refused, match="takes 401 days"):
        too_long.checked()


@pytest.mark.parametrize("growth", [0.20, 0.25, 0.30])
@pytest.mark.parametrize("initial", [20, 35, 50])
@pytest.mark.parametrize("target", [50, 51, 1_000, 2_000, 20_000, 10_000_000])
def test_the_ladder_graduates_to_the_target_without_a_jump(initial: int, growth: float, target: int) -> None:
    ladder = WarmupPlan(initial=initial, growth=growth, target=target).checked().ladder()
    assert ladder[0] == min(initial, target)
    assert ladder[-1] == target
    for before, after in pairwise(ladder):
        assert before < after <= (before + 1) * (1 + growth), "no step grows by more than the plan says"


@pytest.mark.parametrize("name", [one.name for one in PRESETS.values() if one.ladder])
@pytest.mark.parametrize("target", [2_000, 100_000, 10_000_000])
def test_a_preset_goes_as_published_and_then_by_growth(name: str, target: int) -> None:
    published = PRESETS[name].ladder
    ladder = WarmupPlan(preset=name, target=target).checked().ladder()
    kept = [cap for cap in published if cap < target]
    assert ladder[: len(kept)] == kept
    assert ladder[-1] == target
    for before, after in pairwise(ladder[max(0, len(published) - 1) :]):
        assert before < after <= (before + 1) * 1.25


def test_a_ladder_handed_out_is_the_callers_own() -> None:
    plan = WarmupPlan()
    plan.ladder().clear()
    assert plan.ladder()[0] == plan.cap(0) == 50
    assert plan.cap(10**9) == plan.target
    assert plan.cap(-5) == 50


def test_a_plan_of_few_sending_days_may_take_too_long() -> None:
    WarmupPlan(step_days=3).checked()
    with pytest.raises(Refused, match=str(MAX_DAYS)):
        WarmupPlan(step_days=4, sending_days=[1]).checked()


def test_days_are_calendar_days_of_the_time_zone() -> None:
    plan = WarmupPlan(time_zone="Europe/Berlin")
    begins, ends = plan.day_bounds(START, 0)
    assert begins == dt.datetime(2026, 1, 4, 23, tzinfo=dt.UTC)
    assert ends == dt.datetime(2026, 1, 5, 23, tzinfo=dt.UTC)
    assert plan.day_bounds(START, 1)[0] == ends


def test_a_start_before_midnight_utc_may_be_the_next_day_elsewhere() -> None:
    late = dt.datetime(2026, 1, 4, 23, 30, tzinfo=dt.UTC)
    assert WarmupPlan(time_zone="Asia/Tokyo").date(late, 0) == dt.date(2026, 1, 5)
    assert WarmupPlan(time_zone="America/New_York").date(late, 0) == dt.date(2026, 1, 4)


@pytest.mark.parametrize(("date", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 7, 1), 24)])
def test_a_day_follows_the_clock_changes(date: tuple[int, int, int], hours: int) -> None:
    started = dt.datetime(*date, 12, tzinfo=dt.UTC)
    begins, ends = WarmupPlan(time_zone="Europe/Berlin").day_bounds(started, 0)
    assert ends - begins == dt.timedelta(hours=hours)


def test_short_days_count_from_the_start_and_keep_their_weekdays() -> None:
    plan = WarmupPlan(day_seconds=2.0, sending_days=[0, 1, 2, 3, 4])
    assert plan.day_bounds(START, 3) == (START + dt.timedelta(seconds=6), START + dt.timedelta(seconds=8))
    assert [plan.sends_on(START, day) for day in range(8)] == [True] * 5 + [False] * 2 + [True]


def test_a_provider_gets_its_share_and_a_late_one_the_share_of_a_lower_step() -> None:
    plan = WarmupPlan(shares={MailboxProvider.GMAIL: 0.5})
    assert plan.by_provider(1) == {MailboxProvider.GMAIL: math.ceil(plan.cap(1) / 2)}
    assert plan.by_provider(1, {MailboxProvider.GMAIL: 1}) == {MailboxProvider.GMAIL: 25}
    assert WarmupPlan(shares={MailboxProvider.GMAIL: 0.0}).by_provider(0) == {MailboxProvider.GMAIL: 0}


def test_ticks_of_a_fleet_are_spread_and_each_is_the_same_every_day() -> None:
    spread = [jitter_seconds(f"198.51.100.{n}", 86_400) for n in range(250)]
    assert all(0 <= one <= JITTER * 86_400 for one in spread)
    assert len(set(spread)) == 250
    assert jitter_seconds("198.51.100.7", 86_400) == spread[7]


@pytest.mark.parametrize(
    ("reason", "source", "told"),
    [
        ("alert from grafana: bounces", "grafana", "alert from grafana: bounces"),
        ("listed on zen.example", "sweep", "listed on zen.example (from sweep)"),
        ("alert from your own monitoring: bounces", "generic", "alert from your own monitoring: bounces"),
        ("it is refused", "ses", "it is refused (from Amazon SES)"),
    ],
)
def test_an_alarm_names_who_raised_it_once(reason: str, source: str, told: str) -> None:
    assert StopSignal(reason=reason, source=source).told() == told


def test_an_hour_takes_a_fifth_of_the_day_rounded_up() -> None:
    plan = WarmupPlan()
    assert [(plan.cap(step), plan.hourly_cap(step)) for step in range(3)] == [(50, 10), (62, 13), (78, 16)]
