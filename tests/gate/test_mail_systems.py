"""Queued mail of a real Postfix follows pauses and switches by itself, and its transports the inventory."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from bench.postfix import Mailer, Sink
from bench.postfix import Postfix as Neighbour
from domain.routing import Scope
from domain.sources import Source
from domain.words import Stage
from gate.mail_systems import Follower
from gate.service import Gate
from providers.senders.postfix import main_cf
from providers.senders.postfix_host.system import Postfix
from settings import Settings
from store import ledger, pauses, senders
from store.database import Database
from store.tables.ips import Ip
from tests.gate.conftest import DAY, until
from tests.ports import free_port

FIRST, SECOND = "127.0.0.11", "127.0.0.12"
MAILS = 60
#: What takes a second on a quiet machine may take this long on a busy one; the figure is printed.
BUSY_SECONDS = 8.0

#: Gates side by side share PostgreSQL; what they do on SQLite is tested without Postfix.
pytestmark = [pytest.mark.parametrize("db", ["postgresql"], indirect=True), pytest.mark.timeout(180)]

Start = Callable[..., Awaitable[tuple[Gate, Settings]]]


@dataclass
class Mail:
    """Postfix between a client and the sink, and what drives it."""

    postfix: Neighbour
    sink: Sink
    system: Postfix
    following: asyncio.Task[None]

    async def hand_in(self, names: list[str]) -> list[str]:
        """Hand in mails one after the other; answers the replies of those that were not taken."""
        mailer = await Mailer.to(self.postfix.port)
        said = [await mailer.send(f"{name}@gmail.com") for name in names]
        mailer.close()
        return [one for one in said if not one.startswith("250")]

    def kept(self, since: int = 0) -> set[str]:
        """Recipients whose mail was kept in the queue because the first IP is paused."""
        kept = r"to=<(\w+)@gmail\.com>, .*127\.0\.0\.11 is paused: bad luck"
        return set(re.findall(kept, self.postfix.log()[since:]))


@pytest.fixture
async def mail(db: Database, start: Start) -> AsyncIterator[Mail]:
    """Two IPs of a pool; Postfix asks one gate by the policy service and another by the maps."""
    now = int(time.time() * 1000)
    async with db.write() as session:
        await senders.put_pool(session, "main", None)
        await senders.add_sender(session, "acme", "main", ["acme.example"])
        for address in (FIRST, SECOND):
            name = f"mail{address[-2:]}.acme.example"
            session.add(Ip(address=address, pool="main", stage=Stage.WARMING, hostname=name, disposal=""))
            await session.flush()
            await ledger.set_window(session, address, now, now + DAY, 10_000, {}, 0)
        await pauses.pause(session, Scope.IP, SECOND, "not yet")
    sink = Sink()
    await sink.start()
    hop = f"[127.0.0.1]:{sink.port}"
    _, asked = await start(gate_next_hop=hop)
    _, maps = await start(gate_next_hop=hop)
    postfix = Neighbour(free_port(), (main_cf("127.0.0.1", asked.gate_policy_port, maps.gate_socketmap_port), ""), hop)
    await asyncio.to_thread(postfix.start)
    system = Postfix(postfix.config, f"127.0.0.1:{maps.gate_socketmap_port}")
    follower = Follower(asked, db, [system])
    await system.apply(await follower.wanted())
    made = Mail(postfix, sink, system, asyncio.create_task(follower.run()))
    yield made
    made.following.cancel()
    await asyncio.gather(made.following, return_exceptions=True)
    await asyncio.to_thread(postfix.stop)
    await sink.stop()


async def test_a_pause_keeps_queued_mail_and_a_switch_takes_it_along(db: Database, mail: Mail) -> None:
    names = [f"q{number}" for number in range(MAILS)]
    mail.sink.defers = {FIRST}
    assert not await mail.hand_in(names)
    async with db.write() as session:
        await pauses.pause(session, Scope.IP, FIRST, "bad luck")
    await until(lambda: mail.kept() == set(names), 2 * BUSY_SECONDS)
    said = await mail.hand_in(["late"])
    assert "127.0.0.11 is paused: bad luck" in said[0]
    mail.sink.defers = set()
    tried = len(mail.postfix.log())
    mail.postfix.run("postqueue", "-f")
    await until(lambda: mail.kept(tried) == set(names), 2 * BUSY_SECONDS)
    assert not mail.sink.came

    async with db.write() as session:
        await pauses.resume(session, Scope.IP, SECOND)
    await until(lambda: len(mail.sink.came) == MAILS, 2 * BUSY_SECONDS)
    assert mail.sink.sources == {SECOND: MAILS}
    async with db.read() as session:
        row = await ledger.window(session, SECOND, int(time.time() * 1000))
    assert row is not None
    assert row.granted >= MAILS, "mail that was taken along is granted by the IP that it leaves by"


async def test_a_switch_moves_new_and_queued_mail_at_once(db: Database, mail: Mail) -> None:
    mail.sink.defers = {FIRST}
    assert not await mail.hand_in([f"q{number}" for number in range(MAILS)])
    await until(lambda: mail.postfix.log().count("status=deferred") >= MAILS, 2 * BUSY_SECONDS)
    mail.sink.defers = set()
    switched = time.monotonic()
    async with db.write() as session:
        await pauses.resume(session, Scope.IP, SECOND)
        await pauses.pause(session, Scope.IP, FIRST, "switched")
    assert not await mail.hand_in(["new"])
    await until(lambda: len(mail.sink.came) == MAILS + 1, 2 * BUSY_SECONDS)
    last = {one: 0.0 for one in (FIRST, SECOND)}
    for (source, _), at in zip(mail.sink.came, mail.sink.at, strict=True):
        last[source] = max(last[source], at - switched)
    print(f"\nswitch of {MAILS} queued mails and a new one: {last}, {mail.sink.sources}")  # noqa: T201
    assert last[FIRST] < BUSY_SECONDS
    assert last[SECOND] < BUSY_SECONDS
    assert mail.sink.sources[SECOND] > MAILS / 2
    assert len({recipient for _, recipient in mail.sink.came}) == MAILS + 1


async def test_mail_that_is_being_delivered_is_not_sent_twice(db: Database, mail: Mail) -> None:
    mail.sink.seconds = 1.5
    assert not await mail.hand_in([f"slow{number}" for number in range(6)])
    async with db.write() as session:
        await pauses.resume(session, Scope.IP, SECOND)
        await pauses.pause(session, Scope.IP, FIRST, "switched")
    await until(lambda: len(mail.sink.came) >= 6 and mail.postfix.queued() == 0, 30)
    assert Counter(recipient for _, recipient in mail.sink.came).most_common(1)[0][1] == 1


async def test_transports_follow_the_inventory(mail: Mail) -> None:
    mail.following.cancel()
    await asyncio.gather(mail.following, return_exceptions=True)
    one = Source(FIRST, FIRST, "mail11.acme.example", "main")
    assert await mail.system.apply([one]) == ["removed wp-127-0-0-12/unix"]
    assert await mail.system.apply([one]) == []
    other = Source(FIRST, FIRST, "other.acme.example", "main")
    assert await mail.system.apply([other]) == ["set wp-127-0-0-11/unix"]
    assert await mail.system.apply([]) == ["removed wp-127-0-0-11/unix"]
