"""Where a plan leads."""

from __future__ import annotations

import datetime as dt

import pytest

from domain.forecast import forecast
from domain.presets import PRESETS
from domain.warmup import Progress, WarmupPlan

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)  # a Monday


def test_a_plan_shows_each_day_up_to_the_target() -> None:
    plan = WarmupPlan(target=100)
    found = forecast(plan, START)
    assert [day.cap for day in found.days] == [50, 62, 78, 97, 100]
    assert [day.day for day in found.days] == [1, 2, 3, 4, 5]
    assert found.days[0].date == START.date()


def test_days_of_rest_have_no_cap_and_take_no_step() -> None:
    found = forecast(WarmupPlan(target=200, sending_days=[0, 1]), START)
    assert [day.cap for day in found.days[:9]] == [50, 62, 0, 0, 0, 0, 0, 78, 97]


def test_setbacks_make_the_finish_later_never_earlier() -> None:
    found = forecast(WarmupPlan(), START)
    assert found.days[-1].date <= found.finish.p10 <= found.finish.p50 <= found.finish.p90
    assert forecast(WarmupPlan(), START) == found, "the same plan has the same forecast"


def test_a_running_warm_up_is_seen_from_where_it_stands() -> None:
    now = Progress(plan=WarmupPlan(target=100), started=START, day=10, step=3)
    found = forecast(now.plan, START + dt.timedelta(days=99), now)
    assert [(day.day, day.cap) for day in found.days] == [(11, 97), (12, 100)]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_an_end(name: str) -> None:
    plan = WarmupPlan(preset=name, target=10_000 if name == "every_3_days" else 10_000_000).checked()
    found = forecast(plan, START)
    assert found.days[-1].cap == plan.target
    assert len(found.days) == (len(plan.ladder()) - 1) * plan.pace() + 1


def test_a_forecast_in_short_days_keeps_calendar_dates() -> None:
    found = forecast(WarmupPlan(target=100, day_seconds=1.0), START)
    assert found.days[-1].date == START.date() + dt.timedelta(days=4)
