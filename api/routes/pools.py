"""Pools of IPs and the senders that use them."""

from __future__ import annotations

import dataclasses
import datetime as dt

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, computed_field

from api import audit
from api.deps import After, AppSettings, Limit, Operator, Store, Viewer
from api.idempotency import Keyed, claim
from api.names import Known, Match, Name
from domain.words import DEFAULT_POOL
from store import deleting
from store import senders as repository
from store.tables.senders import Pool, Sender

router = APIRouter(prefix="/v1", tags=["pools"])


class PoolIn(BaseModel):
    """A pool, and where its mail goes when its IPs are spent."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    overflow: Known | None = None
    reason: audit.Reason = ""


class PoolChange(BaseModel):
    """Where a pool overflows to from now on; null is nowhere."""

    model_config = ConfigDict(extra="forbid")

    overflow: Known | None
    reason: audit.Reason = ""


class PoolOut(BaseModel):
    """A pool as it stands."""

    name: str
    overflow: str | None
    created_at: dt.datetime
    ips: int = Field(description="IPs of it that are not retired.")

    @computed_field(description="The pool of every IP that names none; it stays.")  # type: ignore[prop-decorator]
    @property
    def default(self) -> bool:
        """Whether it is the one of every IP that names none."""
        return self.name == DEFAULT_POOL


class Pools(BaseModel):
    """A page of pools."""

    items: list[PoolOut]
    next: str | None


class SenderIn(BaseModel):
    """A sender and its pool."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    pool: Known
    matches: list[Match] | None = Field(
        None, max_length=500, description="Logins, addresses and domains of its mail, all of them; null: as they are."
    )
    reason: audit.Reason = ""


class SenderChange(BaseModel):
    """What is new of a sender; null, or left out, stays as it is."""

    model_config = ConfigDict(extra="forbid")

    pool: Known | None = None
    matches: list[Match] | None = Field(
        None, max_length=500, description="Logins, addresses and domains of its mail, all of them."
    )
    reason: audit.Reason = ""


class SenderOut(BaseModel):
    """A sender as it stands."""

    name: str
    pool: str
    matches: list[str]
    created_at: dt.datetime


class Senders(BaseModel):
    """A page of senders."""

    items: list[SenderOut]
    next: str | None


@router.get("/pools")
async def list_pools(who: Viewer, db: Store, after: After = None, limit: Limit = 50) -> Pools:
    """Pools by name."""
    async with db.read() as session:
        found, following = await repository.pools(session, after=after, limit=limit)
    return Pools(items=[PoolOut(**vars(one)) for one in found], next=following)


@router.post("/pools", status_code=201)
async def put_pool(body: PoolIn, who: Operator, db: Store, key: Keyed) -> PoolOut:
    """Make a pool, or change where it overflows to if that is named; the same again changes nothing."""
    async with db.write() as session:
        if key is not None and await claim(session, key, [body.name]) is not None:
            row = await session.get(Pool, body.name)
            if row is None:
                raise key.gone(f"pool {body.name}")
        else:
            row, was = await repository.put_pool(
                session, body.name, body.overflow, keep="overflow" not in body.model_fields_set
            )
            now = {"overflow": row.overflow}
            if was != now:
                await audit.write(session, who, "pool.put", body.name, body.reason, was, now)
        return PoolOut(**row.model_dump(), ips=await repository.ips_of_pool(session, body.name))


@router.patch("/pools/{name:path}")
async def change_pool(name: Known, body: PoolChange, who: Operator, db: Store) -> PoolOut:
    """Change where a pool overflows to; the gates take it up within a second."""
    async with db.write() as session:
        row, before = await repository.change_pool(session, name, body.overflow)
        if before != row.overflow:
            was, now = {"overflow": before}, {"overflow": row.overflow}
            await audit.write(session, who, "pool.change", name, body.reason, was, now)
        return PoolOut(**row.model_dump(), ips=await repository.ips_of_pool(session, name))


@router.delete("/pools/{name:path}", status_code=204, response_class=Response)
async def delete_pool(
    name: Known, who: Operator, db: Store, settings: AppSettings, reason: audit.ReasonQuery = ""
) -> None:
    """End a pool that no IP, sender, order and other pool uses; its figures and its audit stay."""
    async with db.write() as session:
        was = await deleting.pool(session, name, settings.gate_default_pool)
        await audit.write(session, who, "pool.delete", name, reason, was)


@router.get("/senders")
async def list_senders(who: Viewer, db: Store, after: After = None, limit: Limit = 50) -> Senders:
    """Senders by name."""
    async with db.read() as session:
        rows, following = await repository.senders(session, after=after, limit=limit)
        known = await repository.matches(session, [row.name for row in rows])
    items = [SenderOut(**row.model_dump(), matches=known.get(row.name, [])) for row in rows]
    return Senders(items=items, next=following)


@router.post("/senders", status_code=201)
async def add_sender(body: SenderIn, who: Operator, db: Store, key: Keyed) -> SenderOut:
    """Make a sender, or change how its mail is known; the same again changes nothing."""
    async with db.write() as session:
        row = await session.get(Sender, body.name)
        was = {"pool": row.pool, "matches": list(await repository.matches_of(session, body.name))} if row else None
        if key is not None and await claim(session, key, [body.name]) is not None:
            if row is None:
                raise key.gone(f"sender {body.name}")
        else:
            row = await repository.add_sender(session, body.name, body.pool, body.matches)
        found = list(await repository.matches_of(session, body.name))
        now = {"pool": row.pool, "matches": found}
        if was != now:
            await audit.write(session, who, "sender.add", body.name, body.reason, was, now)
    return SenderOut(**row.model_dump(), matches=found)


@router.patch("/senders/{name:path}")
async def change_sender(name: Known, body: SenderChange, who: Operator, db: Store) -> SenderOut:
    """Move a sender to another pool, or change how its mail is known; the gates take it up within a second."""
    async with db.write() as session:
        row, before, after = await repository.change_sender(session, name, body.pool, body.matches)
        if before != after:
            was, now = dataclasses.asdict(before), dataclasses.asdict(after)
            await audit.write(session, who, "sender.change", name, body.reason, was, now)
    return SenderOut(**row.model_dump(), matches=list(after.matches))


@router.delete("/senders/{name:path}", status_code=204, response_class=Response)
async def delete_sender(name: Known, who: Operator, db: Store, reason: audit.ReasonQuery = "") -> None:
    """End a sender without IPs and unfinished campaigns; its finished ones go along, its figures and its audit stay.

    Mail that still comes is of no known sender.
    """
    async with db.write() as session:
        was = await deleting.sender(session, name)
        await audit.write(session, who, "sender.delete", name, reason, was)
