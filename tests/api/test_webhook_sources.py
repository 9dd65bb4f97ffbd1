"""Each source of events: who may post, what its words mean, and what never counts."""

from __future__ import annotations

import base64
import contextlib
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
from hypothesis import strategies as st
from pydantic import SecretStr

from api import limits, problems
from api.routes import webhooks
from api.webhooks import kumomta, mailgun, postmark, ses, sparkpost
from api.webhooks.reading import Rejected
from api.webhooks.registry import SOURCES
from domain.events import MailEvent
from settings import Settings
from store.database import Database
from store.tables.events import EventKey
from tests.corpora import collected

IP = "198.51.100.7"
SECRET = "a secret of this test"
SHARED = ("postmark", "sparkpost", "kumomta", "alertmanager", "grafana")
ALERTS = {
    "status": "firing",
    "alerts": [
        {
            "status": status,
            "labels": {"alertname": "Listed", "ip": IP, "severity": "critical"},
            "annotations": {"summary": "on a list"},
            "startsAt": "2026-01-02T03:04:05.678Z",
            "endsAt": "2026-01-02T04:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": print_,
        }
        for status, print_ in (("firing", "aa"), ("resolved", "bb"))
    ],
}
#: A body that each source takes.
BODIES: dict[str, Any] = {
    "postmark": {"RecordType": "Delivery", "MessageID": "m", "Recipient": "a@gmail.com"},
    "sparkpost": [{"msys": {"message_event": {"type": "delivery", "event_id": "1", "rcpt_to": "a@gmail.com"}}}],
    "kumomta": {"type": "Delivery", "id": "x", "recipient": "a@gmail.com", "timestamp": 1_700_000_000},
    "alertmanager": ALERTS,
    "grafana": ALERTS,
}


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


def _ses(part: str, body: dict[str, Any]) -> list[MailEvent]:
    mail = {"messageId": "m", "timestamp": "2026-01-01T10:00:00Z", "destination": ["a@gmail.com"]}
    return ses.normalise(json.dumps({"notificationType": part, "mail": mail, part.lower(): body}).encode(), 0)


def _kumo(**record: Any) -> list[MailEvent]:
    return kumomta.normalise(json.dumps({"id": "x", "recipient": "a@gmail.com", "timestamp": 1, **record}).encode(), 0)


def _spark(**event: Any) -> list[MailEvent]:
    return sparkpost.normalise(json.dumps([{"msys": {"message_event": {"rcpt_to": "a@b.de", **event}}}]).encode(), 0)


def _post(**record: Any) -> list[MailEvent]:
    return postmark.normalise(json.dumps({"Email": "a@b.de", **record}).encode(), 0)


def _gun(**event: Any) -> list[MailEvent]:
    return mailgun.normalise(json.dumps({"event-data": {"recipient": "a@b.de", **event}}).encode(), 0)


def _to(action: str, reply: str) -> dict[str, str]:
    return {"emailAddress": "a@gmail.com", "action": action, "diagnosticCode": reply}


DEAD = "550 5.1.1 user unknown"
INTERNAL = {"code": 451, "content": "KumoMTA internal: no sources"}


