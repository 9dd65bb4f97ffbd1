"""Campaigns of senders, and what an operator pauses: all mail, an IP, a pool, a sender, a campaign."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api import audit
from api.deps import After, AppSettings, Limit, Operator, Store, Viewer
from api.idempotency import Keyed, claim
from api.names import Address, CampaignName, Known
from domain.reach import reach
from domain.routing import Party, Routes, Scope
from domain.words import CampaignState
from store import deleting, gate, pauses, senders
from store.tables.senders import Campaign, MailPause

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])


class CampaignIn(BaseModel):
    """A campaign; its mail has the name as extension: `news+NAME@acme.example`."""

    model_config = ConfigDict(extra="forbid")

    name: CampaignName
    sender: Known
    reason: audit.Reason = ""


class CampaignOut(BaseModel):
    """A campaign as it stands; `reason` says why it is paused, itself, its sender or all mail.

    A finished one is paused, too: its mail stops until it is resumed.
    """

    name: str
    sender: str
    status: CampaignState
    paused: bool
    reason: str
    paused_by: str = Field("", description="Name of the token that paused what stops it.")
    paused_since: dt.datetime | None = None
    created_at: dt.datetime
    finished_at: dt.datetime | None = None


class Campaigns(BaseModel):
    """A page of campaigns."""

    items: list[CampaignOut]
    next: str | None


class ScopeIn(BaseModel):
    """What is paused: exactly one of them."""

    model_config = ConfigDict(extra="forbid")

    all: Literal[True] | None = None
    ip: Address | None = Field(None, min_length=1)
    pool: str | None = Field(None, min_length=1, max_length=100)
    sender: str | None = Field(None, min_length=1, max_length=100)
    campaign: str | None = Field(None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def one_of_them(self) -> ScopeIn:
        """Exactly one is given."""
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError('give exactly one of {"all": true}, ip, pool, sender and campaign')
        return self

    def named(self) -> tuple[Scope, str]:
        """The scope and the name of what it covers; all mail has none."""
        ((word, value),) = self.model_dump(exclude_none=True).items()
        return Scope(word), "" if value is True else str(value)


class Command(BaseModel):
    """Pause or resume, and why."""

    model_config = ConfigDict(extra="forbid")

    scope: ScopeIn
    reason: audit.Reason = ""


class PauseOut(BaseModel):
    """A scope as it stands after the command; `since` is null when it is not paused."""

    scope: dict[str, Any]
    paused: bool
    reason: str
    since: dt.datetime | None
    who: str = Field("", description="Name of the token that paused it for this reason.")


class ReachOut(BaseModel):
    """What a pause stops, or would stop, by itself: nothing that stands still for another reason is counted."""

    campaigns: int = Field(description="Campaigns; not those whose pool overflows to an IP that sends.")
    senders: int
    ips: int = Field(description="IPs that send but for the pause.")
    kept: int = Field(description="Campaigns it covers that do not send without it either.")


class Pauses(BaseModel):
    """Everything an operator has paused."""

    items: list[PauseOut]
    next: str | None = None


def _scope(scope: str, name: str) -> dict[str, Any]:
    return {scope: True if scope == Scope.ALL else name}


def _shown(row: MailPause) -> PauseOut:
    return PauseOut(scope=_scope(row.scope, row.name), paused=True, reason=row.reason, since=row.since, who=row.who)


def _campaign(row: Campaign, paused: Sequence[MailPause]) -> CampaignOut:
    known = {(one.scope, one.name): one for one in paused}
    party = Party(sender=row.sender, campaign=row.name)
    routes = Routes(pauses={key: one.reason for key, one in known.items()})
    found = routes.stopping(party)
    if found is None:
        return CampaignOut(**row.model_dump(), status=CampaignState.ACTIVE, paused=False, reason="")
    by = known[found]
    return CampaignOut(
        **row.model_dump(),
        status=CampaignState.FINISHED if row.finished_at else CampaignState.PAUSED,
        paused=True, reason=routes.stopped(party), paused_by=by.who, paused_since=by.since,
    )  # fmt: skip


@router.get("")
async def overview(_: Viewer, db: Store, after: After = None, limit: Limit = 50) -> Campaigns:
    """Campaigns by name, and whether each is paused."""
    async with db.read() as session:
        paused = await pauses.listing(session)
        rows, following = await senders.campaigns(session, after=after, limit=limit)
    return Campaigns(items=[_campaign(row, paused) for row in rows], next=following)


@router.post("", status_code=201)
async def add(body: CampaignIn, who: Operator, db: Store, key: Keyed) -> CampaignOut:
    """Make a campaign of a sender; the same again changes nothing."""
    async with db.write() as session:
        row = await session.get(Campaign, body.name)
        if key is not None and await claim(session, key, [body.name]) is not None:
            if row is None:
                raise key.gone(f"campaign {body.name}")
        else:
            new = row is None
            row = await senders.add_campaign(session, body.name, body.sender)
            if new:
                await audit.write(session, who, "campaign.add", body.name, body.reason, None, {"sender": body.sender})
        paused = await pauses.listing(session)
    return _campaign(row, paused)


@router.delete("/{name:path}", status_code=204, response_class=Response)
async def delete(name: Known, who: Operator, db: Store, reason: audit.ReasonQuery = "") -> None:
    """End a finished campaign; its figures and its audit stay. Mail that still names it is its sender's own."""
    async with db.write() as session:
        was = await deleting.campaign(session, name)
        await audit.write(session, who, "campaign.delete", name, reason, was)


