"""Repository of pools and senders."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import Conflict, NotFound, Refused
from store.tables.senders import Campaign, Pool, Sender, SenderMatch


async def put_pool(session: AsyncSession, name: str, overflow: str | None) -> Pool:
    """Make a pool or change where it overflows to.

    Raises:
        NotFound: there is no such overflow pool.
        Refused: pools would overflow in a circle.
    """
    step, path = overflow, [name]
    while step is not None:
        path.append(step)
        if step in path[:-1]:
            circle = " -> ".join(path)
            raise Refused(
                f"Pools would overflow in a circle: {circle}.",
                field="overflow",
                code="cycle",
            )
        following = await session.get(Pool, step)
        if following is None:
            raise NotFound(
                f"There is no pool {step!r} to overflow to.",
                field="overflow",
                code="unknown_pool",
            )
        step = following.overflow
    row = await session.get(Pool, name) or Pool(name=name)
    row.overflow = overflow
    session.add(row)
    await session.flush()
    return row


async def add_sender(session: AsyncSession, name: str, pool: str, matches: Sequence[str] | None = None) -> Sender:
    """Make a sender, or change how its mail is known; the same again changes nothing.

    Args:
        matches: logins, addresses and domains of its mail, all of them; None leaves them as they are.

    Raises:
        NotFound: there is no such pool.
        Conflict: the sender uses another pool, or a match belongs to another sender.
    """
    if await session.get(Pool, pool) is None:
        raise NotFound(
            f"There is no pool {pool!r}; make it first.",
            field="pool",
            code="unknown_pool",
        )
    row = await session.get(Sender, name)
    if row is not None and row.pool != pool:
        raise Conflict(
            f"Sender {name!r} already uses pool {row.pool!r}.",
            field="name",
            code="duplicate",
        )
    row = row or Sender(name=name, pool=pool)
    session.add(row)
    if matches is not None:
        await _set_matches(session, name, {one.strip().lower() for one in matches})
    await session.flush()
    return row


async def _set_matches(session: AsyncSession, name: str, wanted: set[str]) -> None:
    rows = (await session.exec(select(SenderMatch).where(col(SenderMatch.sender) == name))).all()
    for row in rows:
        if row.match not in wanted:
            await session.delete(row)
    for match in sorted(wanted):
        known = await session.get(SenderMatch, match)
        if known is None:
            session.add(SenderMatch(match=match, sender=name))
        elif known.sender != name:
            raise Conflict(
                f"{match!r} already tells mail of sender {known.sender!r}.", field="matches", code="duplicate"
            )


async def matches(session: AsyncSession) -> dict[str, list[str]]:
    """The logins, addresses and domains of every sender that has any, in order."""
    found: dict[str, list[str]] = {}
    for row in (await session.exec(select(SenderMatch).order_by(col(SenderMatch.match)))).all():
        found.setdefault(row.sender, []).append(row.match)
    return found


async def matches_of(session: AsyncSession, name: str) -> Sequence[str]:
    """The logins, addresses and domains of a sender, in order."""
    query = select(SenderMatch.match).where(col(SenderMatch.sender) == name).order_by(col(SenderMatch.match))
    return (await session.exec(query)).all()


async def add_campaign(session: AsyncSession, name: str, sender: str) -> Campaign:
    """Make a campaign; the same again changes nothing.

    Raises:
        NotFound: there is no such sender.
        Conflict: the campaign belongs to another sender.
    """
    if await session.get(Sender, sender) is None:
        raise NotFound(f"There is no sender {sender!r}; make it first.", field="sender", code="unknown_sender")
    row = await session.get(Campaign, name)
    if row is not None and row.sender != sender:
        raise Conflict(f"Campaign {name!r} already belongs to sender {row.sender!r}.", field="name", code="duplicate")
    row = row or Campaign(name=name, sender=sender)
    session.add(row)
    await session.flush()
    return row


async def campaigns(session: AsyncSession) -> Sequence[Campaign]:
    """Every campaign by name."""
    return (await session.exec(select(Campaign).order_by(col(Campaign.name)))).all()


async def pools(session: AsyncSession) -> Sequence[Pool]:
    """Every pool by name."""
    return (await session.exec(select(Pool).order_by(col(Pool.name)))).all()


async def senders(session: AsyncSession) -> Sequence[Sender]:
    """Every sender by name."""
    return (await session.exec(select(Sender).order_by(col(Sender.name)))).all()
