"""A command to a journey whose worker does not answer is a sentence, in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from fastapi import HTTPException
from pydantic import BaseModel
from temporalio.client import Client

from api import journeys


class Nothing(BaseModel):
    """A command without words."""


class Patient:
    """The client of a server whose workers all stand still: it asks again for ever, as the real one does."""

    def get_workflow_handle(self, _: str) -> Patient:
        return self

    async def execute_update(self, *_: object, **__: Any) -> None:
        await asyncio.sleep(3600)

    execute_update_with_start_workflow = execute_update


@pytest.mark.parametrize("start", [None, object()])
async def test_without_a_worker_a_command_says_so_and_ends(monkeypatch: pytest.MonkeyPatch, start: Any) -> None:
    monkeypatch.setattr(journeys, "PATIENCE", timedelta(seconds=0.05))
    async with asyncio.timeout(10):
        with pytest.raises(HTTPException, match="no worker runs") as caught:
            await journeys.command(cast(Client, Patient()), "ip:198.51.100.7", "pause", Nothing(), start=start)
    assert caught.value.status_code == 503
