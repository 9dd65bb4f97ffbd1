"""Rare events and odd shapes of each source, as its owner documents them or as people hand them over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.webhooks.registry import SOURCES
from domain.events import MailEvent

NOW = 1_700_000_000.0
NO_MX = "unable to get mx info: failed to get IPs from PTR record: lookup <nil>: unrecognized address"


def _read(source: str, body: Any) -> list[MailEvent]:
    return SOURCES[source].normalise(json.dumps(body).encode(), NOW)


def _grid(**event: Any) -> dict[str, Any]:
    return {"sg_event_id": "e", "email": "a@b.de", "timestamp": 1_461_095_250, **event}


def _gun(**event: Any) -> dict[str, Any]:
    return {"recipient": "a@b.de", "timestamp": 1.5, "message": {"headers": {"message-id": "m@b"}}, **event}


def _kumo(**record: Any) -> dict[str, Any]:
    return {"id": "x", "recipient": "a@gmail.com", "timestamp": 1_757_675_281, "queue": "gmail.com", **record}


def _preferences(**new: Any) -> dict[str, Any]:
    mail = {"messageId": "m", "destination": ["a@b.de"]}
    return {"eventType": "Subscription", "mail": mail, "subscription": {"newTopicPreferences": new}}


@pytest.mark.parametrize(
    ("source", "body", "kind", "counted"),
    [
        # SendGrid found no server, or reached none: no receiver said that.
        ("sendgrid", [_grid(event="bounce", type="blocked", reason=NO_MX)], "failed", None),
        ("sendgrid", [_grid(event="deferred", response=NO_MX)], "deferred", None),
        (
            "sendgrid",
            [_grid(event="bounce", status="4.0.0", reason="error dialing remote address: dial tcp: no route to host")],
            "failed",
            None,
        ),
        ("sendgrid", [_grid(event="bounce", type="blocked", reason="550 5.2.2 mailbox full")], "failed", "failed"),
        ("sendgrid", [_grid(event="group_unsubscribe", ip="198.51.100.7")], "unsubscribed", None),
        ("sendgrid", [_grid(event="group_resubscribe", ip="198.51.100.7")], "subscribed", None),
        # Whoever changes his preferences need not leave.
        ("ses", _preferences(unsubscribeAll=True, topicSubscriptionStatus=[]), "unsubscribed", None),
        ("ses", _preferences(topicSubscriptionStatus=[{"subscriptionStatus": "OptOut"}]), "unsubscribed", None),
        ("ses", _preferences(topicSubscriptionStatus=[{"subscriptionStatus": "OptIn"}]), "subscribed", None),
        ("ses", {"eventType": "Subscription", "mail": {"messageId": "m", "destination": ["a@b.de"]}}, "unsubscribed",
         None),
        # Mailgun tried for hours.
        (
            "mailgun",
            {"event-data": _gun(event="failed", severity="permanent", reason="old",
                                **{"delivery-status": {"code": 602, "message": "Too old"}})},
            "failed",
            None,
        ),
        ("mailgun", {"event-data": _gun(event="failed", reason="suppress-complaint")}, "dropped", None),
        ("postmark", {"RecordType": "Bounce", "Type": "Unconfirmed", "ID": 1}, "dropped", None),
        ("postmark", {"RecordType": "Bounce", "Type": "OpenRelayTest", "ID": 1}, "autoreply", None),
        # A bounce or a complaint comes by a record of its own, too.
        (
            "postmark",
            {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "HardBounce"},
            "feedback",
            None,
        ),
        (
            "postmark",
            {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "ManualSuppression"},
            "unsubscribed",
            None,
        ),
        ("sparkpost", [{"msys": {"gen_event": {"type": "generation_failure", "rcpt_to": "a@b.de"}}}], "dropped", None),
        (
            "sparkpost",
            [{"msys": {"message_event": {"type": "out_of_band", "rcpt_to": "a@b.de", "reason": "550 5.1.1 no user"}}}],
            "bounced",
            "bounced",
        ),
    ],
)  # fmt: skip
def test_rare_events_are_what_their_source_documents(source: str, body: Any, kind: str, counted: str | None) -> None:
    (event,) = _read(source, body)
    assert (event.kind.value, event.counted) == (kind, counted)


def test_the_words_by_which_postmark_explains_a_type_are_no_reply() -> None:
    told = {"Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found)."}
    (event,) = _read("postmark", {"RecordType": "Bounce", "Type": "HardBounce", "ID": 1, "Email": "a@b.de", **told})
    assert (event.kind.value, event.detail, event.reply_class) == ("failed", "", "")


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("sendgrid", _grid(event="delivered")),
        ("mailgun", _gun(event="delivered")),
        ("postmark", [{"RecordType": "Delivery", "Recipient": "a@b.de", "MessageID": "m"}]),
        ("sparkpost", {"msys": {"message_event": {"type": "delivery", "rcpt_to": "a@b.de"}}}),
        ("generic", {"kind": "delivered", "recipient": "a@b.de"}),
    ],
)
def test_one_event_by_itself_is_read_as_its_source_would_wrap_it(source: str, body: Any) -> None:
    (event,) = _read(source, body)
    assert (event.kind.value, event.recipient) == ("delivered", "a@b.de")


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("sendgrid", [_grid(event="delivered", timestamp=1_461_095_250_123)]),
        ("mailgun", {"event-data": _gun(event="delivered", timestamp=1_461_095_250_123)}),
        ("sparkpost", [{"msys": {"message_event": {"type": "delivery", "timestamp": "1461095250123"}}}]),
        ("generic", [{"kind": "delivered", "at": 1_461_095_250_123}]),
        ("generic", {"kind": "delivered", "at": "2016-04-19T19:47:30.123456789Z"}),
    ],
)
def test_times_in_milliseconds_are_no_times_far_away(source: str, body: Any) -> None:
    assert [one.at_ms for one in _read(source, body)] == [1_461_095_250_123]


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_what_sns_asks_about_itself_holds_no_events(kind: str) -> None:
    assert _read("ses", {"Type": kind, "MessageId": "m", "Message": "You have chosen to subscribe"}) == []


def test_an_event_of_sendgrid_without_an_id_stops_no_others_and_counts_once() -> None:
    bare = {"event": "delivered", "email": "a@b.de", "timestamp": None}
    first, second = _read("sendgrid", [bare, {**bare, "email": "c@b.de"}])
    assert first.event_id != second.event_id
    assert first.event_id == _read("sendgrid", bare)[0].event_id
    assert first.at_ms == int(NOW * 1000)


@pytest.mark.parametrize("source", ["alertmanager", "grafana"])
def test_the_year_1_is_no_time_of_an_alert(source: str) -> None:
    none = "0001-01-01T00:00:00Z"
    alerts = [
        {"status": "resolved", "startsAt": "2024-01-01T00:00:00Z", "endsAt": none},
        {"status": "firing", "startsAt": none, "endsAt": none},
    ]
    assert [one.at_ms for one in _read(source, {"alerts": alerts})] == [1_704_067_200_000, int(NOW * 1000)]


REPORT = {
    "feedback_type": "abuse", "arrival_date": "2005-03-08T18:00:00Z", "source_ip": "192.0.2.1",
    "original_rcpto_to": ["<ann@gmail.com>"], "extensions": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("report", "recipient"),
    [
        (REPORT, "ann@gmail.com"),
        ({**REPORT, "original_rcpto_to": [], "extensions": {"removal-recipient": ["bob@b.de"]}}, "bob@b.de"),
        ({**REPORT, "original_rcpto_to": [], "supplemental_trace": {"recipient": "eve@b.de"}}, "eve@b.de"),
        ({**REPORT, "original_rcpto_to": []}, ""),
    ],
)
def test_a_complaint_in_kumomtas_log_is_of_whom_the_report_names(report: dict[str, Any], recipient: str) -> None:
    # The record's own recipient is the mailbox that takes the reports, its creation the report's.
    (event,) = _read(
        "kumomta", _kumo(type="Feedback", recipient="fbl@us.example", feedback_report=report, created=1_757_675_000)
    )
    assert (event.kind.value, event.recipient, event.address) == ("complained", recipient, "192.0.2.1")
    assert event.booked_ms == 1_110_304_800_000


def test_a_bounce_that_came_back_to_kumomta_is_of_the_day_that_it_tells() -> None:
    (event,) = _read(
        "kumomta",
        _kumo(type="OOB", created=1_757_999_999, response={"code": 550, "content": "5.1.1 user unknown"}),
    )
    assert (event.kind.value, event.booked_ms) == ("bounced", 1_757_675_281_000)
    assert event.message_id == "", "the record's id is the report's: no mail is to be waited for under it"


@pytest.mark.parametrize(
    ("headers", "message_id"),
    [
        ({"Message-ID": "<m1@acme.example>"}, "m1@acme.example"),
        ({"message-id": ["<m1@x>"]}, "x"),
        ({}, "x"),
        (None, "x"),
    ],
)
def test_a_mail_of_kumomta_is_known_by_its_message_id_where_that_is_logged(headers: Any, message_id: str) -> None:
    (event,) = _read("kumomta", _kumo(type="Delivery", headers=headers))
    assert event.message_id == message_id


def test_kumomta_tells_the_instant_and_whom_it_took_mail_from() -> None:
    peer = {"name": "mail-yw1-f1.google.com", "addr": "192.0.2.5"}
    (event,) = _read(
        "kumomta",
        _kumo(type="Reception", recipient="a@b.de", peer_address=peer, event_time="2025-09-12T11:08:01.440526026Z"),
    )
    assert (event.at_ms, event.provider.value) == (1_757_675_281_440, "other")
