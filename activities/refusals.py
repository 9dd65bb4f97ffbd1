"""Refusals are answers, not faults: a card that was declined is told in one line, without a traceback."""

from __future__ import annotations

from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.refusals import Refused

log = structlog.get_logger()


class Refusals(Interceptor):
    """Hands what an activity refuses to its workflow as a failure that is expected, with its kind and its field."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Put the telling around the activity."""
        return _Telling(super().intercept_activity(next))


class _Telling(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        try:
            return await self.next.execute_activity(input)
        except Refused as refusal:
            info = activity.info()
            log.info("refused", activity=info.activity_type, workflow=info.workflow_id, reason=refusal.detail)
            raise ApplicationError(
                refusal.detail,
                refusal.field,
                type=type(refusal).__name__,
                category=ApplicationErrorCategory.BENIGN,
            ) from refusal