@pytest.mark.parametrize(
    ("events", "kind", "counted"),
    [
        (_ses("Complaint", {"complaintFeedbackType": "not-spam"}), "feedback", None),
        (_ses("Complaint", {"complaintFeedbackType": "auth-failure"}), "feedback", None),
        (_ses("Complaint", {"complaintFeedbackType": "Not-Spam"}), "feedback", None),
        (_ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [_to("Delivered", "250 ok")]}), None, None),
        (_ses("Complaint", {"complaintSubType": "OnAccountSuppressionList"}), "feedback", None),
        (_ses("Complaint", {"complaintFeedbackType": "abuse"}), "complained", "complained"),
        (
            _ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [_to("delayed", "450 4.2.0 wait")]}),
            "deferred",
            "deferred",
        ),
        (
            _ses(
                "Bounce",
                {"bounceType": "Permanent", "bounceSubType": "Suppressed", "bouncedRecipients": [_to("failed", DEAD)]},
            ),
            "dropped",
            None,
        ),
        (_ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [_to("failed", DEAD)]}), "bounced", "bounced"),
        (
            _ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [_to("failed", "552 5.2.2 mailbox full")]}),
            "failed",
            "failed",
        ),
        (_kumo(type="TransientFailure", response=INTERNAL), "deferred", None),
        (_kumo(type="Delayed", response={"code": 451, "content": "wait"}), "deferred", None),
        (_kumo(type="Expiration", response={"code": 551, "content": "too old"}), "failed", None),
        (_kumo(type="AdminBounce", response={"code": 551, "content": "by an operator"}), "dropped", None),
        (_kumo(type="Bounce", response={"code": 550, "content": "5.1.1 user unknown"}), "bounced", "bounced"),
        (_kumo(type="TransientFailure", response={"code": 421, "content": "4.7.0 try later"}), "deferred", "deferred"),
        (_kumo(type="Feedback", feedback_report={"feedback_type": "not-spam"}), "feedback", None),
        (_kumo(type="Feedback", feedback_report={"feedback_type": "auth-failure"}), "feedback", None),
        (_kumo(type="Feedback", feedback_report={"feedback_type": "abuse"}), "complained", "complained"),
        (_kumo(type="XferOut"), None, None),
        (_spark(type="bounce", bounce_class="25", reason="550 5.1.1 admin"), "dropped", None),
        (_spark(type="bounce", bounce_class="60", reason="out of office"), "autoreply", None),
        (_spark(type="bounce", bounce_class="10", reason="550 5.4.7 [internal] no MX"), "failed", None),
        (_spark(type="bounce", bounce_class="51", reason=DEAD), "bounced", "bounced"),
        (_spark(type="delay", reason="454 4.4.4 [internal] no MX"), "deferred", None),
        (_spark(type="spam_complaint", fbtype="not-spam"), "feedback", None),
        (_spark(type="spam_complaint", fbtype="abuse"), "complained", "complained"),
        (_spark(type="generation_rejection", reason="554 suppressed"), "dropped", None),
        (_post(RecordType="Bounce", Type="HardBounce", Details=DEAD), "bounced", "bounced"),
        (_post(RecordType="Bounce", Type="HardBounce", Details="550 5.7.1 mailbox full"), "failed", "failed"),
        (_post(RecordType="Bounce", Type="AutoResponder"), "autoreply", None),
        (_post(RecordType="Bounce", Type="ManuallyDeactivated", Details=DEAD), "dropped", None),
        (_post(RecordType="SubscriptionChange", SuppressSending=True), "unsubscribed", None),
        (
            _gun(event="failed", severity="permanent", reason="suppress-bounce", **{"delivery-status": {"code": 605}}),
            "dropped",
            None,
        ),
        (
            _gun(event="failed", severity="permanent", **{"delivery-status": {"code": 550, "message": DEAD}}),
            "bounced",
            "bounced",
        ),
        (
            _gun(event="failed", severity="permanent", **{"delivery-status": {"code": 498, "message": "No MX"}}),
            "failed",
            None,
        ),
        (
            _gun(event="failed", severity="temporary", **{"delivery-status": {"code": 421, "message": "later"}}),
            "deferred",
            "deferred",
        ),
        (_gun(event="rejected"), "dropped", None),
        # Of something else than mail that was sent: taken, and nothing of it kept.
        (_gun(event="stored"), None, None),
        (_post(RecordType="Inbound"), None, None),
        (_spark(type="sms_status"), None, None),
        (_ses("AmazonSnsSubscriptionSucceeded", {}), None, None),
        (
            ses.normalise(b'{"Message": "Successfully validated SNS topic for Amazon SES event publishing."}', 0),
            None,
            None,
        ),
        (SOURCES["sendgrid"].normalise(b'[{"event": "account_status_change", "sg_event_id": "x"}]', 0), None, None),
    ],
)
def test_what_counts_and_what_does_not(events: list[MailEvent], kind: str | None, counted: str | None) -> None:
    assert [(one.kind.value, one.counted) for one in events] == ([(kind, counted)] if kind else [])


