"""The API itself looks for the mails of events that came first, with or without Temporal."""

from __future__ import annotations

import asyncio
import time

import pytest
import sqlalchemy as sa

from api import metrics, placing
from api.app import create
from domain.events import Kind, MailEvent
from settings import Settings
from store import events
from store.database import Database

IP = "198.51.100.7"


async def test_an_event_that_came_first_is_placed_after_trouble_of_the_store_and_without_temporal(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "LOOK_SECONDS", 0.01)
    step, failures = placing.events_placing.step, [OSError("gone")]

    async def failing(*given: object, **named: object) -> int:
        if failures:
            raise failures.pop()
        return await step(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(placing.events_placing, "step", failing)
    for kind, address in ((Kind.BOUNCED, ""), (Kind.DELIVERED, IP)):
        one = MailEvent("sendgrid", kind, kind, 1_760_000_000_000, address, message_id="m1", recipient="a@gmail.com")
        async with db.write() as session:
            await events.record(session, [one])
    app = create(settings.model_copy(update={"temporal_address": "127.0.0.1:1"}), db)
    async with app.router.lifespan_context(app), asyncio.timeout(20):
        while True:
            async with db.read() as session:
                found = await (await session.connection()).execute(sa.text("SELECT address, SUM(bounced) FROM figure"
                                                                           " GROUP BY address"))  # fmt: skip
            if [tuple(row) for row in found] == [(IP, 1)]:
                break
            await asyncio.sleep(0.01)
    assert failures == []


async def test_how_many_events_wait_for_their_mail_and_how_long_is_measured(db: Database) -> None:
    at = int(time.time() * 1000)
    for source, name in (("sendgrid", "b1"), ("sendgrid", "b2"), ("mailgun", "b3")):
        one = MailEvent(source, name, Kind.BOUNCED, at, message_id=name, recipient="a@gmail.com")
        async with db.write() as session:
            await events.record(session, [one])
    async with db.write() as session:
        await (await session.connection()).execute(
            sa.text("UPDATE unplaced_event SET since_ms = since_ms - 90000 WHERE event_id = 'b2'")
        )
    await metrics.read_fleet(db)
    assert [metrics.WAITING.labels(name)._value.get() for name in ("sendgrid", "mailgun")] == [2, 1]
    assert 90 <= metrics.WAITING_SECONDS._value.get() < 150
    async with db.write() as session:
        await (await session.connection()).execute(sa.text("DELETE FROM unplaced_event"))
    await metrics.read_fleet(db)
    assert metrics.WAITING.collect()[0].samples == []
    assert metrics.WAITING_SECONDS._value.get() == 0
