"""Replies seen, over HTTP: which, from whom, how often, since when, and what is made of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest

from domain.events import Kind, MailEvent
from domain.words import MailboxProvider, Role
from store import accounts, events
from store.database import Database

IP, OTHER_IP = "198.51.100.7", "198.51.100.8"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
BLOCKED = f"550 5.7.1 [{IP}] Our system has detected an unusual rate of unsolicited mail originating from your IP"
FULL = "452 4.2.2 The email account that you tried to reach is over quota"
NOBODY = "550 5.1.1 <Ada.Lovelace@Example.Org>: Recipient address rejected: User unknown"


async def filled(db: Database) -> None:
    """Three blocks on two IPs and two days, two full mailboxes, one dead address."""
    told: list[tuple[Kind, str, dict[str, Any], int]] = [
        (Kind.BLOCKED, BLOCKED, {"campaign": "spring"}, 0),
        (Kind.BLOCKED, BLOCKED, {"campaign": "spring"}, 1),
        (Kind.BLOCKED, BLOCKED, {"address": OTHER_IP}, 1),
        (Kind.DEFERRED, FULL, {}, 0),
        (Kind.DEFERRED, FULL, {"sender": "acme"}, 0),
        (Kind.BOUNCED, NOBODY, {"provider": MailboxProvider.OTHER, "recipient": "Ada.Lovelace@Example.Org"}, 3),
    ]
    async with db.write() as session:
        await events.record(
            session,
            [
                MailEvent(
                    source="generic", event_id=f"e{number}", kind=kind, detail=detail,
                    at_ms=round((NOW - dt.timedelta(days=days)).timestamp() * 1000),
                    **({"address": IP, "provider": MailboxProvider.GMAIL} | more),
                )
                for number, (kind, detail, more, days) in enumerate(told)
            ],
        )  # fmt: skip


async def asked(api: httpx.AsyncClient, path: str = "/v1/replies", **question: Any) -> dict[str, Any]:
    answer = await api.get(path, params=question)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_each_reply_says_who_how_often_since_when_and_what_it_means(api: httpx.AsyncClient, db: Database) -> None:
    await filled(db)
    items = (await asked(api))["items"]
    assert [one["count"] for one in items] == [3, 2, 1]
    blocked, full, nobody = items
    assert (blocked["reading"]["class"], blocked["reading"]["ip_event"]) == ("ip_blocked", True)
    assert blocked["first_seen"] == (NOW - dt.timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert blocked["last_seen"] == NOW.isoformat().replace("+00:00", "Z")
    assert blocked["ips"] == {"of": 2, "parts": [{"name": IP, "count": 2}, {"name": OTHER_IP, "count": 1}]}
    assert blocked["campaigns"]["parts"] == [{"name": "spring", "count": 2}, {"name": "", "count": 1}]
    assert (full["reading"]["class"], full["reading"]["status"]) == ("mailbox_full", "4.2.2")
    assert (nobody["reading"]["class"], nobody["reading"]["hard"]) == ("unknown_user", True)
    assert "lovelace" not in str(nobody).lower()


@pytest.mark.parametrize(
    ("question", "counts"),
    [
        ({"ip": OTHER_IP}, [1]),
        ({"provider": "other"}, [1]),
        ({"sender": "acme"}, [1]),
        ({"campaign": "spring"}, [2]),
        ({"class": "mailbox_full"}, [2]),
        ({"ip_event": "true"}, [3]),
        ({"ip_event": "false"}, [2, 1]),
        ({"class": "mailbox_full", "ip_event": "true"}, []),
        ({"q": "OVER quota"}, [2]),
        ({"since": NOW.date().isoformat()}, [2, 1]),
        ({"until": (NOW.date() - dt.timedelta(days=1)).isoformat()}, [2, 1]),
        ({"order": "newest", "class": "unknown_user"}, [1]),
    ],
)
async def test_filters_hold(api: httpx.AsyncClient, db: Database, question: dict[str, str], counts: list[int]) -> None:
    await filled(db)
    assert [one["count"] for one in (await asked(api, **question))["items"]] == counts


@pytest.mark.parametrize("question", [{}, {"ip_event": "false"}, {"class": "ip_blocked"}])
async def test_pages_hold_each_reply_once(api: httpx.AsyncClient, db: Database, question: dict[str, str]) -> None:
    await filled(db)
    whole = [one["id"] for one in (await asked(api, **question))["items"]]
    walked: list[str] = []
    cursor: str | None = None
    while True:
        found = await asked(api, limit=1, **question, **({"after": cursor} if cursor else {}))
        assert len(found["items"]) <= 1
        walked += [one["id"] for one in found["items"]]
        cursor = found["next"]
        if cursor is None:
            break
    assert walked == whole


async def test_one_reply_is_taken_apart_by_ip_and_day(api: httpx.AsyncClient, db: Database) -> None:
    await filled(db)
    name = (await asked(api))["items"][0]["id"]
    found = await asked(api, f"/v1/replies/{name}")
    assert [(one["address"], one["count"]) for one in found["by_ip"]] == [(IP, 2), (OTHER_IP, 1)]
    today = NOW.date()
    assert [(one["date"], one["count"]) for one in found["by_day"]] == [
        ((today - dt.timedelta(days=1)).isoformat(), 2),
        (today.isoformat(), 1),
    ]
    of_other = await asked(api, f"/v1/replies/{name}", ip=OTHER_IP)
    assert (of_other["count"], len(of_other["by_ip"]), len(of_other["by_day"])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("path", "question", "status", "field"),
    [
        ("/v1/replies/0123", {}, 404, "reply"),
        ("/v1/replies", {"after": "nonsense"}, 422, "after"),
        ("/v1/replies", {"since": "2026-03-02", "until": "2026-03-01"}, 422, "since"),
        ("/v1/replies", {"class": "nonsense"}, 422, "class"),
        ("/v1/replies", {"provider": "nonsense"}, 422, "provider"),
        ("/v1/replies", {"limit": "0"}, 422, "limit"),
    ],
)
async def test_bad_questions_name_their_field(
    api: httpx.AsyncClient, db: Database, path: str, question: dict[str, str], status: int, field: str
) -> None:
    answer = await api.get(path, params=question)
    assert answer.status_code == status
    assert field in str(answer.json()["errors"][0])


async def test_a_viewer_may_read_and_ask(api: httpx.AsyncClient, db: Database) -> None:
    async with db.write() as session:
        api.headers["Authorization"] = f"Bearer {await accounts.create_token(session, 'on call', Role.VIEWER)}"
    assert (await asked(api))["items"] == []
    assert (await api.post("/v1/replies/classify", json={"replies": ["550 no"]})).status_code == 200
    del api.headers["Authorization"]
    assert (await api.get("/v1/replies")).status_code == 401


async def test_replies_are_read_without_being_stored(api: httpx.AsyncClient, db: Database) -> None:
    lines = ["421-4.7.28 unusual rate of unsolicited mail originating from your IP Netblock", NOBODY, "250 2.0.0 OK"]
    answer = await api.post("/v1/replies/classify", json={"replies": lines})
    items = answer.json()["items"]
    assert [one["text"] for one in items] == lines
    assert [one["reading"]["class"] for one in items] == ["ip_throttled", "unknown_user", "accepted"]
    assert [one["reading"]["ip_event"] for one in items] == [True, False, False]
    assert items[1]["template"] == "550 5.1.1 <addr>: recipient address rejected: user unknown"
    assert (await asked(api))["items"] == []


async def test_who_replies_may_be_told(api: httpx.AsyncClient) -> None:
    body = {"replies": ["421 go away"], "provider": " Yahoo "}
    answer = await api.post("/v1/replies/classify", json=body)
    assert answer.json()["items"][0]["reading"]["provider"] == "yahoo"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "replies"),
        ({"replies": []}, "replies"),
        ({"replies": ["550 no", "  "]}, "replies.1"),
        ({"replies": ["x"] * 201}, "replies"),
        ({"replies": ["x" * 10_001]}, "replies.0"),
        ({"replies": ["x"], "text": "y"}, "text"),
        ({"replies": ["x"], "provider": "hotmial"}, "provider"),
    ],
)
async def test_a_bad_question_is_refused_by_its_field(api: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await api.post("/v1/replies/classify", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
