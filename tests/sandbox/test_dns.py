"""The sandbox's DNS behaves as real servers do: updates, serials, lag, caching."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest
import pytest_asyncio

from sandbox.dns import HOST, Resolver, SandboxDns


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SandboxDns]:
    running = SandboxDns(tmp_path, 0, 0, (0, 0, 0), lag=0.2)
    await running.start()
    yield running
    await running.stop()


async def ask(port: int, name: str, kind: str = "A") -> dns.message.Message:
    return await dns.asyncquery.udp(dns.message.make_query(name, kind), HOST, port=port, timeout=2)


def update_of(server: SandboxDns, zone: str, key: str = "warmpath") -> dns.update.UpdateMessage:
    keyring = dns.tsigkeyring.from_text({key: server.keys[key]})
    return dns.update.UpdateMessage(
        zone, keyring=keyring, keyname=dns.name.from_text(key), keyalgorithm=dns.tsig.HMAC_SHA256
    )


async def send(server: SandboxDns, message: dns.message.Message) -> dns.rcode.Rcode:
    return (await dns.asyncquery.tcp(message, HOST, port=server.primary.port, timeout=2)).rcode()


async def serial(port: int, zone: str) -> int:
    return int((await ask(port, zone, "SOA")).answer[0][0].serial)


async def test_a_signed_update_is_answered_with_a_new_serial_and_reaches_the_secondary_later(
    server: SandboxDns,
) -> None:
    before = await serial(server.primary.port, "example-mail.test")
    change = update_of(server, "example-mail.test")
    change.add("mail", 30, "A", "198.51.100.9")
    assert await send(server, change) == dns.rcode.NOERROR
    answer = await ask(server.primary.port, "mail.example-mail.test")
    assert answer.flags & dns.flags.AA
    assert answer.answer[0][0].address == "198.51.100.9"
    assert await serial(server.primary.port, "example-mail.test") == before + 1
    assert await serial(server.secondary.port, "example-mail.test") == before
    async with asyncio.timeout(5):
        while await serial(server.secondary.port, "example-mail.test") == before:
            await asyncio.sleep(0.02)
    assert (await ask(server.secondary.port, "mail.example-mail.test")).answer


async def test_an_update_without_a_key_or_with_a_wrong_one_is_refused(server: SandboxDns) -> None:
    bare = dns.update.UpdateMessage("example-mail.test")
    bare.add("mail", 30, "A", "198.51.100.9")
    assert await send(server, bare) == dns.rcode.NOTAUTH
    ours = update_of(server, "byhand.test")
    ours.add("mail", 30, "A", "198.51.100.9")
    assert await send(server, ours) == dns.rcode.REFUSED
    registrar = update_of(server, "byhand.test", key="registrar")
    registrar.add("mail", 30, "A", "198.51.100.9")
    assert await send(server, registrar) == dns.rcode.NOERROR


async def test_an_update_replaces_only_its_own_value(server: SandboxDns) -> None:
    change = update_of(server, "example-mail.test")
    change.add("@", 30, "TXT", '"v=spf1 -all"')
    await send(server, change)
    undo = update_of(server, "example-mail.test")
    undo.delete("@", "TXT", '"v=spf1 -all"')
    await send(server, undo)
    left = (await ask(server.primary.port, "example-mail.test", "TXT")).answer[0]
    assert [rdata.strings for rdata in left] == [(b"site-verification=left-by-somebody-else",)]


async def test_an_update_can_delete_a_set_but_never_the_apex(server: SandboxDns) -> None:
    change = update_of(server, "example-mail.test")
    change.delete("www")
    change.delete("@")
    assert await send(server, change) == dns.rcode.NOERROR
    assert (await ask(server.primary.port, "www.example-mail.test")).rcode() == dns.rcode.NXDOMAIN
    assert len((await ask(server.primary.port, "example-mail.test", "NS")).answer[0]) == 2


async def test_a_prerequisite_that_does_not_hold_changes_nothing(server: SandboxDns) -> None:
    change = update_of(server, "example-mail.test")
    change.absent("www", "A")
    change.add("mail", 30, "A", "198.51.100.9")
    assert await send(server, change) == dns.rcode.YXRRSET
    assert not (await ask(server.primary.port, "mail.example-mail.test")).answer


async def test_a_prerequisite_names_a_whole_set(server: SandboxDns) -> None:
    first = update_of(server, "example-mail.test")
    first.add("many", 30, "TXT", '"one"')
    first.add("many", 30, "TXT", '"two"')
    assert await send(server, first) == dns.rcode.NOERROR
    part = update_of(server, "example-mail.test")
    part.present("many", "TXT", '"one"')
    part.add("many", 30, "TXT", '"three"')
    assert await send(server, part) == dns.rcode.NXRRSET
    whole = update_of(server, "example-mail.test")
    whole.present("many", "TXT", '"two"', '"one"')
    whole.add("many", 30, "TXT", '"three"')
    assert await send(server, whole) == dns.rcode.NOERROR
    assert len((await ask(server.primary.port, "many.example-mail.test", "TXT")).answer[0]) == 3


async def test_zones_survive_a_restart(server: SandboxDns, tmp_path: Path) -> None:
    change = update_of(server, "100.51.198.in-addr.arpa")
    change.add("9", 30, "PTR", "mail.example-mail.test.")
    await send(server, change)
    again = SandboxDns(tmp_path, 0, 0, (), lag=0)
    await again.start()
    try:
        answer = await ask(again.primary.port, "9.100.51.198.in-addr.arpa", "PTR")
        assert answer.answer[0][0].target.to_text() == "mail.example-mail.test."
    finally:
        await again.stop()


async def test_a_name_that_does_not_exist_is_denied_with_the_soa(server: SandboxDns) -> None:
    answer = await ask(server.primary.port, "nowhere.test", "NS")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.authority[0].name.to_text() == "test."
    assert answer.authority[0].ttl <= answer.authority[0][0].minimum


async def test_a_resolver_hides_a_new_record_for_the_negative_ttl_and_no_longer(server: SandboxDns) -> None:
    clock = [1000.0]
    resolver = Resolver([(HOST, server.primary.port)], now=lambda: clock[0])

    async def resolved() -> dns.message.Message:
        query = dns.message.make_query("mail.example-mail.test", "A")
        return dns.message.from_wire((await resolver.answer(query.to_wire(), False))[0])

    assert (await resolved()).rcode() == dns.rcode.NXDOMAIN
    change = update_of(server, "example-mail.test")
    change.add("mail", 30, "A", "198.51.100.9")
    await send(server, change)
    clock[0] += 9
    assert (await resolved()).rcode() == dns.rcode.NXDOMAIN
    clock[0] += 2
    assert (await resolved()).answer[0].ttl == 30
    clock[0] += 10
    assert (await resolved()).answer[0].ttl == 20


async def test_blocklists_pass_their_health_probe(server: SandboxDns) -> None:
    port = server.resolvers[0].port
    assert (await ask(port, "2.0.0.127.zen.spamhaus.org.bl.test")).answer
    assert (await ask(port, "1.0.0.127.zen.spamhaus.org.bl.test")).rcode() == dns.rcode.NXDOMAIN
    assert (await ask(port, "66.100.51.198.zen.spamhaus.org.bl.test")).answer[0][0].address == "127.0.0.2"


@pytest.mark.parametrize("which", ["primary", "secondary"])
async def test_a_zone_can_be_transferred(server: SandboxDns, which: str) -> None:
    port = getattr(server, which).port
    zone = dns.zone.Zone("bl.mailspike.net.bl.test")
    await dns.asyncquery.inbound_xfr(HOST, zone, port=port, lifetime=5)
    assert zone.get_rdataset("2.0.0.127", "A") is not None


async def test_garbage_is_answered_or_dropped_and_the_server_lives(server: SandboxDns) -> None:
    reader, writer = await asyncio.open_connection(HOST, server.primary.port)
    writer.write(b"\x00\x0e" + b"\xff" * 14)
    await writer.drain()
    writer.close()
    assert (await ask(server.primary.port, "sandbox.test", "SOA")).answer
    del reader
