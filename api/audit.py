"""Every command leaves who, what, on what and why."""

from __future__ import annotations

from typing import Any

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
