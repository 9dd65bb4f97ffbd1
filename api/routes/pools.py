"""Pools of IPs and the senders that use them."""

from __future__ import annotations

import dataclasses
import datetime as dt

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api import audit
from api.deps import Operator, Store, Viewer
from api.names import Match, Name
from store import senders as repository

router = APIRouter(prefix="/v1", tags=["pools"])


class PoolIn(BaseModel):
    """A pool, and where its mail goes when its IPs are spent."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    overflow: Name | None = None
    reason: str = Field("", max_length=500)


class PoolChange(BaseModel):
    """Where a pool overflows to from now on; null is nowhere."""

    model_config = ConfigDict(extra="forbid")

    overflow: Name | None
    reason: str = Field("", max_length=500)


class PoolOut(BaseModel):
    """A pool as it stands."""

    name: str
    overflow: str | None
    created_at: dt.datetime
    ips: int = Field(description="IPs of it that are not retired.")


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


class SenderChange(BaseModel):
    """What is new of a sender; null, or left out, stays as it is."""

    model_config = ConfigDict(extra="forbid")

    pool: Name | None = None
    matches: list[Match] | None = Field(
        None, max_length=500, description="Logins, addresses and domains of its mail, all of them."
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
        return Pools(items=[PoolOut(**vars(one)) for one in await repository.pools(session)])


@router.post("/pools", status_code=201)
async def put_pool(body: PoolIn, who: Operator, db: Store) -> PoolOut:
    """Make a pool, or change where it overflows to if that is named; the same again changes nothing."""
    async with db.write() as session:
        row, was = await repository.put_pool(
            session, body.name, body.overflow, keep="overflow" not in body.model_fields_set
        )
        await audit.write(session, who, "pool.put", body.name, body.reason, was, {"overflow": row.overflow})
        return PoolOut(**row.model_dump(), ips=await repository.ips_of_pool(session, body.name))


@router.patch("/pools/{name}")
async def change_pool(name: Name, body: PoolChange, who: Operator, db: Store) -> PoolOut:
    """Change where a pool overflows to; the gates take it up within a second."""
    async with db.write() as session:
        row, before = await repository.change_pool(session, name, body.overflow)
        if before != row.overflow:
            was, now = {"overflow": before}, {"overflow": row.overflow}
            await audit.write(session, who, "pool.change", name, body.reason, was, now)
        return PoolOut(**row.model_dump(), ips=await repository.ips_of_pool(session, name))


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
        after = {"pool": body.pool, "matches": found}
        await audit.write(session, who, "sender.add", body.name, body.reason, None, after)
    return SenderOut(**row.model_dump(), matches=found)


@router.patch("/senders/{name}")
async def change_sender(name: Name, body: SenderChange, who: Operator, db: Store) -> SenderOut:
    """Move a sender to another pool, or change how its mail is known; the gates take it up within a second."""
    async with db.write() as session:
        row, before, after = await repository.change_sender(session, name, body.pool, body.matches)
        if before != after:
            was, now = dataclasses.asdict(before), dataclasses.asdict(after)
            await audit.write(session, who, "sender.change", name, body.reason, was, now)
    return SenderOut(**row.model_dump(), matches=list(after.matches))
