"""A fault of ours is one sentence for the caller and a trace without values in the log."""

from __future__ import annotations

import httpx
import pytest
from temporalio.client import Client

from api.app import create
from settings import Settings
from store.database import Database


async def test_a_fault_is_a_sentence_outside_and_a_trace_without_values_inside(
    settings: Settings, db: Database, temporal: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create(settings, db, temporal)

    @app.get("/broken")
    async def broken() -> None:
        password = "horse-" + "battery"
        raise RuntimeError(f"{len(password)} characters")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://warmpath.test") as client:
        answer = await client.get("/broken")
    logged = capsys.readouterr().err
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "RuntimeError" not in answer.text
    assert "RuntimeError" in logged
    assert "horse-battery" not in logged
