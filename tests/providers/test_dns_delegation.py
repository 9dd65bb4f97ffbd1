"""The delegation at the parent against the zone's NS set, on a parent and children of Knot.

Both ways to a zone are tried: down from the servers that ``WARMPATH_DNS_SERVERS`` names, and through the
resolver of the machine, as in a live installation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dns.asyncquery
import dns.asyncresolver
import dns.message
import pytest

from domain import dns as rules
from domain import dns_findings
from domain.dns import Outcome
from domain.dns import RecordState as State
from domain.refusals import Refused
from providers.dns.endpoint import Endpoint
from providers.dns.observer import Observer
from providers.dns.zones import ZoneNotFound
from tests.providers.dns_neighbours import ADDRESS, DOMAIN, Neighbours, need_servers, records

RIGHT = "shop NS ns1.shop\nshop NS ns2.shop\nns1.shop A 127.0.0.1\nns2.shop A 127.0.0.2\n"
#: The record of these tests stands in the zone from the start; nobody wrote it through a publisher.
HELD = f"mail A {ADDRESS}\n"

Start = Callable[..., Neighbours]


@pytest.fixture
def hierarchy(tmp_path: Path) -> Iterator[Start]:
    """Starts a parent with the given delegation, its children and the resolvers."""
    need_servers()
    running = Neighbours(tmp_path)

    def start(delegation: str = RIGHT, zone: str = "") -> Neighbours:
        running.zone_lines = HELD + zone
        running.start_parent(delegation)
        running.start()
        return running

    try:
        yield start
    finally:
        running.stop()


@pytest.fixture(params=["from the servers of the settings", "through the machine's resolver"])
def observer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Neighbours], Observer]:
    """An observer that finds zones the one way or the other."""

    def of(on: Neighbours) -> Observer:
        servers = [Endpoint("127.0.0.5", on.port)]
        if request.param.startswith("through"):
            servers = []
            resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.3"], on.port, 3.0
            monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver)
        return Observer(servers=servers, resolvers=on.resolvers, port=on.port, quorum=1.0, timeout=0.7)

    return of


async def look(observer: Observer, record: rules.Record | None = None) -> tuple[rules.RecordView, dict[str, str]]:
    """The view of the address record, and the fix of each finding."""
    record = record or records()["a"]
    zone = await observer.zone(DOMAIN)
    (view,) = await observer.look([record], {record.zone_hint: zone})
    return view, {finding.code: finding.fix for finding in dns_findings.findings(view)}


async def test_a_referral_is_followed_to_every_address(
    hierarchy: Start, observer: Callable[[Neighbours], Observer]
) -> None:
    on = hierarchy()
    watch = observer(on)
    zone = await watch.zone(DOMAIN)
    assert (zone.apex, zone.delegation_ok) == (DOMAIN, True)
    assert {server.endpoint for server in zone.servers} == {on.primary, on.secondary}
    assert zone.parent_ns == zone.own_ns == ("ns1.shop.test", "ns2.shop.test")
    view, fixes = await look(watch)
    assert (view.state, fixes) == (State.VISIBLE, {})
    with pytest.raises(Refused, match="does not exist"):
        await watch.zone("nowhere.test")


async def test_a_name_server_missing_at_the_parent(
    hierarchy: Start, observer: Callable[[Neighbours], Observer]
) -> None:
    on = hierarchy("shop NS ns1.shop\nns1.shop A 127.0.0.1\n")
    view, fixes = await look(observer(on))
    assert view.published is State.SERVER_FAILURE
    assert view.visible is None, "resolvers are not asked before delegation and servers agree"
    assert set(fixes) == {"ns_missing_at_parent"}
    assert "Add ns2.shop.test to the delegation" in fixes["ns_missing_at_parent"]


async def test_a_lame_delegation(hierarchy: Start, observer: Callable[[Neighbours], Observer]) -> None:
    # ns3 leads to the parent itself, which does not serve the zone and points elsewhere.
    on = hierarchy(RIGHT + "shop NS ns3.shop\nns3.shop A 127.0.0.5\n")
    view, fixes = await look(observer(on))
    assert view.published is State.SERVER_FAILURE
    assert set(fixes) == {"ns_missing_in_zone", "lame_server"}
    assert "Take ns3.shop.test out of the delegation" in fixes["ns_missing_in_zone"]
    lame = [answer.server for answer in view.servers if answer.outcome == Outcome.LAME]
    assert lame == [f"ns3.shop.test (127.0.0.5@{on.port})"]


async def test_a_lame_server_in_both_sets_is_no_trouble_of_the_delegation(
    hierarchy: Start, observer: Callable[[Neighbours], Observer]
) -> None:
    on = hierarchy(RIGHT + "shop NS ns3.shop\nns3.shop A 127.0.0.5\n", "@ NS ns3.shop.test.\nns3 A 127.0.0.5\n")
    _, fixes = await look(observer(on))
    assert set(fixes) == {"lame_server"}


async def test_an_answer_without_authority_is_not_published(
    hierarchy: Start, observer: Callable[[Neighbours], Observer]
) -> None:
    on = hierarchy(RIGHT + "shop NS ns3.shop\nns3.shop A 127.0.0.6\n", "@ NS ns3.shop.test.\nns3 A 127.0.0.6\n")
    cache = on.start_cache()
    for rdtype in ("A", "SOA"):
        name = f"mail.{DOMAIN}" if rdtype == "A" else DOMAIN
        await dns.asyncquery.udp(dns.message.make_query(name, rdtype), cache.address, port=cache.port, timeout=3)
    view, fixes = await look(observer(on))
    assert {a.outcome for a in view.servers if "127.0.0.6" in a.server} == {Outcome.NO_AUTHORITY}
    assert next(a.values for a in view.servers if "127.0.0.6" in a.server) == [ADDRESS], "the value itself is right"
    assert (view.published, set(fixes)) == (State.SERVER_FAILURE, {"not_authoritative"})


async def test_an_older_serial_is_not_published(hierarchy: Start, observer: Callable[[Neighbours], Observer]) -> None:
    on = hierarchy()
    on.control("secondary", "zone-freeze", DOMAIN)
    record = records()["a"]
    # Another name changes: the secondary still has the right value, at a serial before the one wanted.
    other = record.model_copy(update={"name": f"other.{DOMAIN}"})
    record.serial = await on.publisher().publish(other, DOMAIN, [])
    view, fixes = await look(observer(on), record)
    assert [a.values for a in view.servers] == [[ADDRESS], [ADDRESS]]
    assert len({a.serial for a in view.servers}) == 2
    assert (view.published, set(fixes)) == (State.MISSING, {"stale_server"})


async def test_a_glue_address_that_nobody_answers_on(
    hierarchy: Start, observer: Callable[[Neighbours], Observer]
) -> None:
    on = hierarchy(RIGHT + "ns2.shop A 127.0.0.6\n")
    view, fixes = await look(observer(on))
    assert (view.published, set(fixes)) == (State.TIMEOUT, {"server_timeout"})
    assert {a.server for a in view.servers if a.outcome == Outcome.TIMEOUT} == {f"ns2.shop.test (127.0.0.6@{on.port})"}


async def test_no_server_of_the_delegation_answers(tmp_path: Path) -> None:
    need_servers()
    on = Neighbours(tmp_path)
    try:
        parent = on.start_parent("shop NS ns1.shop\nns1.shop A 127.0.0.5\n")
        watch = Observer(servers=[parent], resolvers=on.resolvers, port=on.port, timeout=0.3)
        with pytest.raises(ZoneNotFound, match="no name server answers for shop.test"):
            await watch.zone(DOMAIN)
    finally:
        on.stop()
