"""Reputation: scores of the fleet, and one IP's score with what it is made of."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from temporalio.common import WorkflowIDConflictPolicy

from api import audit
from api.deps import After, AppSettings, Operator, Store, Temporal, Viewer
from api.journeys import link
from api.names import IpPath
from domain.blocklists import delisting
from domain.words import Band, Stage
from store import ips
from store import reputation as scores
from store.ordering import Order
from store.tables.reputation import Listing
from workflows.sweep import ReputationSweep, SweepInput

router = APIRouter(tags=["reputation"])


class ComponentView(BaseModel):
    """One part of a score; ``value`` null is unknown, ``age`` in seconds."""

    name: str
    value: int | None
    weight: int
    sample: int
    age: float | None
    detail: str


class ListingView(BaseModel):
    """One listing of the IP or of its sending domain (``subject``); it acts only once confirmed."""

    subject: str
    zone: str
    state: str
    part: str
    weight: str
    first_seen: dt.datetime
    last_seen: dt.datetime
    cleared_at: dt.datetime | None
    confirmed: bool
    detail: str
    delisting: str


class PointView(BaseModel):
    """A score at a time."""

    at: dt.datetime
    score: int | None
    band: Band


class Scored(BaseModel):
    """A score and when it was taken."""

    address: str
    score: int | None
    band: Band
    measured_at: dt.datetime | None


class ReputationRow(Scored):
    """A score of the list; ``listings`` names the lists that the IP stands on now, confirmed or seen once."""

    stage: Stage
    listings: list[str]
    unconfirmed: list[str] = Field(description="Those of the listings that were seen once, and act on nothing yet.")


class ReputationList(BaseModel):
    """A page of scores."""

    items: list[ReputationRow]
    next: str | None


class ReputationView(Scored):
    """What is known of an IP's reputation."""

    reason: str = ""
    components: list[ComponentView] = []
    listings: list[ListingView] = []
    past_listings: list[ListingView] = []
    lists: list[dict[str, Any]] = []
    trend: list[PointView] = []


class CheckStarted(BaseModel):
    """A look under way."""

    workflow: dict[str, str | None]


def _listing(row: Listing) -> ListingView:
    return ListingView(
        subject=row.address,
        zone=row.zone,
        state="ended" if row.cleared_at else "confirmed" if row.confirmed_at else "seen once",
        part=row.answer.get("part", ""),
        weight=row.answer.get("weight", ""),
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        cleared_at=row.cleared_at,
        confirmed=row.confirmed_at is not None,
        detail=row.answer.get("reason", ""),
        delisting=delisting(row.zone),
    )


@router.get("/v1/reputation")
async def overview(
    _: Viewer,
    db: Store,
    band: Band | None = None,
    pool: str | None = None,
    q: str | None = None,
    after: After = None,
    limit: int = Query(50, ge=1, le=500),
    order: Order = Order.ADDRESS,
) -> ReputationList:
    """Scores of the fleet, by address or in another order; ``order=reputation`` has the worst first."""
    async with db.read() as session:
        rows, following = await ips.list_page(session, band=band, pool=pool, q=q, after=after, limit=limit, order=order)
        listed = await scores.listed(session, [row.address for row in rows])
    items = [
        ReputationRow(
            address=row.address,
            score=row.score,
            band=Band(row.band),
            measured_at=row.scored_at,
            stage=Stage(row.stage),
            listings=[zone for zone, _ in listed.get(row.address, [])],
            unconfirmed=[zone for zone, confirmed in listed.get(row.address, []) if not confirmed],
        )
        for row in rows
    ]
    return ReputationList(items=items, next=following)


@router.get("/v1/ips/{address}/reputation")
async def one(address: IpPath, _: Viewer, db: Store) -> ReputationView:
    """Score, band, components with age and sample, listings, trend."""
    async with db.read() as session:
        ip = await ips.get(session, address)
        row = await scores.get(session, address)
        found = [*await scores.listings(session, address, open_only=False)]
        if ip.domain:
            found += await scores.listings(session, ip.domain.lower().rstrip("."), open_only=False)
        points = await scores.trend(session, address)
    if row is None:
        return ReputationView(address=ip.address, score=None, band=Band.UNKNOWN, measured_at=None)
    since = (dt.datetime.now(dt.UTC) - row.checked_at).total_seconds()
    return ReputationView(
        address=address,
        score=row.score,
        band=Band(row.band),
        measured_at=row.checked_at,
        reason=row.reason,
        components=[
            ComponentView(
                name=part["name"],
                value=part["value"],
                weight=part["weight"],
                sample=part["sample"],
                age=None if part["age"] is None else part["age"] + since,
                detail=part["note"],
            )
            for part in row.components
        ],
        listings=[_listing(listing) for listing in found if listing.cleared_at is None],
        past_listings=[_listing(listing) for listing in found if listing.cleared_at is not None],
        lists=row.answers,
        trend=[PointView(at=point.at, score=point.score, band=Band(point.band)) for point in points],
    )


@router.post("/v1/ips/{address}/reputation/check", status_code=202)
async def check(
    address: IpPath,
    principal: Operator,
    db: Store,
    temporal: Temporal,
    settings: AppSettings,
    body: audit.Why | None = None,
) -> CheckStarted:
    """Look at the lists now; pressed twice is one look."""
    async with db.read() as session:
        await ips.get(session, address)
    async with audit.asking(db, principal, "reputation.check", address, body.reason if body else ""):
        handle = await temporal.start_workflow(
            ReputationSweep.run,
            SweepInput(
                addresses=[address],
                second_look_seconds=settings.blocklist_second_look_seconds,
                patience_seconds=60 * settings.sweep_minutes,
            ),
            id=f"sweep-reputation:{address}",
            task_queue=settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Read the blocklists for {address}",
        )
    return CheckStarted(workflow=link(settings, handle.id, handle.first_execution_run_id))
