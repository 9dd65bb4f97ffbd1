"""What ends a pool, a sender or a campaign: refused while anything goes by it, and history stays.

Figures, events, the audit and retired IPs keep the name; a pause of what is deleted goes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.purchase import ENDED
from domain.refusals import Conflict, NotFound
from domain.routing import Scope
from domain.words import DEFAULT_POOL, OrderStatus, Stage
from store import senders
from store.tables.ips import Ip
from store.tables.purchase import Order
from store.tables.senders import Campaign, MailPause, Pool, Sender, SenderMatch

#: Names that a refusal lists of a kind.
NAMED = 3


async def pool(session: AsyncSession, name: str, unknown_mail: str) -> dict[str, Any]:
    """Delete a pool; answers what it was.

    Args:
        unknown_mail: the pool for mail whose sender is not known, as the installation is set.

    Raises:
        NotFound: there is no such pool.
        Conflict: something goes by it; names what, and what to do.
    """
    row = await session.get(Pool, name, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no pool {name!r}.", field="name", code="unknown_pool")
    if name == DEFAULT_POOL:
        raise Conflict(
            f"The pool {name!r} stays: it is the one of every IP that names none.", field="name", code="in_use"
        )
    if name == unknown_mail:
        raise Conflict(
            f"The pool {name!r} takes mail of unknown senders; name another one in WARMPATH_GATE_DEFAULT_POOL first.",
            field="name",
            code="in_use",
        )
    living = select(Ip.address).where(col(Ip.pool) == name, col(Ip.stage) != Stage.RETIRED)
    users = [
        await _some(session, "IP", living.order_by(col(Ip.sort_key))),
        await _some(session, "sender", select(Sender.name).where(col(Sender.pool) == name).order_by(col(Sender.name))),
        await _some(
            session, "overflow of pool", select(Pool.name).where(col(Pool.overflow) == name).order_by(col(Pool.name))
        ),
        await _some(session, "open order", _open_orders().where(col(Order.pool) == name)),
    ]
    _refuse(f"The pool {name!r}", users, "Give them another pool first.")
    await _unpause(session, Scope.POOL, name)
    await session.delete(row)
    await session.flush()
    return {"overflow": row.overflow}


async def sender(session: AsyncSession, name: str) -> dict[str, Any]:
    """Delete a sender, its logins, addresses and domains, and its finished campaigns; answers what it was.

    Raises:
        NotFound: there is no such sender.
        Conflict: something goes by it; names what, and what to do.
    """
    row = await session.get(Sender, name, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no sender {name!r}.", field="name", code="unknown_sender")
    living = select(Ip.address).where(col(Ip.sender) == name, col(Ip.stage) != Stage.RETIRED)
    own = select(Campaign.name).where(col(Campaign.sender) == name).order_by(col(Campaign.name))
    users = [
        await _some(session, "IP", living.order_by(col(Ip.sort_key))),
        await _some(session, "open order", _open_orders().where(col(Order.sender) == name)),
        await _some(session, "unfinished campaign", own.where(col(Campaign.finished_at).is_(None))),
    ]
    _refuse(f"The sender {name!r}", users, "Give its IPs to another sender or to all, and finish its campaigns first.")
    known = list(await senders.matches_of(session, name))
    over = (await session.exec(own)).all()
    await session.exec(sa.delete(SenderMatch).where(col(SenderMatch.sender) == name))
    await session.exec(sa.delete(Campaign).where(col(Campaign.sender) == name))
    await _unpause(session, Scope.CAMPAIGN, *over)
    await _unpause(session, Scope.SENDER, name)
    await session.delete(row)
    await session.flush()
    return {"pool": row.pool, "matches": known, "campaigns": list(over)}


async def campaign(session: AsyncSession, name: str) -> dict[str, Any]:
    """Delete a finished campaign; answers what it was.

    Raises:
        NotFound: there is no such campaign.
        Conflict: it is not finished.
    """
    row = await session.get(Campaign, name, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no campaign {name!r}.", field="name", code="unknown_campaign")
    if row.finished_at is None:
        raise Conflict(f"The campaign {name!r} is not finished; finish it first.", field="name", code="in_use")
    await _unpause(session, Scope.CAMPAIGN, name)
    await session.delete(row)
    await session.flush()
    return {"sender": row.sender}


def _open_orders() -> Any:  # noqa: ANN401 - a select that goes on
    over = (*ENDED, OrderStatus.PURCHASED)
    return select(Order.id).where(col(Order.status).not_in(over)).order_by(col(Order.id))


async def _some(session: AsyncSession, what: str, names: Any) -> str:  # noqa: ANN401 - any select of names
    """``2 IPs (198.51.100.7, 198.51.100.8)``; empty when nothing is found."""
    found = (await session.exec(names.limit(NAMED))).all()
    if not found:
        return ""
    count = (await session.exec(select(sa.func.count()).select_from(names.order_by(None).subquery()))).one()
    more = ", ..." if count > len(found) else ""
    plural = what.replace("pool", "pools") if "pool" in what else f"{what}s"
    return f"{count:,} {what if count == 1 else plural} ({', '.join(found)}{more})"


def _refuse(what: str, users: Sequence[str], fix: str) -> None:
    if said := [one for one in users if one]:
        raise Conflict(f"{what} is in use: {'; '.join(said)}. {fix}", field="name", code="in_use")


async def _unpause(session: AsyncSession, scope: Scope, *names: str) -> None:
    await session.exec(sa.delete(MailPause).where(col(MailPause.scope) == scope, col(MailPause.name).in_(names)))
