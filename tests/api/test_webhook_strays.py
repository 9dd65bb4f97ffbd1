"""What nobody can act on: types of events that are not known yet, and complaints of nobody in particular."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api import problems
from api.routes import webhooks
from api.webhooks import ses
from api.webhooks.reading import Rejected
from api.webhooks.registry import SOURCES
from domain.events import Kind
from settings import Settings
from store import attention, strays
from store.database import Database
from tests.api.webhook_bodies import SECRET


@pytest.fixture
async def client(settings: Settings, db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The webhook routes."""
    app = FastAPI()
    secret = {"webhook_kumomta_secret": SecretStr(SECRET)}
    app.state.settings, app.state.db = settings.model_copy(update=secret), db
    problems.install(app)
    app.include_router(webhooks.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as asked:
        yield asked
    await app.state.intake.close() if hasattr(app.state, "intake") else None


#: A type that nobody knows yet, in the shape of each source.
NEW_TYPES = {
    "sendgrid": [{"sg_event_id": "n1", "event": "novelty", "email": "a@gmail.com", "timestamp": 1_700_000_000}],
    "mailgun": {"event-data": {"event": "novelty", "id": "n1", "timestamp": 1_700_000_000.5}},
    "postmark": {"RecordType": "Novelty", "MessageID": "m1", "Recipient": "a@gmail.com"},
    "sparkpost": [{"msys": {"message_event": {"type": "novelty", "event_id": "n1"}}}],
    "kumomta": {"type": "Novelty", "id": "n1", "recipient": "a@gmail.com"},
    "ses": {"eventType": "Novelty", "mail": {"messageId": "m1", "destination": ["a@gmail.com"]}},
}


@pytest.mark.parametrize("source", NEW_TYPES)
def test_a_type_that_is_not_known_is_kept_and_counted_nowhere(source: str) -> None:
    body = json.dumps(NEW_TYPES[source]).encode()
    (event,) = SOURCES[source].normalise(body, 1_700_000_000.0)
    assert (event.kind, event.counted, event.address) == (Kind.UNKNOWN, None, "")
    assert event.detail.lower().endswith(" novelty")
    assert SOURCES[source].normalise(body, 1_700_000_100.0)[0].once_key() == event.once_key()
    with pytest.raises(Rejected, match="missing"):  # without any type it is no event of theirs
        SOURCES[source].normalise(body.replace(b'"novelty"', b'""').replace(b'"Novelty"', b'""'), 0.0)


async def test_what_is_known_beside_it_counts_and_a_person_is_told(client: httpx.AsyncClient, db: Database) -> None:
    records = [NEW_TYPES["kumomta"], {"type": "Delivery", "id": "d1", "recipient": "a@gmail.com"}]
    for new in (2, 0):
        answer = await client.post("/v1/webhooks/kumomta", json=records, headers={"X-Warmpath-Token": SECRET})
        assert (answer.status_code, answer.json()) == (200, {"received": 2, "new": new, "unknown": ["type Novelty"]})
    async with db.read() as session:
        assert await attention.total(session) == 1
        (told,) = (await attention.page(session))[0]
    assert "KumoMTA" in told.text
    assert "type Novelty), 1 in all" in told.text
    assert (told.page, told.part) == ("Reply Explorer", "Dead letters"), "where all of them can be seen"
    async with db.read() as session:
        (stray,) = await strays.latest(session, 10)
    assert (stray.source, stray.why, stray.name, stray.count) == ("kumomta", "type", "type Novelty", 1)


def test_a_complaint_that_several_may_have_made_is_one() -> None:
    complained = [{"emailAddress": name} for name in ("ann@a.example", "bob@a.example")]
    body = {
        "eventType": "Complaint",
        "complaint": {"complainedRecipients": complained, "feedbackId": "f1"},
        "mail": {"messageId": "m1"},
    }
    assert [one.counted for one in ses.normalise(json.dumps(body).encode(), 0.0)] == ["complained", None]


def test_each_feedback_id_of_amazon_is_a_complaint_however_often_it_is_told() -> None:
    """Amazon names all candidates in each: the same list with another id is another one of them."""

    def keys(*, feedback_id: str, names: tuple[str, ...] = ("ann@a.example", "bob@a.example")) -> list[str]:
        complained = {"complainedRecipients": [{"emailAddress": name} for name in names], "feedbackId": feedback_id}
        body = {"eventType": "Complaint", "complaint": complained, "mail": {"messageId": "m1"}}
        found = ses.normalise(json.dumps(body).encode(), 0.0)
        return [one.once_key() for one in found if one.counted == "complained"]

    first, second, again = keys(feedback_id="f1"), keys(feedback_id="f2"), keys(feedback_id="f1")
    assert len({*first, *second, *again}) == 2
    alone = [keys(feedback_id=name, names=("ann@a.example",)) for name in ("f1", "f2")]
    assert alone[0] == alone[1], "one recipient complains once of a mail"
