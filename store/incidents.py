"""Repository of incidents: at most one open of a kind for an address."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.words import Severity
from store.database import now
from store.tables.incidents import Incident


async def find_open(session: AsyncSession, kind: str, address: str) -> Incident | None:
    """The open incident of a kind for an address."""
    query = select(Incident).where(
        col(Incident.kind) == kind, col(Incident.address) == address, col(Incident.closed_at).is_(None)
    )
    return (await session.exec(query)).first()


async def open_incident(
    session: AsyncSession, kind: str, address: str, severity: Severity, title: str, detail: str = ""
) -> tuple[Incident, bool]:
    """Open an incident, or bring the open one of its kind up to date; True when it is new."""
    incident = await find_open(session, kind, address)
    new = incident is None
    if incident is None:
        incident = Incident(
            id=f"inc_{secrets.token_hex(8)}", kind=kind, address=address, severity=severity, title=title
        )
    incident.severity, incident.title, incident.detail, incident.updated_at = severity, title, detail, now()
    session.add(incident)
    await session.flush()
    return incident, new


async def close_incident(session: AsyncSession, kind: str, address: str, why: str) -> bool:
    """Close the open incident of a kind; False when none was open."""
    incident = await find_open(session, kind, address)
    if incident is None:
        return False
    incident.closed_at, incident.closed_why = now(), why
    session.add(incident)
    await session.flush()
    return True


async def listing(
    session: AsyncSession, *, open_only: bool = False, address: str | None = None, limit: int = 100
) -> Sequence[Incident]:
    """Incidents, newest first."""
    query = select(Incident).order_by(col(Incident.opened_at).desc()).limit(limit)
    if open_only:
        query = query.where(col(Incident.closed_at).is_(None))
    if address:
        query = query.where(col(Incident.address) == address)
    return (await session.exec(query)).all()
