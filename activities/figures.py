"""Keeps the store small: figures rolled up to days; old events and their keys, messages, windows and
used request keys taken away.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, Field
from temporalio import activity

from activities.context import Context
from settings import Settings
from store import events_retention, replies, requests
from store.database import Database

DAY_SECONDS = 86_400
#: Days of the ledger that are kept: as many as the list of caps shows at most.
WINDOW_DAYS = 400


class Kept(BaseModel):
    """What a sweep took away."""

    slices: int = Field(0, description="Slices of figures that became part of a day.")
    events: int = 0
    waiting: int = Field(0, description="Events beyond `event_waiting_most` whose mail nobody told of.")
    keys: int = 0
    replies: int = Field(0, description="Counts of replies.")
    messages: int = Field(0, description="Messages of the outbox that arrived.")
    windows: int = Field(0, description="Days of the ledger.")
    requests: int = Field(0, description="Used idempotency keys.")


class FiguresActivities:
    """One activity; stopped anywhere, it goes on at its next try."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings

    @activity.defn(name="sweep_figures")
    async def sweep(self) -> Kept:
        """Roll up, drop; each in short transactions, so that nobody waits for it."""
        return Kept(
            slices=await self._roll_up(),
            events=await self._drop_events(),
            waiting=await self._drop_waiting(),
            keys=await self._drop_keys(),
            replies=await self._drop_replies(),
            messages=await self._drop(events_retention.drop_messages, DAY_SECONDS * self._settings.event_days),
            windows=await self._drop(events_retention.drop_windows, self._settings.day_seconds * WINDOW_DAYS),
            requests=await self._drop(requests.drop, DAY_SECONDS * self._settings.request_key_days),
        )

    async def _roll_up(self) -> int:
        day_ms = max(1, round(self._settings.day_seconds * 1000))
        edge, moved, address = int(time.time() * 1000) - self._settings.figure_slice_days * day_ms, 0, ""
        while (following := await events_retention.next_address(self._db, address)) is not None:
            address = following
            activity.heartbeat(address)
            moved += await events_retention.roll_up(self._db, address, edge_ms=edge, day_ms=day_ms)
        return moved

    async def _drop_events(self) -> int:
        day, gone = int(time.time()) // DAY_SECONDS - self._settings.event_days, 0
        while part := await events_retention.drop_events(self._db, before_day=day):
            gone += part
            activity.heartbeat(gone)
        return gone

    async def _drop_waiting(self) -> int:
        edge, gone = await events_retention.waiting_edge(self._db, most=self._settings.event_waiting_most), 0
        while edge is not None and (part := await events_retention.drop_waiting(self._db, before_ms=edge)):
            gone += part
            activity.heartbeat(gone)
        return gone

    async def _drop(self, part: Callable[..., Awaitable[int]], seconds: float) -> int:
        before, gone = int((time.time() - seconds) * 1000), 0
        while count := await part(self._db, before_ms=before):
            gone += count
            activity.heartbeat(gone)
        return gone

    async def _drop_replies(self) -> int:
        day, gone = int(time.time()) // DAY_SECONDS - self._settings.reply_days, 0
        while part := await replies.drop(self._db, before_day=day):
            gone += part
            activity.heartbeat(gone)
        return gone

    async def _drop_keys(self) -> int:
        before = (int(time.time()) - self._settings.event_duplicate_days * DAY_SECONDS) * 1_000_000
        gone, after = 0, ("", "")
        while True:
            part, following = await events_retention.drop_keys(self._db, before_us=before, after=after)
            gone += part
            activity.heartbeat(gone)
            if following is None:
                return gone
            after = following


def activities(context: Context) -> list[Callable[..., Any]]:
    """What the worker registers."""
    return [FiguresActivities(context.db, context.settings).sweep]