def test_a_group_that_fires_can_hold_an_alert_that_is_over() -> None:
    events = SOURCES["alertmanager"].normalise(json.dumps(ALERTS).encode(), 0)
    assert [(one.kind.value, one.address, one.stops_mail) for one in events] == [
        ("alert", IP, True),
        ("resolved", IP, False),
    ]


def test_kumomta_names_campaign_tenant_and_the_address_it_bound_to() -> None:
    (event,) = _kumo(
        type="Delivery", queue="spring:shop@gmail.com", source_address={"address": "10.0.0.1:53210"},
        peer_address={"name": "gmail-smtp-in.l.google.com."}, response={"code": 250, "content": "OK"},
    )  # fmt: skip
    assert (event.campaign, event.sender, event.bound_address, event.provider) == (
        "spring",
        "shop",
        "10.0.0.1",
        "gmail",
    )


#: What other hands call our kinds.
ALIKE = {
    "queued": {"sent"},
    "rejected": {"dropped"},
    "failed": {"dropped", "failed"},
    "autoresponded": {"autoreply"},
}


def _read(esp: str, raw: Any, kind: str, event_id: str | None = None) -> dict[str, Any]:
    expected = {"event_type": kind, "recipient": "a@b.de", "event_id": event_id}
    return {"source": f"{esp} {kind}", "esp": esp, "raw": {"raw_event": raw}, "expected": expected}


WHOM = {"email": "a@b.de", "timestamp": 1}
#: Bodies after the documents of their senders, and what they say, in the words of the collected ones.
OWN_EVENTS = [
    _read("sendgrid", [{"sg_event_id": "s1", "event": "delivered", **WHOM}], "delivered", "s1"),
    _read("sendgrid", [{"sg_event_id": "s2", "event": "processed", **WHOM}], "queued", "s2"),
    _read("sendgrid", [{"sg_event_id": "s3", "event": "spamreport", **WHOM}], "complained"),
    _read("sendgrid", [{"sg_event_id": "s4", "event": "dropped", **WHOM}], "rejected", "s4"),
    _read("postmark", {"RecordType": "Delivery", "MessageID": "m", "Recipient": "a@b.de"}, "delivered"),
    _read("postmark", {"RecordType": "SpamComplaint", "ID": 7, "Email": "a@b.de"}, "complained"),
    _read("sparkpost", [{"msys": {"message_event": {"type": "bounce", "event_id": "p1", "rcpt_to": "a@b.de",
                                                    "bounce_class": "10", "reason": DEAD}}}], "bounced", "p1"),
    _read("sparkpost", [{"msys": {"track_event": {"type": "open", "event_id": "p2", "rcpt_to": "a@b.de"}}}], "opened"),
    _read("mailgun", {"event-data": {"event": "delivered", "id": "g1", "timestamp": 1, "recipient": "a@b.de"}},
          "delivered", "g1"),
    _read("mailgun", {"event-data": {"event": "complained", "id": "g2", "timestamp": 1, "recipient": "a@b.de"}},
          "complained", "g2"),
    _read("amazon_ses", {"notificationType": "Bounce", "mail": {"messageId": "m", "timestamp": "2026-01-01T10:00:00Z"},
                         "bounce": {"bounceType": "Permanent", "bouncedRecipients": [
                             {"emailAddress": "a@b.de", "action": "failed", "diagnosticCode": DEAD}]}}, "bounced"),
]  # fmt: skip
COLLECTED_EVENTS = [
    json.loads(line) for file in collected("webhooks/esp_events.jsonl") for line in file.read_text().splitlines()
]


@pytest.mark.parametrize(
    ("lines", "least"),
    [(OWN_EVENTS, len(OWN_EVENTS)), *([(COLLECTED_EVENTS, 30)] if COLLECTED_EVENTS else [])],
    ids=["own", "collected"][: 1 + bool(COLLECTED_EVENTS)],
)
def test_events_are_read_as_other_hands_read_them(lines: list[dict[str, Any]], least: int) -> None:
    seen = 0
    for one in lines:
        name = {"amazon_ses": "ses"}.get(one["esp"], one["esp"])
        if name not in SOURCES:
            continue
        raw, expected = one["raw"], one["expected"]
        body = raw.get("raw_sns_message") or raw.get("raw_events") or raw.get("raw_event")
        for event in SOURCES[name].normalise(json.dumps(body).encode(), time.time()):
            told = expected.get("event_type")
            assert event.kind.value in ALIKE.get(told, {told, event.kind.value if told is None else told}), one[
                "source"
            ]
            assert expected.get("recipient") in (None, event.recipient), one["source"]
            assert expected.get("event_id") in (None, event.event_id), one["source"]
            seen += 1
    assert seen >= least


