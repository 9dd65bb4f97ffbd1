"""Dynamic updates to a real Knot: each refusal is a sentence, and a zone file of ours loads."""

from __future__ import annotations

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.update
import dns.zone
import pytest

from domain import dns as rules
from providers.dns.endpoint import Endpoint
from providers.dns.port import PublishFailed
from providers.dns.rfc2136 import Rfc2136Publisher
from tests.providers.dns_neighbours import (  # noqa: F401 - the fixture
    DOMAIN,
    KEY_NAME,
    SECRET,
    Neighbours,
    neighbours,
    records,
)


async def refusal(publisher: Rfc2136Publisher, zone: str = DOMAIN) -> str:
    record = records()["a"].model_copy(update={"name": f"mail.{zone}"})
    with pytest.raises(PublishFailed) as failed:
        await publisher.publish(record, zone, [])
    return str(failed.value)


async def test_every_refusal_is_a_sentence(neighbours: Neighbours) -> None:  # noqa: F811
    where, nobody = str(neighbours.primary), Endpoint("127.0.0.6", neighbours.port)
    said = {
        "secret": await refusal(neighbours.publisher(secret="AAAA" * 11)),
        "key": await refusal(neighbours.publisher(name="stranger")),
        "zone": await refusal(neighbours.publisher(), "elsewhere.test"),
        "down": await refusal(Rfc2136Publisher(nobody, KEY_NAME, "hmac-sha256", SECRET)),
    }
    for sentence in said.values():
        assert "A mail." in sentence
    assert said["secret"].endswith("it does not accept the TSIG signature; check the key's secret"), said
    assert said["key"].endswith("it does not know the TSIG key; check the key's name"), said
    assert said["zone"].endswith("it does not serve the zone elsewhere.test, or not as its primary"), said
    assert said["down"].endswith("it does not answer"), said
    assert where in said["zone"]
    neighbours.halt("primary")
    assert (await refusal(neighbours.publisher(timeout=0.5))).endswith("it does not answer")


async def test_an_unsigned_update_is_not_taken(neighbours: Neighbours) -> None:  # noqa: F811
    unsigned = dns.update.UpdateMessage(DOMAIN)
    unsigned.add("x", 60, "A", "203.0.113.1")
    reply = dns.query.tcp(unsigned, neighbours.primary.address, port=neighbours.port, timeout=3)
    assert reply.rcode() == dns.rcode.NOTAUTH
    publisher = neighbours.publisher()
    publisher._key = None  # type: ignore[assignment] # as with a server that no longer asks the key's zone
    assert (await refusal(publisher)).endswith("it takes no update that is not signed with a key it trusts")


async def test_repeating_an_update_after_a_crash_changes_nothing(neighbours: Neighbours) -> None:  # noqa: F811
    """A worker that dies between publishing and writing it down publishes again."""
    observer = neighbours.observer()
    zone = await observer.zone(DOMAIN)
    for record in records().values():
        if record.type == "PTR":
            continue
        present = await observer.values(record.name, record.type, zone)
        first = await neighbours.publisher().publish(record, DOMAIN, present)
        held = await observer.values(record.name, record.type, zone)
        again = await neighbours.publisher().publish(record, DOMAIN, held)
        assert again == first, "the zone did not change"
        assert await observer.values(record.name, record.type, zone) == held


async def test_ipv6_all_through(neighbours: Neighbours) -> None:  # noqa: F811
    wish = rules.Wish(
        address="2001:db8::9", hostname=f"six.{DOMAIN}", domain=DOMAIN, dkim_record="v=DKIM1; k=rsa; p=AAAA"
    )
    given = rules.render(wish, rules.Existing(txt=["v=spf1 ip4:203.0.113.9 mx -all"]))
    six = {record.key: record for record in given}
    assert list(six) == ["aaaa", "ptr", "mx", "spf", "dkim", "dmarc"]
    assert six["ptr"].name == "9." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"
    assert six["spf"].expected == ["v=spf1 ip6:2001:db8::9 ip4:203.0.113.9 mx -all"]
    observer = neighbours.observer()
    for key in ("aaaa", "spf"):
        zone = await observer.zone(DOMAIN)
        present = await observer.values(six[key].name, six[key].type, zone)
        await neighbours.publisher().publish(six[key], DOMAIN, present)
        found = await observer.authoritative(six[key], zone)
        assert rules.RecordView(record=six[key]).record.expected[0] in found[0].values


def test_the_zone_file_loads_into_knot(neighbours: Neighbours) -> None:  # noqa: F811
    given = rules.render(
        rules.Wish(
            address="203.0.113.9",
            hostname=f"mail.{DOMAIN}",
            domain=DOMAIN,
            dkim_record="v=DKIM1; k=rsa; p=" + "A" * 700,
        ),
        rules.Existing(txt=['v=spf1 exists:%{i}."odd\\".test -all']),
    )
    dns.zone.from_text(rules.zone_file(given), origin=DOMAIN, check_origin=False, relativize=False)
    file = neighbours.folder / "primary" / f"{DOMAIN}.zone"
    file.write_text(file.read_text() + rules.zone_file(given))
    neighbours.control("primary", "zone-check", DOMAIN)
    neighbours.control("primary", "-f", "zone-reload", DOMAIN)
    for record in given:
        if record.type == "PTR":
            continue
        query = dns.message.make_query(record.name, record.type)
        reply = dns.query.tcp(query, neighbours.primary.address, port=neighbours.port, timeout=3)
        parts = [list(getattr(item, "strings", ())) for item in reply.answer[0]]
        served = [b"".join(one).decode() or item.to_text() for one, item in zip(parts, reply.answer[0], strict=True)]
        assert all(wanted in [value.rstrip(".") for value in served] for wanted in record.expected), record.key
        assert all(len(part) <= 255 for one in parts for part in one)
        if record.key == "dkim":
            assert [len(part) for part in reply.answer[0][0].strings] == [255, 255, 208]


def test_a_broken_zone_file_does_not_load(neighbours: Neighbours) -> None:  # noqa: F811
    """The check that the test above relies on can fail. (Knot cuts long strings by itself; dnspython does not.)"""
    file = neighbours.folder / "primary" / f"{DOMAIN}.zone"
    file.write_text(file.read_text() + f"key.{DOMAIN}. 60 IN A nonsense\n")
    with pytest.raises(RuntimeError, match="error"):
        neighbours.control("primary", "zone-check", DOMAIN)
    with pytest.raises(dns.exception.DNSException):
        dns.zone.from_text(f'k.{DOMAIN}. 60 IN TXT "{"A" * 400}"\n', origin=DOMAIN, check_origin=False)
