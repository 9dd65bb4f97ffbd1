"""Blocklists read from a real DNS server."""

from __future__ import annotations

import socket

import pytest

from domain.blocklists import State, Weight, ZoneAnswer
from providers.blocklists import Blocklists
from settings import Settings
from tests.providers.blocklist_knot import SUFFIX, BlocklistKnot, lists_knot  # noqa: F401 - the fixture


def of(answers: list[ZoneAnswer], zone: str) -> ZoneAnswer:
    return next(one for one in answers if one.zone == zone)


def asking(port: int, suffix: str = SUFFIX, query_seconds: float = 5.0) -> Blocklists:
    """The time is generous where an answer is awaited: a busy machine must not read as a silent list."""
    settings = Settings(blocklist_resolver=f"127.0.0.1@{port}", blocklist_suffix=suffix)
    return Blocklists(settings, query_seconds=query_seconds)


@pytest.mark.parametrize(
    ("address", "zone", "state", "acts", "blocks_live"),
    [
        ("203.0.113.9", "zen.spamhaus.org", State.CLEAN, False, False),
        ("203.0.113.10", "zen.spamhaus.org", State.LISTED, True, False),
        ("203.0.113.11", "zen.spamhaus.org", State.NOT_A_LISTING, False, True),
        ("203.0.113.12", "zen.spamhaus.org", State.UNKNOWN, False, False),
        ("203.0.113.13", "bl.mailspike.net", State.NOT_A_LISTING, False, False),
        ("203.0.113.14", "dnsbl-2.uceprotect.net", State.LISTED, False, False),
        ("203.0.113.15", "psbl.surriel.com", State.UNKNOWN, False, False),
    ],
)
async def test_what_a_list_says(
    lists_knot: BlocklistKnot,  # noqa: F811
    address: str,
    zone: str,
    state: State,
    acts: bool,
    blocks_live: bool,
) -> None:
    found = of(await asking(lists_knot.port).check(address), zone)
    assert (found.state, found.acts, found.blocks_live) == (state, acts, blocks_live)


async def test_a_listed_domain(lists_knot: BlocklistKnot) -> None:  # noqa: F811
    lists = asking(lists_knot.port)
    assert (await lists.check_domain("bad.example"))[0].state is State.LISTED
    assert (await lists.check_domain("good.example"))[0].state is State.CLEAN


async def test_refused_is_unknown(lists_knot: BlocklistKnot) -> None:  # noqa: F811
    found = await asking(lists_knot.port, "elsewhere.test").check("203.0.113.10")
    assert {one.state for one in found} == {State.UNKNOWN}


async def test_silence_is_unknown() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        found = await asking(silent.getsockname()[1], query_seconds=0.3).check("203.0.113.10")
    assert {one.state for one in found} == {State.UNKNOWN}
    assert found[0].weight is Weight.CRITICAL
