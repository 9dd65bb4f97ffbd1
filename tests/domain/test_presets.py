"""The published ladders."""

from __future__ import annotations

import csv
from itertools import pairwise

import pytest

from domain import presets
from domain.refusals import Refused
from domain.warmup import WarmupPlan
from tests.corpora import collected


@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=presets.PRESETS)
def test_every_preset_rises_and_names_its_source(preset: presets.Preset) -> None:
    assert preset.source
    assert preset.title
    assert preset.step_days >= 1
    assert all(before < after for before, after in pairwise(preset.ladder))


def test_numbers_are_those_of_the_documents() -> None:
    assert presets.get("sendgrid_manual").ladder[:4] == [50, 100, 500, 1_000]
    assert presets.get("sparkpost").ladder[0] == 200
    assert presets.get("mailtrap").ladder[-1] == 57_000
    assert presets.get("sendgrid_automated").ladder[0] == 24 * 20
    assert presets.get("every_3_days").step_days == 3


#: As published, letter for letter; SendGrid's automated one is in mails an hour.
PUBLISHED = {
    "sendgrid_automated": """20, 28, 39, 55, 77, 108, 151, 211, 295, 413, 579, 810, 1000, 1587, 2222, 3111, 4356, 6098,
        8583, 11953, 16734, 23427, 32798, 45917, 64284, 89998, 125997, 176395, 246953, 345735, 484029, 677640, 948696,
        1328175, 1859444, 2603222""",
    "sendgrid_manual": "50, 100, 500, 1k, 5k, 10k, 20k, 40k, 70k, 100k, 150k, 250k, 400k, 600k, 1M, 2M, 4M",
    "sparkpost": """200, 500, 1k, 2k, 5k, 10k, 20k, 40k, 50k, 75k, 100k, 150k, 200k, 250k, 325k, 400k, 500k, 600k, 750k,
        1M, 1.25M, 1.75M, 2M, 3M, 4.25M, 5M, 6M, 7.5M, 10M""",
    "mailtrap": """300, 390, 510, 660, 860, 1100, 1400, 1900, 2400, 3200, 4100, 5400, 7000, 9100, 11800, 15400, 20000,
        26000, 33700, 43900, 57000""",
}


#: Preset to its plan in the collected tables.
PLANS = {
    "sendgrid_automated": "sendgrid_auto_hourly",
    "sendgrid_manual": "sendgrid_pdf_daily",
    "sparkpost": "sparkpost_daily",
}


def tables() -> list[tuple[str, list[int]]]:
    """Ladders as their vendors publish them: typed off here, and collected by other hands where that is there."""
    typed = [(name, [number(one) for one in text.split(",")]) for name, text in PUBLISHED.items()]
    for file in collected("warmup/published_warmup_tables.csv"):
        with file.open() as lines:
            rows = list(csv.DictReader(lines))
        typed += [(name, [int(one["limit"]) for one in rows if one["plan"] == plan]) for name, plan in PLANS.items()]
    return typed


def number(text: str) -> int:
    """A count with k or M."""
    unit = {"k": 1_000, "M": 1_000_000}.get(text.strip()[-1], 1)
    return round(float(text.strip().rstrip("kM")) * unit)


@pytest.mark.parametrize(("name", "table"), tables(), ids=[name for name, _ in tables()])
def test_published_ladders_are_kept_step_by_step(name: str, table: list[int]) -> None:
    preset = presets.get(name)
    hours = 24 if preset.hourly else 1
    assert len(table) >= len(preset.ladder)
    # Other hands also collected the steps after the last one that is kept.
    assert preset.ladder == [hours * one for one in table[: len(preset.ladder)]]


def test_an_hourly_ladder_is_held_by_the_hour_and_others_by_a_fifth_of_the_day() -> None:
    assert WarmupPlan(preset="sendgrid_automated", target=10_000_000).hourly_cap(0) == 20
    assert WarmupPlan(preset="sendgrid_automated", target=10_000_000).hourly_cap(12) == 1_000
    assert WarmupPlan(preset="mailtrap", target=57_000).hourly_cap(0) == 60
    assert WarmupPlan().hourly_cap(1) == 13


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused) as refusal:
        presets.get("turbo")
    assert refusal.value.field == "preset"
    assert all(name in refusal.value.detail for name in presets.PRESETS)
