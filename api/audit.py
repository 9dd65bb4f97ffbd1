"""Every command leaves who, what, on what and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec

from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import Principal
from store.database import Database
from store.tables.accounts import Audit

Line = ParamSpec("Line")


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
    session.add(
        Audit(
            who=principal.name, role=principal.role, what=what, target=target, why=why, before=before, after=after
        )
    )  # fmt: skip


def _by_itself(
    within: Callable[Concatenate[AsyncSession, Line], Awaitable[None]],
) -> Callable[Concatenate[Database, Line], Awaitable[None]]:
    async def alone(db: Database, /, *line: Line.args, **named: Line.kwargs) -> None:
        async with db.write() as session:
            await within(session, *line, **named)

    return alone


#: One line in a transaction of its own, for what a journey has done already.
record = _by_itself(write)
