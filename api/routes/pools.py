"""Pools of IPs and the senders that use them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api import audit
from api.deps import Operator, Store, Viewer
from store import senders as repository

router = APIRouter(prefix="/v1", tags=["pools"])

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

#: A login, an address or a domain, without spaces and control characters.
Match = Annotated[str, Field(min_length=1, max_length=254, pattern=r"^[^\s\x00-\x1f\x7f]+$")]


class PoolIn(BaseModel):
    """A pool, and where its mail goes when its IPs are spent."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    overflow: Name | None = None
    reason: str = Field("", max_length=500)


class PoolOut(BaseModel):
    """A pool as it stands."""

    name: str
    overflow: str | None
    created_at: dt.datetime


class Pools(BaseModel):
    """Every pool."""

    items: list[PoolOut]
    next: str | None = None


class SenderIn(BaseModel):
    """A sender and its pool."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    pool: Name
    matches: list[Match] | None = Field(
        None, max_length=500, description="Logins, addresses and domains of its mail, all of them; null: as they are."
    )
    reason: str = Field("", max_length=500)


class SenderOut(BaseModel):
    """A sender as it stands."""

    name: str
    pool: str
    matches: list[str]
    created_at: dt.datetime


class Senders(BaseModel):
    """Every sender."""

    items: list[SenderOut]
    next: str | None = None


@router.get("/pools")
async def list_pools(who: Viewer, db: Store) -> Pools:
    """Pools by name."""
    async with db.read() as session:
        return Pools(items=[PoolOut(**row.model_dump()) for row in await repository.pools(session)])


@router.post("/pools", status_code=201)
async def put_pool(body: PoolIn, who: Operator, db: Store) -> PoolOut:
    """Make a pool, or change where it overflows to; the same again changes nothing."""
    async with db.write() as session:
        row = await repository.put_pool(session, body.name, body.overflow)
    await audit.record(db, who, "pool.put", body.name, body.reason, None, {"overflow": body.overflow})
    return PoolOut(**row.model_dump())


@router.get("/senders")
async def list_senders(who: Viewer, db: Store) -> Senders:
    """Senders by name."""
    async with db.read() as session:
        known = await repository.matches(session)
        rows = await repository.senders(session)
    return Senders(items=[SenderOut(**row.model_dump(), matches=known.get(row.name, [])) for row in rows])


@router.post("/senders", status_code=201)
async def add_sender(body: SenderIn, who: Operator, db: Store) -> SenderOut:
    """Make a sender, or change how its mail is known; the same again changes nothing."""
    async with db.write() as session:
        row = await repository.add_sender(session, body.name, body.pool, body.matches)
        found = list(await repository.matches_of(session, body.name))
    await audit.record(db, who, "sender.add", body.name, body.reason, None, {"pool": body.pool, "matches": found})
    return SenderOut(**row.model_dump(), matches=found)