def _logged(source: str, kind: str, code: int, content: str) -> dict[str, Any]:
    record = {"type": kind, "id": source, "recipient": "a@gmail.com", "queue": "spring:shop@gmail.com", "timestamp": 1,
              "response": {"code": code, "enhanced_code": None, "content": content, "command": None}}  # fmt: skip
    return {"source": source, "record": record}


#: Records after KumoMTA's documents; LOCAL is what it decided by itself.
OWN_LOG = [
    _logged("delivered", "Delivery", 250, "OK"),
    _logged("refused", "Bounce", 550, "5.1.1 user unknown"),
    _logged("later", "TransientFailure", 421, "4.7.0 try again later"),
    _logged("LOCAL no source", "TransientFailure", 451, "KumoMTA internal: no sources for the pool"),
    _logged("LOCAL shut down", "TransientFailure", 421, "KumoMTA internal: shutting down"),
]
COLLECTED_LOG = [
    json.loads(line) for file in collected("kumomta/log_records.jsonl") for line in file.read_text().splitlines()
]


@pytest.mark.parametrize(
    "log", [OWN_LOG, *([COLLECTED_LOG] if COLLECTED_LOG else [])], ids=["own", "collected"][: 1 + bool(COLLECTED_LOG)]
)
def test_local_failures_in_kumomtas_log_count_nowhere(log: list[dict[str, Any]]) -> None:
    found = []
    for one in log:
        for event in kumomta.normalise(json.dumps(one["record"]).encode(), 0):
            found.append(event)
            assert event.local == ("LOCAL" in one["source"])
    assert sum(one.local for one in found) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)
#: Shapes near to real ones: a real body with values changed, taken away or put elsewhere.
SEEDS = {
    **BODIES,
    "generic": [{"kind": "bounced", "ip": IP, "detail": DEAD, "at": 1, "recipient": "a@b.de"}],
    "sendgrid": [{"event": "bounce", "sg_event_id": "e", "email": "a@b.de", "timestamp": 1, "reason": DEAD}],
    "ses": {
        "eventType": "Bounce",
        "mail": {"messageId": "m", "timestamp": "2026-01-01T10:00:00Z", "destination": ["a@b.de"], "tags": {}},
        "bounce": {"bouncedRecipients": [_to("failed", DEAD)], "timestamp": "2026-01-01T10:00:00Z"},
    },
    "mailgun": {"event-data": {"event": "failed", "delivery-status": {"code": 550, "message": DEAD}, "timestamp": 1}},
}


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if draw(st.integers(0, 5)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {name: _changed(draw, one) for name, one in value.items() if draw(st.integers(0, 9))}
    return [_changed(draw, one) for one in value] if isinstance(value, list) else value


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    source = draw(st.sampled_from(sorted(SOURCES)))
    if draw(st.booleans()):
        return source, json.dumps(_changed(draw, SEEDS[source])).encode()
    return source, draw(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))


@given(_bodies())
@hypothesis_settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_posted_is_read_or_refused(told: tuple[str, bytes]) -> None:
    source, body = told
    found: list[MailEvent] = []
    with contextlib.suppress(Rejected):
        found = SOURCES[source].normalise(body, 1_700_000_000.0)
    for event in found:
        assert event.event_id
        assert event.at_ms >= 0


@given(_bodies())
@hypothesis_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_is_posted_gets_no_5xx(client: httpx.AsyncClient, told: tuple[str, bytes]) -> None:
    source, body = told
    answer = await client.post(f"/v1/webhooks/{source}", content=body, headers={"X-Warmpath-Token": SECRET})
    assert answer.status_code < 500, answer.text
