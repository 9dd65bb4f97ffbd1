"""The fleet, one IP, its journey, and what waits for a person."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api import audit
from api.deps import After, AppSettings, Limit, Operator, Store, Temporal, Viewer
from api.idempotency import Keyed
from api.journeys import command, link, standstill
from api.names import IpPath
from domain.lifecycle import Reassign, Retire, check_assignable
from domain.words import Actor, Band, Severity, Stage
from settings import Settings
from store import attention as waiting
from store import ips, ledger, runs, senders
from store.instants import now
from store.ordering import Order
from store.tables.ips import Ip
from workflows.ids import ip_id
from workflows.lifecycle import IpLifecycle

router = APIRouter(prefix="/v1", tags=["lifecycle"])


class IpOut(BaseModel):
    """One IP as lists and pages show it."""

    address: str
    type: str
    stage: str
    status: str
    vendor: str
    region: str
    pool: str
    sender: str | None
    domain: str
    hostname: str
    mx: str | None
    smtp_login: str | None
    daily_cap: int | None
    sent_today: int | None
    safe_limit: int
    score: int | None
    band: str
    scored_at: dt.datetime | None
    order_id: str | None
    disposal: str
    dns_verified_at: dt.datetime | None
    waiting_for: str
    waiting_on: str
    waiting_since: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    workflow: dict[str, str | None]


class IpPage(BaseModel):
    """A page of IPs."""

    items: list[IpOut]
    next: str | None


#: What an operator reads beside an IP; "Active" from the moment DNS is verified.
STATUS = {
    Stage.SELECTED: "Selected",
    Stage.PURCHASING: "Purchasing",
    Stage.AWAITING_DNS: "Awaiting DNS",
    Stage.AT_RISK: "At risk",
    Stage.RECOVERING: "Recovering",
    Stage.QUARANTINED: "Quarantined",
    Stage.FAILED_OVER: "Failed over",
    Stage.RETIRED: "Retired",
}


async def _shown(session: AsyncSession, settings: Settings, *rows: Ip) -> list[IpOut]:
    windows = await ledger.windows(session, [row.address for row in rows], int(now().timestamp() * 1000))
    begun = await runs.of_many(session, [ip_id(row.address) for row in rows])
    shared = set(IpOut.model_fields) & set(Ip.model_fields)
    answers = []
    for row in rows:
        cap, sent_today = windows.get(row.address, (None, None))
        answers.append(
            IpOut(
                **row.model_dump(include=shared),
                status=STATUS.get(Stage(row.stage), "Active"),
                # The window of its last day stands in the ledger, and nothing may be sent of it.
                daily_cap=None if row.stage == Stage.RETIRED else cap,
                sent_today=sent_today,
                workflow=link(settings, ip_id(row.address), begun.get(ip_id(row.address))),
            )
        )
    return answers


@router.get("/ips")
async def list_ips(
    _: Viewer,
    db: Store,
    settings: AppSettings,
    stage: Stage | None = None,
    pool: str | None = None,
    band: Band | None = None,
    q: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    order: Order = Order.ADDRESS,
) -> IpPage:
    """A page of the fleet, filtered and sorted on the server."""
    async with db.read() as session:
        rows, following = await ips.list_page(
            session, stage=stage, pool=pool, band=band, q=q, after=after, limit=limit, order=order
        )
        return IpPage(items=await _shown(session, settings, *rows), next=following)


@router.get("/ips/{address}")
async def get_ip(address: IpPath, _: Viewer, db: Store, settings: AppSettings) -> IpOut:
    """One IP."""
    async with db.read() as session:
        return (await _shown(session, settings, await ips.get(session, address)))[0]


class RetireIn(Retire, extra="forbid"):
    """The message to the journey, where a misspelt field is refused."""

    reason: audit.Reason


class ReassignIn(Reassign, extra="forbid"):
    """The message to the journey, where a misspelt field is refused."""

    reason: audit.Reason = ""
    anyway: bool = Field(False, description="Also while the IP is at risk, when no new domains should go on it.")


class StepOut(BaseModel):
    """When a stage was reached."""

    stage: str
    at: dt.datetime
    note: str


@router.get("/ips/{address}/journey")
async def journey(address: IpPath, _: Viewer, db: Store, settings: AppSettings) -> dict[str, Any]:
    """The life of an IP so far."""
    async with db.read() as session:
        row = await ips.get(session, address)
        steps = await ips.steps(session, row.address)
        run = await runs.of(session, ip_id(row.address))
    return {
        "address": row.address,
        "stage": row.stage,
        "waiting_for": row.waiting_for,
        "waiting_on": row.waiting_on,
        "waiting_since": row.waiting_since,
        "steps": [StepOut(stage=step.stage, at=step.at, note=step.note) for step in steps],
        "workflow": link(settings, ip_id(row.address), run),
    }


@router.post("/ips/{address}/retire")
async def retire(
    address: IpPath, body: RetireIn, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> IpOut:
    """End the life of an IP: its mail stops, then its address goes back to the vendor unless it is kept."""
    was = await get_ip(address, who, db, settings)
    wanted = {"keep": body.keep}
    async with audit.asking(db, who, "ip.retire", address, body.reason, {"stage": was.stage}, wanted, key) as asked:
        if not asked.done:
            await command(temporal, ip_id(address), IpLifecycle.retire, body, key)
    return await get_ip(address, who, db, settings)


@router.post("/ips/{address}/assign")
async def assign(
    address: IpPath,
    body: ReassignIn,
    who: Operator,
    db: Store,
    temporal: Temporal,
    settings: AppSettings,
    key: Keyed,
) -> IpOut:
    """Move an IP to another pool or sender, both of which are there; answers once it is done.

    One at risk is moved only where the request says `anyway`.
    """
    async with db.read() as session:
        await senders.check_known(session, pool=body.pool, sender=body.sender or None)
        row = await ips.get(session, address)
        was = {"pool": row.pool, "sender": row.sender}
    wanted = body.model_dump(include={"pool", "sender"} | ({"anyway"} if body.anyway else set()))
    async with audit.asking(db, who, "ip.assign", address, body.reason, was, wanted, key) as asked:
        if not asked.done:
            check_assignable(Stage(row.stage), address, anyway=body.anyway)
            move = Reassign(pool=body.pool, sender=body.sender, reason=body.reason)
            await command(temporal, ip_id(address), IpLifecycle.reassign, move, key)
    return await get_ip(address, who, db, settings)


@router.get("/fleet")
async def fleet(_: Viewer, db: Store, settings: AppSettings) -> dict[str, Any]:
    """Counts by stage and by reputation, and which installation this is."""
    async with db.read() as session:
        stages = await ips.count_by_stage(session)
        bands = await ips.count_by_band(session)
    return {
        "stages": stages,
        "bands": bands,
        "installation": settings.installation,
        "profile": settings.profile,
        "temporal_ui_url": settings.temporal_ui_url,
        "day_seconds": settings.day_seconds,
    }


class AttentionOut(BaseModel):
    """One thing that needs a person, and where it is done."""

    severity: Severity
    text: str
    page: str = Field(description="Page of the console where it is done; empty where none is.")
    ip: str | None
    who: Actor
    since: dt.datetime | None
    order: str | None
    part: str = Field(description="Part of that page, by the words on its tab; empty for the whole page.")


class AttentionList(BaseModel):
    """The worst of what needs a person."""

    items: list[AttentionOut]
    total: int = Field(description="How many there are, also those that are not listed.")
    next: str | None


@router.get("/attention")
async def attention(
    request: Request,
    _: Viewer,
    db: Store,
    settings: AppSettings,
    after: After = None,
    limit: Limit = waiting.MOST,
) -> AttentionList:
    """What needs a person, worst first; a full disk and journeys that stand still come before the first page."""
    async with db.read() as session:
        items, following = await waiting.page(session, after=after, limit=limit)
        total = await waiting.total(session) if after or following else len(items)
    for said in (await standstill(request.app.state.temporal, settings.task_queue), await db.full_disk.told()):
        if said:
            total += 1
            if not after:
                items.insert(0, waiting.Item(Severity.CRITICAL, said, "", None, Actor.OPERATOR, None))
    return AttentionList(items=[AttentionOut(**vars(item)) for item in items], total=total, next=following)
