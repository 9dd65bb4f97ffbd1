"""The published ladders."""

from __future__ import annotations

from itertools import pairwise

import pytest

from domain import presets
from domain.refusals import Refused


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


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused) as refusal:
        presets.get("turbo")
    assert refusal.value.field == "plan.preset"
    assert all(name in refusal.value.detail for name in presets.PRESETS)
