"""Candidates are vetted against real lists on loopback."""

from __future__ import annotations

import pytest

from activities.vetting import BlocklistVetting
from domain.blocklists import ZONES
from settings import Settings
from tests.providers.blocklist_knot import SUFFIX, BlocklistKnot, lists_knot  # noqa: F401 - the fixture


@pytest.mark.parametrize(
    ("address", "against"),
    [
        ("203.0.113.9", []),
        ("203.0.113.10", ["zen.spamhaus.org"]),
        ("203.0.113.11", ["zen.spamhaus.org"]),
        ("203.0.113.13", []),
        ("203.0.113.14", []),
    ],
    ids=["clean", "SBL", "PBL", "graded", "neighbourhood"],
)
async def test_what_speaks_against_a_candidate(
    lists_knot: BlocklistKnot,  # noqa: F811
    address: str,
    against: list[str],
) -> None:
    vetting = BlocklistVetting(Settings(blocklist_resolver=f"127.0.0.1@{lists_knot.port}", blocklist_suffix=SUFFIX))
    answers = await vetting.look(address)
    assert [one.zone for one in answers] == [zone.name for zone in ZONES], "every list's answer is shown"
    assert [one.zone for one in answers if one.against] == against
    unknown = [one.zone for one in answers if one.state == "unknown"]
    assert unknown == ["psbl.surriel.com"], "a list that lists everyone neither clears nor refuses"
