"""Names that are aliases (CNAME): what stands behind one counts, and what stands at the name itself is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.dns import Record, RecordState, zone_value
from providers.dns.port import Changed
from tests.providers.dns_neighbours import DOMAIN, NEGATIVE, Neighbours, need_servers, records

BEHIND = f"keys.{DOMAIN}"
APEX = f"$TTL {NEGATIVE}\n@ SOA ns3.{DOMAIN}. hostmaster 1 60 60 3600 {NEGATIVE}\n@ NS ns3.{DOMAIN}.\n"
#: Serial of the zone in front, as a date; the zone behind is at 1.
DATED = 2026112401


@pytest.fixture
def aliased(tmp_path: Path) -> Iterator[Neighbours]:
    """DKIM and DMARC are aliases into the zone ``keys``, which holds them; names under ``wild`` are one by wildcard."""
    need_servers()
    on = Neighbours(tmp_path)
    on.serial = DATED
    on.zone_lines = (
        f"ns3 A 127.0.0.6\nkeys NS ns3\n*.wild CNAME other\nreal.wild CNAME elsewhere.{BEHIND}.\nother A 127.0.0.9\n"
        '*.texts TXT "v=spf1 -all"\n'
    )
    lines = APEX
    for key in ("dkim", "dmarc"):
        record = records()[key]
        on.zone_lines += f"{record.name}. CNAME {key}.{BEHIND}.\n"
        lines += f"{key} TXT {zone_value(record, record.expected[0])}\n"
    on.customer = (BEHIND, lines)
    try:
        on.start()
        yield on
    finally:
        on.stop()


async def state(on: Neighbours, record: Record) -> RecordState | None:
    watch = on.observer()
    (view,) = await watch.look([record], {record.zone_hint: await watch.zone(record.zone_hint)})
    return view.state


@pytest.mark.parametrize("key", ["dkim", "dmarc"])
async def test_a_record_behind_an_alias_is_judged_by_the_serial_in_front(aliased: Neighbours, key: str) -> None:
    record = records()[key]
    assert await state(aliased, record.model_copy(update={"serial": DATED})) is RecordState.VISIBLE
    newer = record.model_copy(update={"serial": DATED + 1})
    assert await state(aliased, newer) is RecordState.MISSING, "a serial that the zone in front has not reached"


async def test_what_a_name_holds_itself(aliased: Neighbours) -> None:
    watch = aliased.observer()
    zone = await watch.zone(DOMAIN)
    assert await watch.held(DOMAIN, "TXT", zone) == (["site-verification=1"], None)
    assert await watch.held(f"other.{DOMAIN}", "A", zone) == (["127.0.0.9"], None)
    assert await watch.held(f"nothing.{DOMAIN}", "A", zone) == ([], None)
    assert await watch.held(f"_dmarc.{DOMAIN}", "TXT", zone) == ([], f"dmarc.{BEHIND}")
    assert await watch.held(f"real.wild.{DOMAIN}", "A", zone) == ([], f"elsewhere.{BEHIND}")
    assert await watch.held(f"any.wild.{DOMAIN}", "A", zone) == ([], None), "the wildcard's alias gives way"


async def test_an_spf_record_that_a_wildcard_makes_up_gives_way(aliased: Neighbours) -> None:
    """The name itself holds nothing, whatever the server answers for it."""
    watch, publisher = aliased.observer(), aliased.publisher()
    zone = await watch.zone(DOMAIN)
    name = f"news.texts.{DOMAIN}"
    found, _ = await watch.held(name, "TXT", zone)
    assert found == ["v=spf1 -all"]
    wanted = records()["spf"].model_copy(update={"name": name, "expected": ["v=spf1 ip4:203.0.113.9 -all"]})
    await publisher.publish(wanted, DOMAIN, found)
    assert (await watch.held(name, "TXT", zone))[0] == wanted.expected
    await publisher.publish(wanted, DOMAIN, wanted.expected)
    with pytest.raises(Changed):
        await publisher.publish(wanted, DOMAIN, found)
