"""Where mail goes: pools, overflow, campaigns, pauses, maps, and mailbox providers by MX."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import dns.flags
import dns.message
import dns.rrset
import pytest

from domain.routing import Scope
from domain.words import MailboxProvider, Stage
from gate.providers import Providers
from gate.service import Gate
from settings import Settings
from store import events, incidents, ips, overruns, pauses, senders
from store.database import Database
from tests.gate.conftest import DAY, Client, granted, inventory, takes_effect, until
from tests.ports import free_port

Start = Callable[..., Awaitable[tuple[Gate, Settings]]]
FIRST, SECOND, SPARE = "198.51.100.7", "198.51.100.8", "203.0.113.5"


async def _acme(db: Database, cap: int, spare: int) -> None:
    """The sender acme with two IPs, and a warm spare where its pool overflows to."""
    await inventory(db, {SPARE: spare}, pool="spare", stage=Stage.FULL_CAPACITY)
    await inventory(db, {FIRST: cap, SECOND: cap})
    async with db.write() as session:
        await senders.put_pool(session, "main", "spare")
        await senders.add_sender(session, "acme", "main", ["acme.example"])
        await senders.add_campaign(session, "spring", "acme")


async def _sent(client: Client, count: int, **more: str) -> list[str]:
    return [
        await client.ask(f"r{one}@gmail.com", instance=f"{more}{one}{time.monotonic_ns()}", **more)
        for one in range(count)
    ]


async def test_what_the_pool_cannot_take_goes_to_the_overflow_and_no_further(db: Database, start: Start) -> None:
    await _acme(db, 5, 10)
    _, chosen = await start()
    said = await _sent(await Client.to(chosen.gate_policy_port), 22)
    own = [f"FILTER wp-{one.replace('.', '-')}:" for one in (FIRST, SECOND)]
    assert sorted(said[:10]) == sorted([own[0]] * 5 + [own[1]] * 5)
    assert set(said[10:20]) == {"FILTER wp-203-0-113-5:"}
    assert all(one.startswith("DEFER") and SPARE in one for one in said[20:])


async def test_a_paused_campaign_a_paused_ip_and_a_switch_take_effect_within_a_second(
    db: Database, start: Start
) -> None:
    await _acme(db, 5000, 5000)
    _, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    maps = await Client.to(chosen.gate_socketmap_port)

    async def soon(says: str, sender: str) -> None:
        async def ask() -> str:
            return (await _sent(client, 1, sender=sender))[0]

        await takes_effect(ask, lambda said: says in said)

    async def mapped(says: str) -> None:
        await takes_effect(lambda: maps.look_up("transport", spring), lambda said: said == says)

    spring, other = "news+spring@acme.example", "news+other@acme.example"
    async with db.write() as session:
        await pauses.pause(session, Scope.CAMPAIGN, "spring", "wrong link")
    await soon("DEFER 4.7.1 campaign spring is paused: wrong link", sender=spring)
    assert (await _sent(client, 1, sender=other))[0].startswith("FILTER")
    assert await maps.look_up("transport", spring) == "OK retry:4.7.1 campaign spring is paused: wrong link"
    async with db.write() as session:
        await pauses.resume(session, Scope.CAMPAIGN, "spring")
        await pauses.pause(session, Scope.IP, FIRST, "moved")
    await mapped("OK wp-198-51-100-8:")
    assert set(await _sent(client, 3, sender=spring)) == {"FILTER wp-198-51-100-8:"}
    # A switch: the other IP fails, a backup takes its place in the pool.
    async with db.write() as session:
        await ips.set_stage(session, SECOND, Stage.FAILED_OVER)
        (await ips.get(session, SPARE)).pool = "main"
    await mapped("OK wp-203-0-113-5:")
    await soon("FILTER wp-203-0-113-5:", sender=spring)


async def test_the_maps_and_the_policy_spend_one_ledger(db: Database, start: Start) -> None:
    await _acme(db, 5, 10)
    gate, chosen = await start()
    maps = await Client.to(chosen.gate_socketmap_port)
    assert (await maps.look_up("transport", "news@acme.example")).startswith("OK wp-198-51-100-")
    assert await maps.look_up("transport", "<>") == "NOTFOUND "
    assert "no sender is known" in await maps.look_up("transport", "x@elsewhere.example")
    assert (await maps.look_up("nothing", "x")).startswith("PERM ")
    said = [await maps.look_up("spend", f"news@acme.example r{one}@gmail.com") for one in range(12)]
    said += await _sent(await Client.to(chosen.gate_policy_port), 12)
    assert sum("wp-" in one for one in said) == 20
    assert "cap of" in await maps.look_up("spend", "news@acme.example a@gmail.com")
    await gate.stop()
    assert [await granted(db, one) for one in (FIRST, SECOND, SPARE)] == [5, 5, 10]


async def test_an_hourly_cap_holds_for_blocks_too(db: Database, start: Start) -> None:
    await inventory(db, {FIRST: 100}, hourly=7)
    async with db.write() as session:
        await senders.add_sender(session, "acme", "main", ["acme.example"])
    gate, chosen = await start()
    said = await _sent(await Client.to(chosen.gate_policy_port), 10)
    assert sum(one.startswith("FILTER") for one in said) == 7
    assert f"hourly cap of {FIRST} reached, 7 of 7" in said[-1]
    assert all(block.ends_ms - time.time() * 1000 <= DAY / 24 for block in gate.desk.blocks.values())


async def test_a_new_window_does_not_inherit_the_block_of_the_old_one(db: Database, start: Start) -> None:
    from store import ledger

    await inventory(db, {FIRST: 100})
    async with db.write() as session:
        await senders.add_sender(session, "acme", "main", ["acme.example"])
    gate, chosen = await start()
    client = await Client.to(chosen.gate_policy_port)
    await _sent(client, 10)
    assert sum(one.left for one in gate.desk.blocks.values())
    now = int(time.time() * 1000)
    async with db.write() as session:
        await ledger.set_window(session, FIRST, now, now + DAY, 3, {}, 0)
    await until(lambda: not any(one.left for one in gate.desk.blocks.values()), 1)
    assert sum(one.startswith("FILTER") for one in await _sent(client, 6)) == 3


class NameServer(asyncio.DatagramProtocol):
    """Answers MX questions from a table, or does not."""

    def __init__(self, mx: dict[str, str]) -> None:
        self.mx, self.asked, self.silent = mx, 0, False

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Listening."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One question."""
        self.asked += 1
        if self.silent:
            return
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        name = question.question[0].name
        if host := self.mx.get(name.to_text(omit_final_dot=True)):
            answer.answer.append(dns.rrset.from_text(name, 3600, "IN", "MX", f"10 {host}."))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def names() -> tuple[NameServer, str]:
    """A name server with three domains."""
    port = free_port()
    table = {"firm.example": "aspmx.l.google.com", "shop.example": "shop-example.mail.protection.outlook.com",
             "own.example": "mx.own.example"}  # fmt: skip
    _, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(table), local_addr=("127.0.0.1", port)
    )
    return server, f"127.0.0.1@{port}"


