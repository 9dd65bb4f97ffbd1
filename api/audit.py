"""Every command leaves who, what, on what and why, whatever is killed in between.

What takes effect in the store is told in the same transaction. What a journey is told takes effect elsewhere: its line
is written before, as ``asked``, and says afterwards whether it was done or refused. A line that stays ``asked`` is of a
command whose answer nobody wrote down; sent again with its idempotency key it goes on in the same line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel, Field
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import Principal
from api.idempotency import Key, claim
from domain.reasons import LONGEST_REASON
from domain.refusals import Refused
from domain.words import Outcome
from store import requests
from store.database import Database
from store.tables.accounts import Audit

#: Why a command is given, as a field of its body, and as a parameter of a query where the body has no room for it.
Reason = Annotated[str, Field(max_length=LONGEST_REASON, description="Why; kept in the audit.")]
ReasonQuery = Annotated[str, Query(max_length=LONGEST_REASON, description="Why; kept in the audit.")]


class Why(BaseModel, extra="forbid"):
    """Why a command is given that says nothing else."""

    reason: Reason = ""


async def write(
    session: AsyncSession,
    principal: Principal,
    what: str,
    target: str,
    why: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    outcome: Outcome = Outcome.DONE,
) -> Audit:
    """Write one line in the transaction of what it is about: neither is kept without the other."""
    line = Audit(
        who=principal.name, role=principal.role, what=what, target=target, why=why, before=before, after=after,
        outcome=outcome,
    )  # fmt: skip
    session.add(line)
    await session.flush()
    return line


@dataclass
class Asked:
    """A command on its way.

    Attributes:
        done: the same request was done before; it need not be given again.
        after: what stands after it, for the line.
    """

    line: int
    done: bool
    after: dict[str, Any] | None


@asynccontextmanager
async def asking(
    db: Database,
    principal: Principal,
    what: str,
    target: str,
    why: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    key: Key | None = None,
) -> AsyncIterator[Asked]:
    """Write the line, let the command be given, and write down what became of it.

    A refusal that is raised inside is written down and goes on; after anything else nobody knows, and the line stays
    as it is.
    """
    async with db.write() as session:
        used = await claim(session, key)
        line = await session.get(Audit, used.line) if used is not None and used.line is not None else None
        if line is None:
            line = await write(session, principal, what, target, why, before, after, Outcome.ASKED)
            if key is not None:
                await requests.set_line(session, key.text, line.id)
    assert line.id is not None
    asked = Asked(line.id, line.outcome == Outcome.DONE, after)
    try:
        yield asked
    except Refused as refusal:
        await _settle(db, asked, Outcome.REFUSED, refusal.detail)
        raise
    if not asked.done:
        await _settle(db, asked, Outcome.DONE, "")


async def _settle(db: Database, asked: Asked, outcome: Outcome, answer: str) -> None:
    async with db.write() as session:
        await session.exec(
            sa.update(Audit)
            .where(col(Audit.id) == asked.line, col(Audit.outcome) != Outcome.DONE)
            .values(outcome=outcome, answer=answer, after=asked.after if outcome is Outcome.DONE else Audit.after)
        )
