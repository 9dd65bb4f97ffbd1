"""Leases: allowance out of the ledger for whoever asks by IP, pool, sender or campaign.

Which IPs, in which order, and what stands in the way is said by ``domain/routing.py``, as for the gate.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import NotFound
from domain.routing import Exit, Party, Routes, idle, ranked, refusal, spread
from domain.words import MailboxProvider, Stage
from store.gate import routes_for
from store.ledger import Booking, allowance, book_opening, newest, why
from store.tables.ips import Ip
from store.tables.senders import Campaign

#: Milliseconds that a lease lasts at least, within its day: one granted at the end of an hour can still be sent.
LEAST_MS = 5_000
#: Names the lock of :func:`one_at_a_time`.
_LOCK = 0x77_61_72_6D


@dataclass(frozen=True)
class Grant:
    """Allowance to send ``count`` mails from ``ip`` until ``expires_ms``.

    That is the end of the day, or of the hour where that has a cap: leases kept for later would be sent on top of the
    hour's own.
    """

    ip: str
    count: int
    lease: str
    expires_ms: int


@dataclass
class Lease:
    """What was granted of a request, what was not, and why not."""

    grants: list[Grant] = field(default_factory=list)
    deferred: int = 0
    reason: str = ""


async def one_at_a_time(session: AsyncSession) -> None:
    """Wait until no other transaction holds the ledger of several IPs: two could wait for each other in a circle.

    Until the end of the transaction; to be called before the first of those IPs is touched. Leases and alerts that
    stop several IPs at once wait here. Who writes to one IP a transaction, such as a gate on PostgreSQL, waits for
    no second one and closes no circle; SQLite has one writer.
    """
    if session.get_bind().dialect.name == "postgresql":
        await (await session.connection()).execute(sa.text("SELECT pg_advisory_xact_lock(:name)"), {"name": _LOCK})


async def lease(
    session: AsyncSession,
    *,
    provider: MailboxProvider,
    count: int,
    at_ms: int,
    ip: str | None = None,
    pool: str | None = None,
    sender: str | None = None,
    campaign: str | None = None,
    day_seconds: float = 86_400.0,
) -> Lease:
    """Allowance for ``count`` mails to a provider, spread over the IPs of one group after the other.

    Exactly one of ``ip``, ``pool``, ``sender`` and ``campaign`` says whose. An IP at full capacity gets
    its day's window here, with its safe limit as cap, so that it costs no workflow anything. What an
    operator has paused gets nothing.

    Raises:
        NotFound: there is no such IP, pool, sender or campaign.
    """
    if campaign is not None:
        sender = await _sender_of(session, campaign)
    party = Party(sender=sender, pool=pool, campaign=campaign, ip=ip)
    routes = await routes_for(session, party)
    resting = await _known(session, party, routes)
    if stopped := routes.stopped(party) or resting:
        return Lease(deferred=count, reason=stopped)
    asked = _Asked(session, provider, count, at_ms, day_seconds)
    tiers = routes.tiers(party)
    for tier in tiers:
        if asked.left:
            await asked.take([routes.exits[one] for one in tier if not routes.closed(one)])
    grants = [
        Grant(
            one, got.count, f"lease_{secrets.token_hex(8)}", min(got.ends_ms, max(got.part_ends_ms, at_ms + LEAST_MS))
        )
        for one, got in asked.got.items()
    ]
    answer = Lease(grants, asked.left)
    if asked.left:
        tried = [one for tier in tiers for one in tier]
        rows = await newest(session, [one for one in tried if not routes.closed(one)], at_ms)
        answer.reason = refusal(
            party, [routes.closed(one) or why(one, provider, rows.get(one), at_ms) for one in tried]
        )
    return answer


class _Asked:
    """One request under way: what is left of it, and what each IP gave, in the order it was asked."""

    def __init__(
        self, session: AsyncSession, provider: MailboxProvider, count: int, at_ms: int, day_seconds: float
    ) -> None:
        self.left = count
        self.got: dict[str, Booking] = {}
        self._session, self._provider, self._at_ms, self._day_seconds = session, provider, at_ms, day_seconds

    async def take(self, exits: Sequence[Exit]) -> None:
        """Book what the IPs of one group can take."""
        if len(exits) == 1:
            await self._book(exits[0], self.left)
            return
        rows = await newest(self._session, [one.address for one in exits], self._at_ms)
        known = {address: allowance(row, self._provider, self._at_ms) for address, row in rows.items()}
        by_address = {one.address: one for one in exits}
        order = [by_address[one] for one in ranked(by_address, {one: had.share for one, had in known.items()})]
        # Without a window an IP at full capacity has its safe limit, and one that warms up has nothing.
        rooms = [had.room if (had := known.get(one.address)) else one.safe_limit if one.warm else 0 for one in order]
        for one, part in zip(order, spread(self.left, rooms), strict=True):
            await self._book(one, part)
        # Gates spend of the same rows meanwhile: what one IP could not give after all falls to the others.
        for one, room in zip(order, rooms, strict=True):
            if room:
                await self._book(one, self.left)

    async def _book(self, one: Exit, count: int) -> None:
        if not count:
            return
        limit = one.safe_limit if one.warm else None
        booked = await book_opening(
            self._session, one.address, limit, self._provider, count, self._at_ms, self._day_seconds
        )
        if booked is not None:
            before = self.got.get(one.address)
            self.left -= booked.count
            count = booked.count + (before.count if before else 0)
            self.got[one.address] = dataclasses.replace(booked, count=count)


async def _sender_of(session: AsyncSession, campaign: str) -> str:
    row = await session.get(Campaign, campaign)
    if row is None:
        raise NotFound(f"There is no campaign {campaign!r}.", field="campaign", code="unknown_campaign")
    return row.sender


async def _known(session: AsyncSession, party: Party, routes: Routes) -> str:
    """Refuse what no row names. An IP may name a sender that nobody has set up any further.

    Answers why the IP that a lease asked for does not send at its stage; empty when it does, or none was named.
    """
    if party.ip is not None:
        if party.ip in routes.exits:
            return ""
        row = await session.get(Ip, party.ip)
        if row is None:
            raise NotFound(f"{party.ip} is not one of this installation's IPs.", field="ip", code="unknown_ip")
        return idle(party.ip, Stage(row.stage))
    elif party.sender is not None:
        if not (routes.senders or routes.exits):
            raise NotFound(f"There is no sender {party.sender!r}.", field="sender", code="unknown_sender")
    elif party.pool is not None and party.pool not in routes.overflow:
        raise NotFound(f"There is no pool {party.pool!r}.", field="pool", code="unknown_pool")
    return ""
