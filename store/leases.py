"""Leases: allowance out of the ledger for whoever asks by IP, pool, sender or campaign."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import NotFound
from domain.routing import ip_paused, party_paused
from domain.words import MailboxProvider, Stage
from store.ledger import SENDING_STAGES, book_opening, why, window
from store.tables.ips import Ip
from store.tables.senders import Campaign, MailPause, Pool, Sender


@dataclass(frozen=True)
class Grant:
    """Allowance to send ``count`` mails from ``ip`` until ``expires_ms``."""

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
    """Allowance for ``count`` mails to a provider, spread over warm IPs, then over the overflow pool.

    Exactly one of ``ip``, ``pool``, ``sender`` and ``campaign`` says whose. An IP at full capacity gets
    its day's window here, with its safe limit as cap, so that it costs no workflow anything. What an
    operator has paused gets nothing.

    Raises:
        NotFound: there is no such IP, pool, sender or campaign.
    """
    answer = Lease(deferred=count)
    if campaign is not None:
        sender = await _sender_of(session, campaign)
    chain = await _chain(session, ip=ip, pool=pool, sender=sender)
    pauses = {(one.scope, one.name): one.reason for one in (await session.exec(select(MailPause))).all()}
    answer.reason = party_paused(pauses, sender, campaign)
    if answer.reason:
        return answer
    reasons: list[str] = []
    for tier in chain:
        stopped = {one.address: ip_paused(pauses, one.address, one.pool) for one in tier} if pauses else {}
        reasons += [why for why in stopped.values() if why]
        members = [one for one in tier if not stopped.get(one.address)]
        for position, member in enumerate(members):
            # An even share each at first sight; what one cannot take falls to the ones after it.
            share = -(-answer.deferred // (len(members) - position))
            await _grant(session, answer, member, provider, share, at_ms, day_seconds, reasons)
        for member in members:
            if not answer.deferred:
                return answer
            await _grant(
                session,
                answer,
                member,
                provider,
                answer.deferred,
                at_ms,
                day_seconds,
                None,
            )
        if not answer.deferred:
            return answer
    answer.reason = "; ".join(dict.fromkeys(reasons)) or (
        f"no IP of {ip or pool or campaign or sender} is warming or at full capacity; start a warm-up or add one"
    )
    return answer


async def _grant(
    session: AsyncSession,
    answer: Lease,
    member: Ip,
    provider: MailboxProvider,
    count: int,
    at_ms: int,
    day_seconds: float,
    reasons: list[str] | None,
) -> None:
    limit = member.safe_limit if Stage.FULL_CAPACITY in (member.stage, member.stage_before) else None
    booked = await book_opening(session, member.address, limit, provider, count, at_ms, day_seconds)
    got, ends = (booked.count, booked.ends_ms) if booked else (0, 0)
    if got:
        answer.deferred -= got
        answer.grants.append(Grant(member.address, got, f"lease_{secrets.token_hex(8)}", ends))
    if got < count and reasons is not None:
        reasons.append(
            why(
                member.address,
                provider,
                await window(session, member.address, at_ms),
                at_ms,
            )
        )


async def _sender_of(session: AsyncSession, campaign: str) -> str:
    row = await session.get(Campaign, campaign)
    if row is None:
        raise NotFound(f"There is no campaign {campaign!r}.", field="campaign", code="unknown_campaign")
    return row.sender


async def _chain(
    session: AsyncSession, *, ip: str | None, pool: str | None, sender: str | None
) -> Sequence[Sequence[Ip]]:
    """The sending IPs to try, one list a pool, in the order of overflow; a cycle ends it."""
    if ip is not None:
        row = await session.get(Ip, ip)
        if row is None:
            raise NotFound(
                f"{ip} is not one of this installation's IPs.",
                field="ip",
                code="unknown_ip",
            )
        return [[row] if row.stage in SENDING_STAGES else []]
    own: list[Sequence[Ip]] = []
    if sender is not None:
        known = await session.get(Sender, sender)
        own.append(await _members(session, col(Ip.sender) == sender))
        if known is None and not own[0]:
            raise NotFound(f"There is no sender {sender!r}.", field="sender", code="unknown_sender")
        pool = known.pool if known else own[0][0].pool
    seen: set[str] = set()
    while pool is not None and pool not in seen:
        seen.add(pool)
        row_of_pool = await session.get(Pool, pool)
        members = await _members(session, col(Ip.pool) == pool)
        if row_of_pool is None and not members and not own:
            raise NotFound(f"There is no pool {pool!r}.", field="pool", code="unknown_pool")
        # Dedicated IPs of a sender serve nobody else.
        own.append([row for row in members if row.sender is None])
        pool = row_of_pool.overflow if row_of_pool else None
    return own


async def _members(session: AsyncSession, belongs: sa.ColumnElement[bool]) -> Sequence[Ip]:
    query = select(Ip).where(belongs, col(Ip.stage).in_(SENDING_STAGES)).order_by(col(Ip.address))
    return (await session.exec(query)).all()
