"""Incidents: what went wrong, since when, and when it ended."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api import audit
from api.deps import After, Operator, Store, Viewer
from domain.refusals import NotFound
from domain.words import Severity
from store import incidents
from store.tables.incidents import Incident

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])


class Cause(BaseModel):
    """Who sees the trouble, and what of it."""

    seen_by: str
    severity: Severity
    reason: str


class IncidentView(BaseModel):
    """One trouble of one IP or domain; ``closed_at`` null while it lasts."""

    id: str
    kind: str
    address: str
    severity: Severity
    title: str
    detail: str
    opened_at: dt.datetime
    updated_at: dt.datetime
    closed_at: dt.datetime | None
    closed_why: str
    cause: str
    causes: list[Cause]
    first_seen: dt.datetime
    last_seen: dt.datetime


class CloseIn(BaseModel, extra="forbid"):
    """What was put right."""

    reason: audit.Reason = Field(min_length=1)


class IncidentList(BaseModel):
    """Incidents, newest first."""

    items: list[IncidentView]
    next: str | None = None


def _view(row: Incident) -> IncidentView:
    causes = [Cause(seen_by=by, severity=cause["severity"], reason=cause["reason"]) for by, cause in row.causes.items()]
    told = {"cause": row.title, "causes": causes, "first_seen": row.opened_at, "last_seen": row.updated_at}
    return IncidentView.model_validate(row.model_dump(exclude={"causes"}) | told)


@router.get("")
async def overview(
    _: Viewer,
    db: Store,
    open_only: bool = Query(False, alias="open"),
    address: str | None = None,
    kind: str | None = None,
    after: After = None,
    limit: int = Query(100, ge=1, le=500),
) -> IncidentList:
    """Incidents, newest first; ``open=true`` for those that last, ``next`` is the cursor of the next page."""
    async with db.read() as session:
        rows, following = await incidents.page(
            session, open_only=open_only, address=address, kind=kind, after=after, limit=limit
        )
    return IncidentList(items=[_view(row) for row in rows], next=following)


@router.get("/{incident}")
async def one(incident: str, _: Viewer, db: Store) -> IncidentView:
    """One incident."""
    async with db.read() as session:
        row = await session.get(Incident, incident)
    if row is None:
        raise NotFound(f"There is no incident {incident}.", field="incident", code="unknown_incident")
    return _view(row)


@router.post("/{incident}/close")
async def close(incident: str, body: CloseIn, who: Operator, db: Store) -> IncidentView:
    """Close an incident that no journey closes, such as money that was settled by hand."""
    async with db.write() as session:
        view = _view(await incidents.close_by_hand(session, incident, body.reason))
        await audit.write(session, who, "incident.close", incident, body.reason)
    return view
