"""Repository of incidents: at most one open of a kind for an address.

Several watchers may see one trouble (a sweep, an alert, the warm-up): each holds the same incident open with a
cause of its own, and it is over when the last of them lets go.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.refusals import Conflict, NotFound
from domain.words import WORST_FIRST, Severity
from store.database import upsert
from store.instants import now
from store.paging import no_cursor
from store.tables.incidents import Incident

#: Kinds that no journey closes: something outside was put right, which only a person can know.
CLOSED_BY_HAND = frozenset({"purchase", "payment", "retirement"})


async def find_open(session: AsyncSession, kind: str, address: str) -> Incident | None:
    """The open incident of a kind, if there is one."""
    query = select(Incident).where(
        col(Incident.kind) == kind, col(Incident.address) == address, col(Incident.closed_at).is_(None)
    )
    return (await session.exec(query)).first()


async def _take_open(session: AsyncSession, kind: str, address: str) -> Incident | None:
    """The open incident, for this transaction alone: two that see it at once must not lose each other's cause."""
    query = select(Incident).where(
        col(Incident.kind) == kind, col(Incident.address) == address, col(Incident.closed_at).is_(None)
    )
    taken = query.with_for_update().execution_options(populate_existing=True)
    return (await session.exec(taken)).first()


async def hold(
    session: AsyncSession, kind: str, address: str, by: str, severity: Severity, reason: str, detail: str = ""
) -> tuple[Incident, bool]:
    """Say that somebody sees a trouble: opens its incident, or brings it up to date; True when it is new.

    Args:
        by: who sees it; each holds one cause.
        reason: the cause in words; the worst one is the title.
    """
    new = False
    while (incident := await _take_open(session, kind, address)) is None:
        # Two that see it first in the same moment open one: the later one waits here, and adds its cause.
        row = Incident(id=f"inc_{secrets.token_hex(8)}", kind=kind, address=address, severity=severity, title=reason)
        opened = upsert(session.get_bind().dialect.name, Incident).values(**row.model_dump()).on_conflict_do_nothing()
        new = (await session.exec(opened.returning(col(Incident.id)))).first() is not None
    incident.causes = {**incident.causes, by: {"severity": severity, "reason": reason, "detail": detail}}
    _tell(incident)
    incident.updated_at = now()
    session.add(incident)
    await session.flush()
    return incident, new


async def release(session: AsyncSession, kind: str, address: str, by: Collection[str], why: str) -> bool:
    """Say that these see the trouble no more; True when nobody does and the incident was closed."""
    incident = await _take_open(session, kind, address)
    if incident is None:
        return False
    left = {one: cause for one, cause in incident.causes.items() if one not in by}
    if len(left) == len(incident.causes) and left:
        return False
    if left:
        incident.causes = left
        _tell(incident)
    else:
        incident.closed_at, incident.closed_why = now(), why
    session.add(incident)
    await session.flush()
    return not left


def _tell(incident: Incident) -> None:
    """Title, detail and severity out of the causes, the worst first."""
    causes = sorted(incident.causes.values(), key=lambda cause: WORST_FIRST.index(Severity(cause["severity"])))
    reasons = list(dict.fromkeys(cause["reason"] for cause in causes))
    details = list(dict.fromkeys(cause["detail"] for cause in causes if cause["detail"]))
    incident.severity, incident.title = causes[0]["severity"], reasons[0]
    incident.detail = "\n".join([*reasons[1:], *details])


async def open_incident(
    session: AsyncSession, kind: str, address: str, severity: Severity, title: str, detail: str = ""
) -> tuple[Incident, bool]:
    """Open an incident that one watcher sees, or bring the open one of its kind up to date."""
    return await hold(session, kind, address, kind, severity, title, detail)


async def close_incident(session: AsyncSession, kind: str, address: str, why: str) -> bool:
    """Close the open incident of a kind, whoever holds it; False when none was open."""
    incident = await find_open(session, kind, address)
    if incident is None:
        return False
    return await release(session, kind, address, [*incident.causes], why)


async def close_by_hand(session: AsyncSession, incident_id: str, why: str) -> Incident:
    """Close an incident that no journey closes.

    Raises:
        NotFound: there is none of that id.
        Conflict: it is closed, or it closes by itself when its trouble is over.
    """
    incident = await session.get(Incident, incident_id)
    if incident is None:
        raise NotFound(f"There is no incident {incident_id}.", field="incident", code="unknown_incident")
    if incident.closed_at is not None:
        raise Conflict(f"{incident_id} is closed already: {incident.closed_why}", code="closed")
    if incident.kind not in CLOSED_BY_HAND:
        raise Conflict(
            f"An incident of kind {incident.kind} closes by itself when its trouble is over.", code="closes_itself"
        )
    incident.closed_at, incident.closed_why = now(), why
    session.add(incident)
    await session.flush()
    return incident


def _about(address: str) -> sa.ColumnElement[bool]:
    """Incidents of an address; where that is an IP, also those of its domain that it holds."""
    own = col(Incident.address) == address
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return own
    return sa.or_(own, col(Incident.causes)[address].as_string().is_not(None))


async def page(
    session: AsyncSession,
    *,
    open_only: bool = False,
    address: str | None = None,
    kind: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> tuple[Sequence[Incident], str | None]:
    """Incidents, newest first, and the cursor of the next page.

    Args:
        address: of an IP or domain; also those of an IP's domain that the IP holds.
        after: the cursor, which is the id of the last incident of the page before.

    Raises:
        Refused: the cursor is no incident.
    """
    query = select(Incident).order_by(col(Incident.opened_at).desc(), col(Incident.id).desc()).limit(limit + 1)
    if open_only:
        query = query.where(col(Incident.closed_at).is_(None))
    if address:
        query = query.where(_about(address))
    if kind:
        query = query.where(col(Incident.kind) == kind)
    if after:
        last = await session.get(Incident, after)
        if last is None:
            raise no_cursor()
        query = query.where(
            sa.or_(
                col(Incident.opened_at) < last.opened_at,
                sa.and_(col(Incident.opened_at) == last.opened_at, col(Incident.id) < last.id),
            )
        )
    rows = (await session.exec(query)).all()
    following = rows[limit - 1].id if len(rows) > limit else None
    return rows[:limit], following


async def listing(
    session: AsyncSession, *, open_only: bool = False, address: str | None = None, limit: int = 100
) -> Sequence[Incident]:
    """The newest incidents."""
    return (await page(session, open_only=open_only, address=address, limit=limit))[0]
