"""What the words of each source mean, and what never counts."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from api.webhooks import kumomta, mailgun, postmark, ses, sparkpost
from api.webhooks.reading import Rejected
from api.webhooks.registry import SOURCES
from domain.events import Kind, MailEvent
from tests.api.webhook_bodies import ALERTS, DEAD, IP, posted, to
from tests.corpora import collected


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


INTERNAL = {"code": 451, "content": "KumoMTA internal: no sources"}


@pytest.mark.parametrize(
    ("events", "kind", "counted"),
    [
        (_ses("Complaint", {"complaintFeedbackType": "not-spam"}), "feedback", None),
        (_ses("Complaint", {"complaintFeedbackType": "auth-failure"}), "feedback", None),
        (_ses("Complaint", {"complaintFeedbackType": "Not-Spam"}), "feedback", None),
        (_ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [to("Delivered", "250 ok")]}), None, None),
        (_ses("Complaint", {"complaintSubType": "OnAccountSuppressionList"}), "feedback", None),
        (_ses("Complaint", {"complaintFeedbackType": "abuse"}), "complained", "complained"),
        (
            _ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [to("delayed", "450 4.2.0 wait")]}),
            "deferred",
            "deferred",
        ),
        (
            _ses(
                "Bounce",
                {"bounceType": "Permanent", "bounceSubType": "Suppressed", "bouncedRecipients": [to("failed", DEAD)]},
            ),
            "dropped",
            None,
        ),
        (_ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [to("failed", DEAD)]}), "bounced", "bounced"),
        (
            _ses("Bounce", {"bounceType": "Permanent", "bouncedRecipients": [to("failed", "552 5.2.2 mailbox full")]}),
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


@given(posted())
@hypothesis_settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_posted_is_read_or_refused(told: tuple[str, bytes]) -> None:
    source, body = told
    found: list[MailEvent] = []
    with contextlib.suppress(Rejected):
        found = SOURCES[source].normalise(body, 1_700_000_000.0)
    for event in found:
        assert event.event_id
        assert event.at_ms >= 0


@pytest.mark.parametrize(
    ("severity", "stops"),
    [
        ("critical", True),
        ("Page", True),
        ("high", True),
        ("warning", False),
        ("error", False),
        ("info", False),
        ("", False),
    ],
)
def test_an_alert_stops_mail_only_when_it_is_critical(severity: str, stops: bool) -> None:
    alert = {"status": "firing", "labels": {"ip": IP, "severity": severity}}
    (event,) = SOURCES["alertmanager"].normalise(json.dumps({"alerts": [alert]}).encode(), 0)
    assert (event.kind.value, event.stops_mail) == ("alert", stops)


def test_a_block_that_anybody_could_have_told_stops_nothing() -> None:
    block = MailEvent("mail", "b", Kind.BLOCKED, 0, IP)
    assert [one.stops_mail for one in (block, dataclasses.replace(block, hearsay=True))] == [True, False]
    assert not dataclasses.replace(block, local=True).stops_mail
    assert not dataclasses.replace(block, address="").stops_mail
