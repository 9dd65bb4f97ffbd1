"""Every command leaves who, what, on what and why."""

from __future__ import annotations

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import Principal
from store import accounts
from store.database import Database


async def record(
    db: Database,
    principal: Principal,
    what: str,
    target: str,
    why: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one line of the audit trail."""
    async with db.write() as session:
        await write(session, principal, what, target, why, before, after)


async def write(
    session: AsyncSession,
    principal: Principal,
    what: str,
    target: str,
    why: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one line in the transaction of what it is about: neither is kept without the other."""
    await accounts.record(
        session,
        who=principal.name,
        role=principal.role,
        what=what,
        target=target,
        why=why,
        before=before,
        after=after,
    )
