"""Reverse zones smaller than a /24 (RFC 2317): the provider's zone points into the customer's, which holds the PTR."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain import dns_findings
from domain.dns import RecordState as State
from domain.dns import RecordView, reverse_name
from domain.fcrdns import evaluate
from providers.dns.observer import Observer
from tests.providers.dns_neighbours import ADDRESS, DOMAIN, NEGATIVE, REVERSE, Neighbours, need_servers, records

CUSTOMERS = f"8/29.{REVERSE}"
POINTED = f"8/29 NS ns3.{DOMAIN}.\n9 CNAME 9.8/29\n"
APEX = f"$TTL {NEGATIVE}\n@ SOA ns3.{DOMAIN}. hostmaster 1 60 60 3600 {NEGATIVE}\n@ NS ns3.{DOMAIN}.\n"
PTR = f"9 PTR mail.{DOMAIN}.\n"

Start = Callable[..., Neighbours]


@pytest.fixture
def classless(tmp_path: Path) -> Iterator[Start]:
    """Starts the provider's reverse zone with the alias, and the customer's zone with the given lines."""
    need_servers()
    running = Neighbours(tmp_path)
    running.zone_lines = f"ns3 A 127.0.0.6\nmail A {ADDRESS}\n"

    def start(lines: str = PTR, pointed: str = POINTED) -> Neighbours:
        running.reverse_lines = pointed
        running.customer = (CUSTOMERS, APEX + lines)
        running.start()
        return running

    try:
        yield start
    finally:
        running.stop()


async def look(observer: Observer) -> tuple[RecordView, dict[str, str]]:
    """The view of the PTR, and the fix of each finding."""
    record = records()["ptr"]
    zone = await observer.zone(record.zone_hint)
    (view,) = await observer.look([record], {record.zone_hint: zone})
    return view, {finding.code: finding.fix for finding in dns_findings.findings(view)}


async def test_the_ptr_behind_the_alias_is_published_and_visible(classless: Start) -> None:
    on = classless()
    watch = on.observer()
    view, fixes = await look(watch)
    assert (view.state, fixes) == (State.VISIBLE, {})
    assert {answer.server for answer in view.servers} == {f"ns3.{DOMAIN} (127.0.0.6@{on.port})"}, "who holds it said it"
    zone = await watch.zone(REVERSE)
    assert await watch.values(reverse_name(ADDRESS), "PTR", zone) == [f"mail.{DOMAIN}"]
    assert (await evaluate(ADDRESS, watch.fetch)).result == "pass"


@pytest.mark.parametrize(
    ("lines", "state", "code"),
    [
        ("", State.MISSING, "missing_ptr"),
        (f"9 PTR other.{DOMAIN}.\n", State.WRONG, "wrong_ptr"),
        (PTR + f"9 PTR other.{DOMAIN}.\n", State.EXTRA, "second_ptr"),
    ],
    ids=["missing", "wrong", "second"],
)
async def test_what_is_wrong_behind_the_alias(classless: Start, lines: str, state: State, code: str) -> None:
    view, fixes = await look(classless(lines).observer())
    assert (view.published, set(fixes)) == (state, {code})


async def test_customers_whose_servers_are_silent_are_no_missing_ptr(classless: Start) -> None:
    on = classless()
    on.halt("customer")
    view, fixes = await look(on.observer(timeout=0.4))
    assert view.published in (State.TIMEOUT, State.SERVER_FAILURE)
    assert "missing_ptr" not in fixes


async def test_an_alias_to_nothing_in_the_same_zone_is_a_missing_ptr(classless: Start) -> None:
    view, fixes = await look(classless(pointed="9 CNAME nothing\n").observer())
    assert (view.published, set(fixes)) == (State.MISSING, {"missing_ptr"})


async def test_aliases_in_a_circle_end(classless: Start) -> None:
    view, _ = await look(classless(lines=f"9 CNAME 9.{REVERSE}.\n").observer())
    assert view.published is State.SERVER_FAILURE
