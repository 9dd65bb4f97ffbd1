"""The sweep of DNS looks at IPs side by side; none of its looks outlives it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from activities import reputation
from activities.context import Context
from activities.dns_messages import Outcome
from activities.reputation import Chunk, ReputationActivities


async def test_when_the_store_fails_no_look_goes_on_beside_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def look(_settings: object, _db: object, address: str) -> Outcome:
        if address == "192.0.2.1":
            await begun.wait()
            raise OSError("the store is gone")
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    monkeypatch.setattr(reputation, "check_now", look)
    sweep = ReputationActivities.__new__(ReputationActivities)
    sweep._context, sweep._db = cast("Context", type("Given", (), {"settings": None})), cast("Any", None)
    with pytest.raises(OSError, match="the store is gone"):
        await sweep.dns(Chunk(addresses=["192.0.2.1", "192.0.2.2"]))
    assert ended.is_set()
