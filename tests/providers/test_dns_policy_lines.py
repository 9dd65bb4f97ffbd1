"""Rule by rule how DNS is read and published, on Knot and Unbound with their counters and time-outs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from domain import dns as rules
from domain import dns_findings, fcrdns, spf
from domain.dns import RecordState as State
from domain.refusals import Refused
from providers.dns.endpoint import Endpoint
from providers.dns.observer import Observer
from tests.providers.dns_neighbours import (  # noqa: F401 - the fixture
    ADDRESS,
    DOMAIN,
    NEGATIVE,
    REVERSE,
    Neighbours,
    neighbours,
    records,
)


class Front:
    """A UDP relay before a resolver: counts the questions, and gives a canned answer for the first ones."""

    def __init__(self, behind: Endpoint, canned: int = 0) -> None:
        self.behind, self.canned, self.asked = behind, canned, Counter[str]()

    async def start(self) -> Endpoint:
        loop = asyncio.get_running_loop()
        front = self

        class Relay(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.out = transport

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                loop.create_task(front.relay(data, addr, self.out))  # type: ignore[arg-type]

        self.transport, _ = await loop.create_datagram_endpoint(Relay, local_addr=("127.0.0.1", 0))
        return Endpoint("127.0.0.1", self.transport.get_extra_info("sockname")[1])

    async def relay(self, data: bytes, addr: tuple[str, int], out: asyncio.DatagramTransport) -> None:
        query = dns.message.from_wire(data)
        self.asked[query.question[0].name.to_text(omit_final_dot=True)] += 1
        if 0 < self.canned <= sum(self.asked.values()):
            reply = dns.message.make_response(query)
            reply.set_rcode(dns.rcode.NXDOMAIN)
            out.sendto(reply.to_wire(), addr)
            return
        reply = await dns.asyncquery.udp(query, self.behind.address, port=self.behind.port, timeout=3)
        out.sendto(reply.to_wire(), addr)


async def put(on: Neighbours, record: rules.Record) -> None:
    zone = await on.observer().zone(record.zone_hint)
    present = await on.observer().values(record.name, record.type, zone)
    record.serial = await on.publisher().publish(record, zone.apex, present)


async def look(observer: Observer, record: rules.Record) -> rules.RecordView:
    zone = await observer.zone(record.zone_hint)
    (view,) = await observer.look([record], {record.zone_hint: zone})
    return view


async def published(on: Neighbours, record: rules.Record) -> None:
    limit = time.monotonic() + 10
    watch = Observer(servers=[on.primary, on.secondary], resolvers=[], port=on.port)
    while (await look(watch, record)).published is not State.PUBLISHED:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)


async def test_resolvers_are_not_asked_before_every_authoritative_server_agrees(neighbours: Neighbours) -> None:  # noqa: F811
    front = Front(neighbours.resolvers[0])
    endpoint = await front.start()
    watch = Observer(
        servers=[neighbours.primary, neighbours.secondary], resolvers=[endpoint], port=neighbours.port, quorum=1.0
    )
    neighbours.control("secondary", "zone-freeze", DOMAIN)
    record = records()["a"]
    await put(neighbours, record)
    for _ in range(3):
        assert (await look(watch, record)).visible is None
    assert front.asked == Counter(), "a question would have cached that there is none"
    neighbours.control("secondary", "zone-thaw", DOMAIN)
    neighbours.control("secondary", "zone-retransfer", DOMAIN)
    await published(neighbours, record)
    began = time.monotonic()
    assert (await look(watch, record)).visible is State.VISIBLE
    assert time.monotonic() - began < NEGATIVE, "nothing negative had been cached by us"
    assert front.asked == Counter({record.name: 2}), "two consecutive rounds"
    front.transport.close()


async def test_one_good_round_is_not_visible(neighbours: Neighbours) -> None:  # noqa: F811
    record = records()["a"]
    await put(neighbours, record)
    await published(neighbours, record)
    front = Front(neighbours.resolvers[0], canned=2)
    endpoint = await front.start()
    watch = Observer(
        servers=[neighbours.primary, neighbours.secondary], resolvers=[endpoint], port=neighbours.port, quorum=1.0
    )
    view = await look(watch, record)
    assert front.asked[record.name] == 2
    assert (view.published, view.visible) == (State.PUBLISHED, State.MISSING), "the second round said no"
    front.transport.close()


@pytest.mark.parametrize(("quorum", "state"), [(0.5, State.VISIBLE), (1.0, State.MISSING)])
async def test_a_quorum_of_the_resolvers_decides(neighbours: Neighbours, quorum: float, state: State) -> None:  # noqa: F811
    record = records()["a"]
    # One of the two has learnt that there is none.
    await neighbours.observer()._recursive(neighbours.resolvers[1], record)
    await put(neighbours, record)
    watch = Observer(
        servers=[neighbours.primary, neighbours.secondary],
        resolvers=neighbours.resolvers,
        port=neighbours.port,
        quorum=quorum,
    )
    await published(neighbours, record)
    view = await look(watch, record)
    assert view.visible is state
    left = [answer.ttl for answer in view.resolvers if answer.outcome == "nxdomain"]
    assert left
    assert all(0 <= (ttl or 0) <= NEGATIVE for ttl in left), "the next look follows what is left of it"


async def test_a_missing_ptr_is_permanent_and_a_dns_failure_temporary(neighbours: Neighbours) -> None:  # noqa: F811
    observer = neighbours.observer(timeout=0.4)
    assert (await fcrdns.evaluate(ADDRESS, observer.fetch)).result == "permerror"
    for record in (records()["ptr"], records()["a"]):
        await put(neighbours, record)
        await published(neighbours, record)
    limit = time.monotonic() + 10
    while (result := await fcrdns.evaluate(ADDRESS, observer.fetch)).result != "pass":
        assert time.monotonic() < limit, result
        await asyncio.sleep(0.2)
    assert result.names == [f"mail.{DOMAIN}"]
    for name in ("resolver0", "resolver1"):
        neighbours.halt(name)
    failed = await fcrdns.evaluate(ADDRESS, observer.fetch)
    assert (failed.result, "DNS failed" in failed.detail) == ("temperror", True)
    assert (await spf.evaluate(DOMAIN, ADDRESS, observer.fetch)).result == "temperror"


async def test_a_second_ptr_is_its_own_finding(neighbours: Neighbours) -> None:  # noqa: F811
    ptr = records()["ptr"]
    await put(neighbours, ptr)
    # As somebody else would add one: nothing of what is there is taken away.
    await neighbours.publisher().publish(ptr.model_copy(update={"expected": ["other.test"]}), REVERSE, [])
    limit = time.monotonic() + 10
    while (view := await look(neighbours.observer(), ptr)).published is not State.EXTRA:
        assert time.monotonic() < limit, view
        await asyncio.sleep(0.05)
    (finding,) = dns_findings.findings(view)
    assert finding.code == "second_ptr"
    assert f"keep mail.{DOMAIN}" in finding.fix


async def test_limits_of_spf_on_real_answers(neighbours: Neighbours) -> None:  # noqa: F811
    def text(name: str, value: str) -> rules.Record:
        return rules.Record(key="x", name=f"{name}.{DOMAIN}", type="TXT", expected=[value], zone_hint=DOMAIN)

    for number in range(11):
        await put(neighbours, text(f"i{number}", "v=spf1 -all"))
    many = " ".join(f"include:i{number}.{DOMAIN}" for number in range(11))
    void = " ".join(f"a:nothing{number}.{DOMAIN}" for number in range(3))
    observer = neighbours.observer()
    for terms, lookups, voids in ((many, 11, 0), (void, 3, 3), (many.rpartition(" ")[0], 10, 0)):
        record = f"v=spf1 {terms} -all"
        result = await spf.evaluate(DOMAIN, ADDRESS, observer.fetch, record=record)
        assert (result.lookups, result.void) == (lookups, voids)
        if lookups > spf.MAX_LOOKUPS or voids > spf.MAX_VOID:
            assert result.result == "permerror"
            with pytest.raises(Refused, match="receivers stop"):
                spf.check_limits(result, DOMAIN)
        else:
            spf.check_limits(result, DOMAIN)


def test_the_guide_names_every_code_that_a_finding_can_have() -> None:
    root = Path(__file__).parents[2]
    guide = (root / "docs/guide/dns.md").read_text()
    for code in [
        "missing",
        "missing_ptr",
        "wrong",
        "wrong_ptr",
        "second_ptr",
        "second_spf",
        "extra",
        "stale_server",
        "servers_disagree",
        "server_timeout",
        "server_failure",
        "lame_server",
        "not_authoritative",
        "ns_missing_at_parent",
        "ns_missing_in_zone",
        "not_visible",
        "open_spf",
        "foreign_txt",
    ]:
        assert f"`{code}`" in guide, code
        assert f'"{code}"' in (root / "domain/dns_findings.py").read_text() or code in list(State), code
