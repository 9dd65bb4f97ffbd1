"""Which run of a journey is at work, for the links of lists and pages: written down when a worker first sees it."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from store import runs
from store.database import Database

log = structlog.get_logger()

#: Workflows that an operator looks up by what they are about; a sweep is none of them.
JOURNEYS = frozenset({"Purchase", "IpLifecycle", "DnsPropagation", "Warmup"})
#: Runs remembered by a worker; past that it asks the store again.
MOST = 50_000


class SeenRuns(Interceptor):
    """Writes the run of each journey down, before its first activity takes effect."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: dict[str, str] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Look before each activity."""
        return _Looking(super().intercept_activity(next), self._db, self._seen)


class _Looking(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, db: Database, seen: dict[str, str]) -> None:  # noqa: A002
        super().__init__(next)
        self._db, self._seen = db, seen

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        info = activity.info()
        name, run = info.workflow_id, info.workflow_run_id
        if name and run and info.workflow_type in JOURNEYS and self._seen.get(name) != run:
            try:
                await runs.seen(self._db, name, run)
                if len(self._seen) >= MOST:
                    self._seen.clear()
                self._seen[name] = run
            except SQLAlchemyError as error:
                # Only a link hangs on it; the next activity tries again.
                log.warning("the run of a journey was not written down", workflow=name, error=type(error).__name__)
        return await self.next.execute_activity(input)
