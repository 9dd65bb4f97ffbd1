"""Time limits and retries by name, so that no workflow file holds a literal.

``QUICK`` is for our own store: fails fast, retries for ever, since nothing is lost by waiting.
``VENDOR`` is for calls that cost money or are slow: patient, and never retried on a refusal.

The worker beats for an activity that lasts (``activities/liveness.py``): where a heartbeat stays out, its worker
was killed, and the activity is tried again without waiting for the end of its own time limit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NotRequired, TypedDict

from temporalio.common import RetryPolicy


class Limits(TypedDict):
    """Keyword arguments of an activity call; the SDK's own type holds keys that a call also names."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy
    schedule_to_close_timeout: NotRequired[timedelta]
    heartbeat_timeout: NotRequired[timedelta]
    task_queue: NotRequired[str]


QUICK = Limits(
    start_to_close_timeout=timedelta(seconds=20),
    heartbeat_timeout=timedelta(seconds=8),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=10),
        non_retryable_error_types=["Refused", "Conflict", "NotFound"],
    ),
)

VENDOR = Limits(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=timedelta(seconds=8),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        non_retryable_error_types=["Refused", "Conflict", "NotFound"],
    ),
)


def on(limits: Limits, task_queue: str | None) -> Limits:
    """The same limits on another task queue; None keeps the workflow's own."""
    return Limits(**limits, task_queue=task_queue) if task_queue else limits


#: One look at DNS, repeated for as long as it takes; the activity itself says when to look again.
DNS_WAIT = Limits(
    start_to_close_timeout=timedelta(seconds=90),
    heartbeat_timeout=timedelta(seconds=15),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=15),
        non_retryable_error_types=["NotFound"],
    ),
)

#: A chunk of a sweep: many DNS questions, some of which run into their time-out.
SWEEP = Limits(
    start_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=1), maximum_attempts=5
    ),
)

#: Taking away what is old: millions of rows in short transactions; the next try goes on where this one ended.
KEEPING = Limits(
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=5), maximum_attempts=5
    ),
)

#: Following a workflow that runs under a child's id: an attempt an hour, and no end until it ends.
FOLLOW = Limits(
    start_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=timedelta(minutes=1),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)

#: First pause before a failed DNS set-up is begun again, and the longest.
AGAIN_FIRST, AGAIN_LONGEST = timedelta(seconds=10), timedelta(hours=1)

#: How long a command waits for a quote that the read model shows already.
QUOTE_IS_NEAR = timedelta(seconds=3)
