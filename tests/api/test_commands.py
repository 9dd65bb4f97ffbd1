"""A command to a journey whose worker does not answer is a sentence, in time."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from fastapi import HTTPException
from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from api import journeys
from domain.words import Actor, Stage
from settings import Settings
from store.database import Database
from store.tables.ips import Ip


class Nothing(BaseModel):
    """A command without words."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a queue that no other test asks for work."""
    return settings.model_copy(update={"task_queue": f"standstill-{uuid.uuid4()}"})


@workflow.defn(sandboxed=False)
class Idle:
    """What a worker is here for; nobody starts it."""

    @workflow.run
    async def run(self) -> None:
        """Nothing."""


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


async def test_what_needs_a_person_begins_with_journeys_that_stand_still(
    api: httpx.AsyncClient, temporal: Client, settings: Settings
) -> None:
    async def said() -> list[str]:
        return [one["text"] for one in (await api.get("/v1/attention")).json()["items"]]

    assert [one.partition(":")[0] for one in await said()] == ["No worker takes work"]
    async with asyncio.timeout(20), Worker(temporal, task_queue=settings.task_queue, workflows=[Idle]):
        while await said():
            pass


async def test_what_needs_a_person_is_paged(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        for number in range(5):
            session.add(
                Ip(address=f"203.0.113.{number}", stage=Stage.WARMING, waiting_for="a look", waiting_on=Actor.OPERATOR)
            )
    seen: list[str | None] = []
    after: str | None = ""
    while after is not None:
        page = (await api.get("/v1/attention", params={"limit": 2, "after": after})).json()
        assert page["total"] == 5 + 1, "with the journeys that stand still"
        seen += [one["ip"] for one in page["items"]]
        after = page["next"]
    assert seen == [None, *(f"203.0.113.{number}" for number in range(5))]
    assert (await api.get("/v1/attention", params={"after": "x"})).status_code == 422


async def test_a_temporal_that_is_gone_is_told() -> None:
    for client in (None, await Client.connect("127.0.0.1:1", lazy=True)):
        said = await journeys.standstill(client, "main")
        assert said is not None
        assert said.startswith("Temporal does not answer")
