"""The pass over events that came before their mail: every few seconds, in each process of the API."""

from __future__ import annotations

import asyncio
import time

import structlog
from fastapi import FastAPI

from api.webhooks import intake
from domain.warmup import slice_ms
from store import events_placing

log = structlog.get_logger()

#: Seconds between two looks.
LOOK_SECONDS = 2.0


async def run(app: FastAPI) -> None:
    """Place events until cancelled; trouble of the store is logged and tried again."""
    settings = app.state.settings
    while True:
        try:
            while (
                await events_placing.step(
                    app.state.db,
                    intake.tell,
                    slice_ms=slice_ms(settings.day_seconds),
                    kept_ms=settings.event_days * events_placing.DAY_MS,
                    now_ms=time.time_ns() // 1_000_000,
                )
                == events_placing.STEP
            ):
                pass
        except Exception as error:  # noqa: BLE001 - they wait where they are
            log.warning("events.placing_failed", error=f"{type(error).__name__}: {error}"[:500])
        await asyncio.sleep(LOOK_SECONDS)
