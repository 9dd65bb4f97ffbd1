"""Incidents: what went wrong, since when, and when it ended."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.deps import Store, Viewer
from domain.refusals import NotFound
from domain.words import Severity
from store import incidents
from store.tables.incidents import Incident

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])


class IncidentView(BaseModel):
    """One trouble of one IP; ``closed_at`` null while it lasts."""

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


class IncidentList(BaseModel):
    """Incidents, newest first."""

    items: list[IncidentView]
    next: str | None = None


def _view(row: Incident) -> IncidentView:
    return IncidentView.model_validate(row.model_dump())


@router.get("")
async def overview(
    _: Viewer,
    db: Store,
    open_only: bool = Query(False, alias="open"),
    address: str | None = None,
    limit: int = Query(100, ge=1, le=500),
) -> IncidentList:
    """Incidents, newest first; ``open=true`` for those that last."""
    async with db.read() as session:
        rows = await incidents.listing(session, open_only=open_only, address=address, limit=limit)
    return IncidentList(items=[_view(row) for row in rows])


@router.get("/{incident}")
async def one(incident: str, _: Viewer, db: Store) -> IncidentView:
    """One incident."""
    async with db.read() as session:
        row = await session.get(Incident, incident)
    if row is None:
        raise NotFound(f"There is no incident {incident}.", field="incident", code="unknown_incident")
    return _view(row)
