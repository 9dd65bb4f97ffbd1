"""Dead letters: what sources told that nobody could act on."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.deps import Store, Viewer
from domain.words import source_named
from store import strays

router = APIRouter(prefix="/v1/dead-letters", tags=["replies"])


class DeadLetter(BaseModel):
    """What came of one source that is odd in one way."""

    source: str
    source_name: str = Field(description="The source as an operator calls it.")
    why: strays.Why = Field(
        description="`type`: a type of event that is not known; `ip`: an IP that is not here; `hearsay`: a block that "
        "only a mail tells."
    )
    name: str = Field(description="The type of the events, or the IP that they are about.")
    count: int
    first_seen: dt.datetime
    last_seen: dt.datetime


class DeadLetters(BaseModel):
    """Those of the last 30 days, the newest first."""

    items: list[DeadLetter]


@router.get("")
async def dead_letters(_: Viewer, db: Store, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> DeadLetters:
    """What came lately that is counted nowhere or stops nothing, by source, cause and name."""
    async with db.read() as session:
        found = await strays.latest(session, limit)
    return DeadLetters(
        items=[
            DeadLetter(
                source=one.source, source_name=source_named(one.source), why=one.why, name=one.name, count=one.count,
                first_seen=_at(one.first_ms), last_seen=_at(one.last_ms),
            )
            for one in found
        ]
    )  # fmt: skip


def _at(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
