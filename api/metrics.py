"""Figures for Prometheus: requests as they are answered, the fleet as the read model has it.

The Grafana dashboard (``deploy/grafana/dashboards/warmpath.json``) reads these names; a test compares.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from prometheus_client import Counter, Gauge, Histogram
from sqlmodel import col
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.words import Band, Stage
from store.database import Database
from store.tables.events import UnplacedEvent
from store.tables.ips import Ip
from store.tables.outbox import OutboxRow

REQUESTS = Counter("warmpath_http_requests", "Requests answered.", ["method", "status"])
SECONDS = Histogram("warmpath_http_request_seconds", "Seconds until a request was answered.", ["method"])
UNKNOWN_EVENTS = Counter("warmpath_unknown_events", "Events of a type that is not known, counted nowhere.", ["source"])
WAITING = Gauge("warmpath_waiting_events", "Events that name no IP and whose mail is looked for.", ["source"])
WAITING_SECONDS = Gauge("warmpath_waiting_events_oldest_seconds", "Age of the one that waits longest.")
OUTBOX = Gauge("warmpath_outbox_messages", "Messages to journeys that are not delivered yet.")
OUTBOX_SECONDS = Gauge("warmpath_outbox_oldest_seconds", "Age of the oldest of them.")
IPS = Gauge("warmpath_ips", "IPs by stage.", ["stage"])
BANDS = Gauge("warmpath_ip_bands", "IPs in service by reputation band; unknown is not good.", ["band"])
LOWEST_SCORE = Gauge("warmpath_lowest_score", "The lowest reputation score in service, 0-100.")


_WAITING = sa.select(col(UnplacedEvent.source), sa.func.count(), sa.func.min(col(UnplacedEvent.since_ms))).group_by(
    col(UnplacedEvent.source)
)
_QUEUED = sa.select(sa.func.count(), sa.func.min(col(OutboxRow.created_ms))).where(col(OutboxRow.done_ms).is_(None))


class CountRequests:
    """ASGI middleware; counts answers and their time, without their paths (addresses are in those)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, began, status = scope["method"], time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            REQUESTS.labels(method, str(status)).inc()
            SECONDS.labels(method).observe(time.perf_counter() - began)


async def read_fleet(db: Database) -> None:
    """Set the gauges from the read model; called when Prometheus asks."""
    kept = col(Ip.stage) != Stage.RETIRED
    async with db.read() as session:
        connection = await session.connection()
        stages = (await connection.execute(sa.select(col(Ip.stage), sa.func.count()).group_by(col(Ip.stage)))).all()
        bands = (
            await connection.execute(sa.select(col(Ip.band), sa.func.count()).where(kept).group_by(col(Ip.band)))
        ).all()
        waiting = (await connection.execute(_WAITING)).all()
        queued, queued_since = (await connection.execute(_QUEUED)).one()
        lowest = (await connection.execute(sa.select(sa.func.min(col(Ip.score))).where(kept))).scalar()
    for stage in Stage:
        IPS.labels(stage.value).set(0)
    for band in Band:
        BANDS.labels(band.value).set(0)
    WAITING.clear()
    for source, count, _ in waiting:
        WAITING.labels(source).set(count)
    oldest = min((since for _, _, since in waiting), default=None)
    WAITING_SECONDS.set(_age(oldest))
    OUTBOX.set(queued)
    OUTBOX_SECONDS.set(_age(queued_since))
    for name, count in stages:
        IPS.labels(str(name)).set(count)
    for name, count in bands:
        BANDS.labels(str(name)).set(count)
    LOWEST_SCORE.set(float("nan") if lowest is None else lowest)


def _age(since_ms: int | None) -> float:
    """Seconds since an instant, epoch milliseconds; 0 without one."""
    return 0.0 if since_ms is None else max(0.0, time.time() - since_ms / 1000)