async def test_a_provider_is_found_by_mx_once(names: tuple[NameServer, str]) -> None:
    server, where = names
    providers = Providers(where, 2.0)
    found = {
        domain: await providers.find(domain)
        for domain in ("firm.example", "shop.example", "own.example", "none.example")
    }
    assert found == {
        "firm.example": MailboxProvider.GMAIL,
        "shop.example": MailboxProvider.MICROSOFT,
        "own.example": MailboxProvider.OTHER,
        "none.example": MailboxProvider.OTHER,
    }
    asked = server.asked
    assert providers.known("firm.example") is MailboxProvider.GMAIL
    assert [await providers.find("firm.example") for _ in range(5)] == [MailboxProvider.GMAIL] * 5
    assert providers.known("gmail.com") is MailboxProvider.GMAIL
    assert server.asked == asked


async def test_a_silent_resolver_delays_nothing_past_the_bound_and_is_asked_once(names: tuple[NameServer, str]) -> None:
    server, where = names
    server.silent = True
    providers = Providers(where, 0.1)
    began = time.monotonic()
    found = await asyncio.gather(*(providers.find("firm.example") for _ in range(50)))
    assert set(found) == {MailboxProvider.OTHER}
    assert time.monotonic() - began < 1
    assert server.asked == 1
    server.silent = False
    # The look-up goes on behind the answer; the next mail knows.
    await until(lambda: providers.known("firm.example") is MailboxProvider.GMAIL, 8)


async def test_a_domain_stays_with_its_provider_while_dns_fails(
    names: tuple[NameServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, where = names
    monkeypatch.setattr("gate.providers.MOST_TTL", 0.0)  # known, and over at once
    monkeypatch.setattr("gate.providers.LEAST_TTL", 0.0)
    monkeypatch.setattr("gate.providers.LIFETIME", 0.3)
    providers = Providers(where, 0.1)
    assert await providers.find("firm.example") is MailboxProvider.GMAIL
    server.silent = True
    assert providers.known("firm.example") is None
    assert await providers.find("firm.example") is MailboxProvider.GMAIL  # not heard of in time
    await until(lambda: providers.known("firm.example") is MailboxProvider.GMAIL)  # and after the look-up failed


async def test_more_new_domains_at_once_than_look_ups_wait_for_their_turn(names: tuple[NameServer, str]) -> None:
    server, where = names
    server.mx |= {f"firm{one}.example": "aspmx.l.google.com" for one in range(300)}
    providers = Providers(where, 5.0)
    found = await asyncio.gather(*(providers.find(f"firm{one}.example") for one in range(300)))
    assert set(found) == {MailboxProvider.GMAIL}


def test_what_is_too_long_for_a_domain_is_not_remembered() -> None:
    providers = Providers("127.0.0.1@9", 0.1)
    assert providers.known("a" * 16_000 + ".example") is MailboxProvider.OTHER
    assert not providers._known


@pytest.mark.parametrize(("reported", "over"), [(10, 0), (13, 3)])
async def test_more_sent_than_granted_is_an_incident_until_it_is_covered(
    db: Database, reported: int, over: int
) -> None:
    from domain.events import Kind, MailEvent
    from store import ledger

    await inventory(db, {FIRST: 100})
    now = int(time.time() * 1000)
    async with db.write() as session:
        await ledger.book(session, FIRST, MailboxProvider.GMAIL, 10, now)
        sent = [
            MailEvent(source="t", event_id=str(one), kind=Kind.DELIVERED, address=FIRST, at_ms=now)
            for one in range(reported)
        ]
        await events.record(session, sent)
    assert await overruns.check(db, now + 1, 86_400) == ({FIRST: over} if over else {})
    async with db.read() as session:
        open_ = await incidents.listing(session, open_only=True)
    assert [(one.kind, one.address, one.title) for one in open_] == (
        [("overrun", FIRST, f"{FIRST} sent {over} mails more than it was granted")] if over else []
    )
    async with db.write() as session:
        await ledger.book(session, FIRST, MailboxProvider.GMAIL, 10, now)
    assert await overruns.check(db, now + 1, 86_400) == {}
    async with db.read() as session:
        assert not await incidents.listing(session, open_only=True)
