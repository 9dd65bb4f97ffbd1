"""Who may post events, source by source."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from api import limits, problems
from api.routes import webhooks
from api.webhooks import mailgun
from api.webhooks.reading import Rejected
from api.webhooks.registry import SOURCES
from domain.words import Stage
from settings import Settings
from store import ips
from store.database import Database
from store.tables.events import EventKey
from store.tables.ips import Ip
from tests.api.webhook_bodies import ALERTS, BODIES, IP, SECRET, posted
from tests.corpora import collected

SHARED = ("postmark", "sparkpost", "kumomta", "alertmanager", "grafana")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Every source that has one secret has it."""
    names = [f"webhook_{name}_secret" for name in SHARED]
    keys = {name: SecretStr(SECRET) for name in (*names, "webhook_mailgun_signing_key")}
    return settings.model_copy(update=keys)


@pytest.fixture
async def client(settings: Settings, db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The webhook routes with the errors and limits of the API."""
    app = FastAPI()
    app.state.settings, app.state.db = settings, db
    problems.install(app)
    app.add_middleware(limits.BodyLimit, limit=settings.max_body_bytes)
    app.include_router(webhooks.router)
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.WARMING))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as asked:
        yield asked
    await app.state.intake.close() if hasattr(app.state, "intake") else None


def _mailgun(event: dict[str, Any], *, token: str = "t1", at: float | None = None, key: str = SECRET) -> dict[str, Any]:
    stamp = str(int(time.time() if at is None else at))
    signature = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    return {"signature": {"timestamp": stamp, "token": token, "signature": signature}, "event-data": event}


async def _stored(db: Database) -> int:
    async with db.read() as session:
        return int((await session.exec(sa.select(sa.func.count()).select_from(EventKey))).scalar_one())


@pytest.mark.parametrize("source", SHARED)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {SECRET}"},
        {"Authorization": "Basic " + base64.b64encode(f"any:{SECRET}".encode()).decode()},
        {"X-Warmpath-Token": SECRET},
    ],
)
async def test_a_source_that_signs_nothing_is_known_by_its_secret(
    client: httpx.AsyncClient, source: str, headers: dict[str, str]
) -> None:
    for new in (True, False):
        answer = await client.post(f"/v1/webhooks/{source}", json=BODIES[source], headers=headers)
        assert answer.status_code == 200, answer.text
        assert bool(answer.json()["new"]) is new


@pytest.mark.parametrize("source", SHARED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer other"},
        {"Authorization": "Basic !!"},
        {"X-Warmpath-Token": ""},
        {"Authorization": ""},
    ],
)
async def test_no_secret_or_another_is_refused_and_nothing_stored(
    client: httpx.AsyncClient, db: Database, source: str, headers: dict[str, str]
) -> None:
    answer = await client.post(f"/v1/webhooks/{source}", json=BODIES[source], headers=headers)
    assert answer.status_code == 401
    assert await _stored(db) == 0


@pytest.mark.parametrize("source", sorted(SOURCES))
async def test_a_source_without_its_secret_is_not_there(db: Database, source: str) -> None:
    app = FastAPI()
    app.state.settings, app.state.db = Settings(), db
    app.include_router(webhooks.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as asked:
        answer = await asked.post(
            f"/v1/webhooks/{source}", json=BODIES.get(source, []), headers={"Authorization": "Bearer "}
        )
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"WARMPATH_WEBHOOK_{source.upper()}" in answer.json()["detail"]


async def test_an_unknown_source_is_told_every_known_one(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/webhooks/sengrid", json=[])
    assert answer.status_code == 404
    assert answer.json()["detail"] == (
        "There is no webhook 'sengrid'; choose from alertmanager, generic, grafana, kumomta, mailgun, postmark, "
        "sendgrid, ses, sparkpost, stripe."
    )


async def test_grafanas_own_signature_is_checked(client: httpx.AsyncClient) -> None:
    body, stamp = json.dumps(ALERTS).encode(), str(int(time.time()))

    def signed(content: bytes, at: str) -> dict[str, str]:
        told = hmac.new(SECRET.encode(), f"{at}:".encode() + content, hashlib.sha256).hexdigest()
        return {"X-Grafana-Alerting-Signature": told, "X-Grafana-Alerting-Timestamp": at}

    for content, headers, status in (
        (body, signed(body, stamp), 200),
        (body + b" ", signed(body, stamp), 401),
        (body, signed(body, str(int(stamp) - 3600)), 401),
    ):
        assert (await client.post("/v1/webhooks/grafana", content=content, headers=headers)).status_code == status


async def test_mailgun_is_taken_once_a_token_and_once_an_event(client: httpx.AsyncClient, db: Database) -> None:
    event = {"event": "delivered", "id": "e1", "timestamp": 1_700_000_000.5, "recipient": "a@gmail.com"}
    asked = [
        (_mailgun(event), 200, 1),
        (_mailgun(event), 406, 0),  # the same request again
        (_mailgun(event, token="t2"), 200, 0),  # Mailgun's next try of the same event
        (_mailgun({**event, "id": "e2"}, token="t3", at=time.time() - 660), 401, 0),
        (_mailgun({**event, "id": "e2"}, token="t3", key="another"), 401, 0),
        ({"event-data": event}, 401, 0),
    ]
    for body, status, new in asked:
        answer = await client.post("/v1/webhooks/mailgun", json=body)
        assert answer.status_code == status, answer.text
        if status == 200:
            assert answer.json()["new"] == new
    assert await _stored(db) == 3  # one event, two tokens


async def test_a_form_of_the_older_mailgun_is_read(client: httpx.AsyncClient) -> None:
    signature = _mailgun({})["signature"]
    form = {"event": "bounced", "recipient": "a@gmail.com", "error": "550 5.1.1 user unknown", **signature}
    answer = await client.post("/v1/webhooks/mailgun", data=form)
    assert answer.json() == {"received": 1, "new": 1}


#: Signed by another program (`printf 1700000000t0ken | openssl dgst -sha256 -hmac key-of-this-test`).
OWN_VECTOR = {
    "key": "key-of-this-test",
    "timestamp": "1700000000",
    "token": "t0ken",
    "signature": "37b63ea55ee2cac070371d9b8fefea6c92753c8ecc56af9e03d03b68ae7ec955",
}


@pytest.mark.parametrize(
    "vector",
    [OWN_VECTOR, *(json.loads(one.read_text()) for one in collected("webhooks/mailgun/hmac_vector.json"))],
    ids=lambda one: one["token"][:5],
)
def test_a_vector_of_mailgun_is_accepted_fresh_and_refused_stale_forged_or_without_a_number(
    vector: dict[str, Any],
) -> None:
    signature = {name: vector[name] for name in ("timestamp", "token", "signature")}
    then = float(vector["timestamp"])
    assert mailgun.verify(signature, vector["key"], then + 10) == vector["token"]
    with pytest.raises(Rejected, match="replay"):
        mailgun.verify(signature, vector["key"], then + 660)
    with pytest.raises(Rejected, match="does not fit"):
        mailgun.verify({**signature, "token": "another token"}, vector["key"], then)
    told = hmac.new(vector["key"].encode(), b"not-a-number" + vector["token"].encode(), hashlib.sha256).hexdigest()
    with pytest.raises(Rejected, match="no number"):
        mailgun.verify({**signature, "timestamp": "not-a-number", "signature": told}, vector["key"], then)


@given(posted())
@hypothesis_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_is_posted_gets_no_5xx(client: httpx.AsyncClient, told: tuple[str, bytes]) -> None:
    source, body = told
    answer = await client.post(f"/v1/webhooks/{source}", content=body, headers={"X-Warmpath-Token": SECRET})
    assert answer.status_code < 500, answer.text
