"""From verified events to the store, and at once to the workflows that must act."""

from __future__ import annotations

import json
from collections.abc import Sequence

import httpx
from fastapi import FastAPI
from sqlmodel.ext.asyncio.session import AsyncSession

from api.webhooks import strays
from domain.events import Kind, MailEvent
from domain.words import source_named
from store import ips, leases, ledger, outbox
from store.events_intake import Intake
from workflows.ids import ip_id, warmup_id

#: How the reasons begin for which mail of an IP is stopped here.
_ALERT, _BLOCKED = "alert", "reply that blocks the IP"


async def fetch(url: str) -> bytes:
    """What Amazon answers at a URL whose host was checked; no redirects, 5 seconds.

    Raises:
        OSError: it cannot be had.
    """
    try:
        async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
            return (await client.get(url)).raise_for_status().content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error) or type(error).__name__) from error


def of(app: FastAPI) -> Intake:
    """The one way in of an application."""
    intake: Intake | None = getattr(app.state, "intake", None)
    if intake is None:
        intake = app.state.intake = Intake(app.state.db, tell, day_seconds=app.state.settings.day_seconds)
    return intake


async def tell(session: AsyncSession, new: Sequence[MailEvent]) -> None:
    """What must act at once, in the transaction of its events.

    Mail of an IP of ours that must stop is paused here, so that it stops even while no worker runs; its
    journeys hear of it through the outbox. Of a block they hear once and not with each mail that was under way: once
    more only after somebody has let mail go again.
    """
    await strays.keep(session, new)
    urgent = {event.address: event for event in new if event.stops_mail}
    if len(urgent) > 1:
        # Held until the commit are all their rows, which a lease books in an order of its own.
        await leases.one_at_a_time(session)
    for address, event in sorted(urgent.items()):
        alert = event.kind is Kind.ALERT
        if not await ips.lock(session, address):
            continue  # None of ours: a dead letter, and nobody to tell.
        if not alert and (await ledger.held(session, address)).startswith((_ALERT, _BLOCKED)):
            continue
        reason = f"{_ALERT if alert else _BLOCKED} from {source_named(event.source)}: {event.detail or 'no text'}"[:500]
        await ledger.set_paused(session, address, True, reason)
        told = {"reason": reason, "source": event.source}
        await outbox.put(session, "signal", warmup_id(address), "stop", told)
        await outbox.put(session, "signal", ip_id(address), "reputation_changed", {**told, "critical": True})


def answer(received: int, new: int, unknown: Sequence[str] = ()) -> bytes:
    """The answer to a source that was taken; ``unknown`` are types of events that are not known."""
    told = {"received": received, "new": new}
    return json.dumps({**told, "unknown": list(unknown)} if unknown else told).encode()