@router.post("/{name}/finish")
async def finish(name: CampaignName, body: audit.Why, who: Operator, db: Store) -> CampaignOut:
    """Declare a campaign over; its mail stops at the gates within a second. Resumed, it is active again."""
    async with db.write() as session:
        row, new = await pauses.finish(session, name, body.reason, who.name)
        if new:
            was, is_ = {"finished": False}, {"finished": True}
            await audit.write(session, who, "campaign.finish", name, body.reason, was, is_)
        paused = await pauses.listing(session)
    return _campaign(row, paused)


@router.get("/pauses")
async def paused(_: Viewer, db: Store) -> Pauses:
    """What operators have paused; warm-ups and alerts pause single IPs by themselves."""
    async with db.read() as session:
        return Pauses(items=[_shown(row) for row in await pauses.listing(session)])


@router.get("/reach")
async def how_far(
    _: Viewer,
    db: Store,
    settings: AppSettings,
    scope: Scope = Scope.ALL,
    name: Annotated[str, Query(max_length=100)] = "",
) -> ReachOut:
    """What a pause of a scope stops or would stop, and so what its end lets go; `name` is not read for all mail."""
    named = "" if scope is Scope.ALL else name
    async with db.read() as session:
        await pauses.known(session, scope, named)
        found = reach(await gate.routes(session, settings.gate_default_pool), scope, named)
    return ReachOut(**dataclasses.asdict(found))


@router.post("/pause")
async def pause(body: Command, who: Operator, db: Store) -> PauseOut:
    """Stop mail at the gates, within a second; paused again only the reason is new, and who gave it."""
    scope, name = body.scope.named()
    async with db.write() as session:
        row, before = await pauses.pause(session, scope, name, body.reason, who.name)
        if before is not row:
            was = {"paused": False} if before is None else {"paused": True, "reason": before.reason}
            after = {"paused": True, "reason": row.reason}
            await audit.write(session, who, "mail.pause", _target(scope, name), body.reason, was, after)
    return _shown(row)


@router.post("/resume")
async def resume(body: Command, who: Operator, db: Store) -> PauseOut:
    """Let mail go again; what is not paused stays so."""
    scope, name = body.scope.named()
    async with db.write() as session:
        ended = await pauses.resume(session, scope, name)
        if ended is not None:
            was = {"paused": True, "reason": ended.reason}
            await audit.write(session, who, "mail.resume", _target(scope, name), body.reason, was, {"paused": False})
    return PauseOut(scope=_scope(scope, name), paused=False, reason="", since=None)


def _target(scope: Scope, name: str) -> str:
    return f"{scope} {name}".strip()
