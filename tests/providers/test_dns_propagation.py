"""Published and visible, each trouble with its own finding, on Knot and Unbound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from domain import dns as rules
from domain import dns_findings
from domain.dns import RecordState as State
from domain.refusals import Refused
from providers.dns.port import Changed, PublishFailed
from tests.providers.dns_neighbours import (  # noqa: F401 - the fixture
    DOMAIN,
    NEGATIVE,
    REVERSE,
    Neighbours,
    neighbours,
    records,
)


async def look(on: Neighbours, key: str, record: rules.Record | None = None) -> rules.RecordView:
    record = record or records()[key]
    observer = on.observer()
    zone = await observer.zone(record.zone_hint)
    (view,) = await observer.look([record], {record.zone_hint: zone})
    return view


async def until(
    seconds: float, what: Callable[[], Awaitable[rules.RecordView]], state: State
) -> tuple[rules.RecordView, float]:
    started = time.monotonic()
    while True:
        view = await what()
        waited = time.monotonic() - started
        if view.state is state:
            return view, waited
        assert waited < seconds, view
        await asyncio.sleep(0.1)


async def publish(on: Neighbours, record: rules.Record) -> None:
    zone = REVERSE if record.type == "PTR" else DOMAIN
    found = await on.observer().values(record.name, record.type, await on.observer().zone(record.zone_hint))
    record.serial = await on.publisher().publish(record, zone, found)


def codes(view: rules.RecordView) -> set[str]:
    return {finding.code for finding in dns_findings.findings(view)}


async def test_every_record_becomes_visible(neighbours: Neighbours) -> None:  # noqa: F811
    for record in records().values():
        await publish(neighbours, record)
    for key in records():
        await until(15, lambda key=key: look(neighbours, key), State.VISIBLE)  # type: ignore[misc]


async def test_a_stale_secondary_is_not_published(neighbours: Neighbours) -> None:  # noqa: F811
    neighbours.control("secondary", "zone-freeze", DOMAIN)
    record = records()["a"]
    await publish(neighbours, record)
    view = await look(neighbours, "a", record)
    assert view.published is State.MISSING
    assert codes(view) == {"stale_server"}
    assert view.visible is None, "resolvers must not be asked before the servers agree"
    neighbours.control("secondary", "zone-thaw", DOMAIN)
    neighbours.control("secondary", "zone-retransfer", DOMAIN)
    await until(10, lambda: look(neighbours, "a", record), State.VISIBLE)


async def test_a_negative_answer_delays_visible_by_its_ttl_and_no_more(neighbours: Neighbours) -> None:  # noqa: F811
    record = records()["a"]
    said = await neighbours.observer().recursive(record)
    assert {answer.outcome for answer in said} == {"nxdomain"}
    asked = time.monotonic()
    await publish(neighbours, record)
    view, _ = await until(4, lambda: look(neighbours, "a", record), State.PUBLISHED)
    assert time.monotonic() - asked < NEGATIVE, "published came first"
    assert codes(view) == {"not_visible"}
    await until(10, lambda: look(neighbours, "a", record), State.VISIBLE)
    assert NEGATIVE - 1.1 <= time.monotonic() - asked <= NEGATIVE + 2


async def test_a_second_spf_record_and_somebody_elses_txt(neighbours: Neighbours) -> None:  # noqa: F811
    spf = records()["spf"]
    await publish(neighbours, spf)
    view, _ = await until(10, lambda: look(neighbours, "spf", spf), State.VISIBLE)
    assert codes(view) == {"foreign_txt"}
    second = spf.model_copy(update={"key": "x", "expected": ["v=spf1 mx -all"]})
    await neighbours.publisher().publish(second, DOMAIN, [])
    view, _ = await until(10, lambda: look(neighbours, "spf", spf), State.EXTRA)
    assert codes(view) == {"second_spf", "foreign_txt"}


async def test_an_update_replaces_only_its_own_value(neighbours: Neighbours) -> None:  # noqa: F811
    spf = records()["spf"]
    await publish(neighbours, spf)
    await publish(neighbours, spf.model_copy(update={"expected": ["v=spf1 ip4:203.0.113.10 ~all"]}))
    observer = neighbours.observer()
    values = await observer.values(DOMAIN, "TXT", await observer.zone(DOMAIN))
    assert values == ["site-verification=1", "v=spf1 ip4:203.0.113.10 ~all"]


async def test_a_missing_and_a_wrong_ptr(neighbours: Neighbours) -> None:  # noqa: F811
    ptr = records()["ptr"]
    assert codes(await look(neighbours, "ptr", ptr)) == {"missing_ptr"}
    await publish(neighbours, ptr.model_copy(update={"expected": ["other.test"]}))
    view, _ = await until(10, lambda: look(neighbours, "ptr", ptr), State.WRONG)
    assert codes(view) == {"wrong_ptr"}
    (finding,) = dns_findings.findings(view)
    assert "other.test" in finding.detail
    assert "vendor" in finding.fix


async def test_a_silent_name_server(neighbours: Neighbours) -> None:  # noqa: F811
    record = records()["a"]
    await publish(neighbours, record)
    neighbours.halt("secondary")
    observer = neighbours.observer(timeout=0.3)
    zone = await observer.zone(record.zone_hint)
    (view,) = await observer.look([record], {record.zone_hint: zone})
    assert codes(view) == {"server_timeout"}
    assert view.visible is None
    neighbours.go_on("secondary")
    await until(10, lambda: look(neighbours, "a", record), State.VISIBLE)


async def test_a_name_that_no_server_knows_is_refused(neighbours: Neighbours) -> None:  # noqa: F811
    with pytest.raises(Refused, match="does not exist in DNS"):
        await neighbours.observer().zone("nowhere.shop.test")
    with pytest.raises(Refused, match="does not exist in DNS"):
        await neighbours.observer().zone("nowhere.example")


@pytest.mark.parametrize(
    ("secret", "name", "said"),
    [("AAAA" * 11, "warmpath", "TSIG signature"), (None, "stranger", "TSIG key")],
)
async def test_a_bad_key_is_a_clear_failure(
    neighbours: Neighbours,  # noqa: F811
    secret: str | None,
    name: str,
    said: str,
) -> None:
    publisher = neighbours.publisher(name=name, **({"secret": secret} if secret else {}))
    with pytest.raises(PublishFailed, match=said):
        await publisher.publish(records()["a"], DOMAIN, [])


async def test_two_ips_at_once_never_make_two_spf_records(neighbours: Neighbours) -> None:  # noqa: F811
    spf = records()["spf"]
    publisher, seen = neighbours.publisher(), ["site-verification=1"]
    await publisher.publish(spf, DOMAIN, seen)
    second = spf.model_copy(update={"expected": ["v=spf1 ip4:203.0.113.10 ~all"]})
    with pytest.raises(Changed):
        await publisher.publish(second, DOMAIN, seen)
    merged = spf.model_copy(update={"expected": ["v=spf1 ip4:203.0.113.10 ip4:203.0.113.9 ~all"]})
    await publisher.publish(merged, DOMAIN, [*seen, *spf.expected])
    view, _ = await until(10, lambda: look(neighbours, "spf", spf), State.VISIBLE)
    assert codes(view) == {"foreign_txt"}, "the first IP still holds"
