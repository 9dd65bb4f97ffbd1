"""Waiting for the store no longer than one means to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds that a cancelled question has to end by itself.
GRACE_SECONDS = 0.2


async def within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """The result of a question to the store.

    ``asyncio.timeout`` alone is not enough: cancelled once, psycopg asks the server to cancel the query and waits
    five seconds for both, so that behind a network that fell silent two seconds become seven. Cancelled again, it
    closes the connection.

    Args:
        seconds: None to wait as long as it takes.

    Raises:
        TimeoutError: there was none in time. What the question changed may have happened.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if done:
        return task.result()
    await _end(task)
    if not task.cancelled() and task.exception() is None:
        return task.result()  # it came to its end after all
    raise TimeoutError


async def _end(task: asyncio.Task[Any]) -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
    if not task.cancelled():
        task.exception()  # looked at: nobody else will
