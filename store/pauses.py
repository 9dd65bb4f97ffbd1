"""Repository of what an operator has paused; a warm-up's own pause is in the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import NotFound
from domain.routing import FINISHED, Scope
from store.database import upsert
from store.instants import now
from store.tables.ips import Ip
from store.tables.senders import Campaign, MailPause, Pool, Sender

_TABLES: dict[Scope, type[SQLModel]] = {
    Scope.IP: Ip,
    Scope.POOL: Pool,
    Scope.SENDER: Sender,
    Scope.CAMPAIGN: Campaign,
}


async def pause(
    session: AsyncSession, scope: Scope, name: str, reason: str, who: str = ""
) -> tuple[MailPause, MailPause | None]:
    """Stop mail; paused again only the reason is new, and who gave it. A pause without a reason takes none away.

    Returns:
        The pause, and what it was before: None when nothing was paused, the pause itself when nothing is new.

    Raises:
        NotFound: there is no such IP, pool, sender or campaign.
    """
    await known(session, scope, name)
    row = MailPause(scope=scope, name=name, reason=reason, who=who)
    # Two that press in the same moment make one pause; the later one finds the earlier one's.
    made = upsert(session.get_bind().dialect.name, MailPause).values(**row.model_dump()).on_conflict_do_nothing()
    if (await session.exec(made.returning(col(MailPause.scope)))).first() is not None:
        return row, None
    query = select(MailPause).where(col(MailPause.scope) == scope, col(MailPause.name) == name).with_for_update()
    present = (await session.exec(query)).one()
    if reason in ("", present.reason):
        return present, present
    before = MailPause(**present.model_dump())
    present.reason, present.who = reason, who
    session.add(present)
    await session.flush()
    return present, before


async def finish(session: AsyncSession, name: str, reason: str, who: str = "") -> tuple[Campaign, bool]:
    """Declare a campaign over: its mail stops, as if it were paused, until it is resumed.

    Returns:
        The campaign, and whether it was finished only now.

    Raises:
        NotFound: there is no such campaign.
    """
    query = select(Campaign).where(col(Campaign.name) == name).with_for_update()
    row = (await session.exec(query)).first()
    if row is not None and row.finished_at is not None and not reason:
        return row, False
    await pause(session, Scope.CAMPAIGN, name, f"{FINISHED}: {reason}" if reason else FINISHED, who)
    row = (await session.exec(query)).one()
    new = row.finished_at is None
    row.finished_at = row.finished_at or now()
    session.add(row)
    await session.flush()
    return row, new


async def resume(session: AsyncSession, scope: Scope, name: str) -> MailPause | None:
    """Free mail again; answers the pause that ended, None when there was none. A finished campaign is active again.

    Raises:
        NotFound: there is no such IP, pool, sender or campaign.
    """
    await known(session, scope, name)
    row = await session.get(MailPause, (scope, name), with_for_update=True)
    if scope is Scope.CAMPAIGN and (campaign := await session.get(Campaign, name)) is not None:
        campaign.finished_at = None
        session.add(campaign)
    if row is not None:
        await session.delete(row)
    await session.flush()
    return row


async def listing(session: AsyncSession) -> Sequence[MailPause]:
    """Every pause."""
    return (await session.exec(select(MailPause).order_by(col(MailPause.scope), col(MailPause.name)))).all()


async def present(session: AsyncSession) -> dict[tuple[str, str], str]:
    """Scope and name to the reason, of every pause."""
    return {(one.scope, one.name): one.reason for one in await listing(session)}


async def known(session: AsyncSession, scope: Scope, name: str) -> None:
    """That there is what a pause would cover.

    Raises:
        NotFound: there is no such IP, pool, sender or campaign.
    """
    table = _TABLES.get(scope)
    if table is None or await session.get(table, name) is not None:
        return
    what = "IP" if scope is Scope.IP else str(scope)
    raise NotFound(f"There is no {what} {name!r}.", field=f"scope.{scope}", code=f"unknown_{scope}")
