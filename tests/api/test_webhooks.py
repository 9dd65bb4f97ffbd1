"""Webhooks: signed and new is stored once, everything else changes nothing and says why."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from pydantic import SecretStr
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api import limits, problems
from api.app import create
from api.routes import webhooks
from api.webhooks import generic, sendgrid, ses
from api.webhooks.reading import Rejected
from domain.events import Kind
from domain.words import MailboxProvider, Stage
from settings import Settings
from store import attention, events, ips, leases, ledger
from store.database import Database
from store.tables.events import MailEvent, StrayEvent
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow
from store.tables.outbox import OutboxRow
from store.tables.senders import Pool
from tests.corpora import collected

SECRET = "whsec_" + base64.b64encode(b"a secret of this test").decode()
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses"
CERT_URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem"
IP = "198.51.100.7"
KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
RSA = rsa.generate_private_key(65537, 2048)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])


def _certificate(until: int = 2099) -> bytes:
    """SNS's, from the year 2020 on."""
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(RSA.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(until, 1, 1, tzinfo=dt.UTC))
        .sign(RSA, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


PEM = _certificate()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Every webhook has its key; bodies are at most 20,000 bytes."""
    return settings.model_copy(
        update={
            "webhook_sendgrid_public_key": SPKI,
            "webhook_ses_topic_arns": (TOPIC,),
            "webhook_generic_secret": SecretStr(SECRET),
            "max_body_bytes": 20_000,
        }
    )


@pytest.fixture
def fetched() -> list[str]:
    """URLs that the webhook asked for."""
    return []


@pytest.fixture
async def client(settings: Settings, db: Database, fetched: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """The webhook routes with the errors and limits of the API."""

    async def fetch(url: str) -> bytes:
        fetched.append(url)
        return PEM

    app = FastAPI()
    app.state.settings, app.state.db, app.state.webhook_fetcher = settings, db, fetch
    problems.install(app)
    app.add_middleware(limits.BodyLimit, limit=settings.max_body_bytes)
    app.router.routes.append(webhooks.Straight())
    app.include_router(webhooks.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as asked:
        yield asked


def _generic(body: bytes, *, at: float | None = None, message: str = "msg_1") -> dict[str, Any]:
    stamp = str(int(time.time() if at is None else at))
    return {
        "content": body,
        "headers": {
            "webhook-id": message,
            "webhook-timestamp": stamp,
            "webhook-signature": generic.sign(SECRET, message, stamp, body),
        },
    }


def _sendgrid(body: bytes, at: float | None = None) -> dict[str, Any]:
    stamp = str(int(time.time() if at is None else at))
    signature = base64.b64encode(KEY.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    return {"content": body, "headers": {sendgrid.SIGNATURE: signature, sendgrid.TIMESTAMP: stamp}}


def _sns(message: str, kind: str = "Notification", version: str = "2", **more: str) -> dict[str, str]:
    stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {
        "Type": kind,
        "MessageId": "m1",
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": stamp,
        **more,
    }
    content = "".join(f"{key}\n{told[key]}\n" for key in ses._SIGNED[kind] if key in told)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    told["Signature"] = base64.b64encode(RSA.sign(content.encode(), padding.PKCS1v15(), algorithm)).decode()
    return {**told, "SignatureVersion": version, "SigningCertURL": CERT_URL}


async def _stored(db: Database) -> int:
    async with db.read() as session:
        rows = (await session.exec(sa.select(sa.func.count()).select_from(MailEvent))).scalar_one()
        return int(rows)


def test_the_body_of_the_guide_is_read_as_it_says() -> None:
    text = (Path(__file__).parents[2] / "docs/guide/events.md").read_text()
    body = text.partition("body='")[2].partition("'")[0]
    read = generic.events(body.encode(), "m", 0.0)
    assert [one.kind for one in read] == [Kind.DELIVERED, Kind.BOUNCED, Kind.ALERT]
    fields = set(re.findall(r"`(\w+)`", text.partition("| field |")[2].partition("\n\n")[0]))
    assert set(generic.GenericEvent.__struct_fields__) <= fields


async def test_a_signed_event_is_counted_once(client: httpx.AsyncClient, db: Database) -> None:
    body = json.dumps([{"id": "a", "kind": "delivered", "ip": IP, "recipient": "x@gmail.com"}]).encode()
    first = await client.post("/v1/webhooks/generic", **_generic(body))
    again = await client.post("/v1/webhooks/generic", **_generic(body, message="msg_2"))
    assert first.json() == {"received": 1, "new": 1}
    assert again.json() == {"received": 1, "new": 0}
    async with db.read() as session:
        sums = await events.sums(session, IP, 0, int(time.time() * 1000) + 1)
    assert sums[MailboxProvider.GMAIL].delivered == 1


async def test_posts_to_a_source_are_taken_before_any_route_is_searched(settings: Settings, db: Database) -> None:
    app = create(settings, db)
    app.router.routes[1:] = []
    body = b'[{"id":"a","kind":"sent"}]'
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warmpath.test") as asked:
        taken = await asked.post("/v1/webhooks/generic", **_generic(body))
        others = [
            await asked.get("/v1/webhooks/generic"),
            await asked.post("/v1/webhooks/stripe", **_generic(body)),
            await asked.post("/v1/webhooks/unheard", **_generic(body)),
            await asked.post("/v2/webhooks/generic", **_generic(body)),
        ]
    assert taken.json() == {"received": 1, "new": 1}
    assert [answer.status_code for answer in others] == [404] * 4, "these are left to the routes"


async def test_below_another_path_events_are_taken_as_well(settings: Settings, db: Database) -> None:
    reach = httpx.ASGITransport(create(settings, db), root_path="/warmpath")
    async with httpx.AsyncClient(transport=reach, base_url="http://warmpath.test") as asked:
        taken = await asked.post("/warmpath/v1/webhooks/generic", **_generic(b'[{"id":"a","kind":"sent"}]'))
        refused = await asked.get("/warmpath/v1/webhooks/generic")
    assert taken.json() == {"received": 1, "new": 1}
    assert refused.status_code == 405


def _subscribes(url: str) -> dict[str, str]:
    """A signed request to subscribe, which is to be confirmed at a URL."""
    return _sns("hello", "SubscriptionConfirmation", SubscribeURL=url, Token="t")


@pytest.mark.parametrize(
    ("source", "request_", "status", "reason"),
    [
        # Made when the test runs: a signature is as old as the suite else, and stale after five minutes.
        ("generic", lambda: {"content": b"[]"}, 401, "must be sent"),
        ("generic", lambda: {**_generic(b"[]"), "content": b"[ ]"}, 401, "does not fit"),
        ("generic", lambda: _generic(b"[]", at=time.time() - 3600), 401, "replay"),
        ("generic", lambda: _generic(b"\xff\xfe"), 400, "not UTF-8"),
        ("generic", lambda: _generic(gzip.compress(b"[]")), 400, "compressed"),
        ("generic", lambda: _generic(b"{"), 400, "not JSON"),
        ("generic", lambda: _generic(b"[" * 9000), 400, "nested"),
        ("generic", lambda: _generic(b"x" * 20_001), 413, "20,000"),
        ("generic", lambda: _generic(b'[{"kind":"sent"},{"kind":"wild"}]'), 400, "events[1].kind"),
        ("generic", lambda: _generic(b'[{"kind":"sent","provider":"hotmail"}]'), 400, "choose from gmail, microsoft"),
        ("generic", lambda: _generic(b'[{"kind":"sent","ip":"1.2.3"}]'), 400, "no IP address"),
        ("generic", lambda: _generic(b'[{"kind":"sent","at":1e400}]'), 400, "must be a time"),
        ("sendgrid", lambda: {"content": b"[]"}, 401, "not signed"),
        ("sendgrid", lambda: {**_sendgrid(b"[]"), "content": b"[]\r\n"}, 401, "does not fit"),
        ("sendgrid", lambda: _sendgrid(b"[]", at=time.time() - 7200), 401, "replay"),
        ("sendgrid", lambda: _sendgrid(b'[{"event":"open","timestamp":"never"}]'), 400, "timestamp"),
        ("ses", lambda: {"json": {**_sns("{}"), "Message": "{ }"}}, 401, "does not fit"),
        ("ses", lambda: {"json": {**_sns("{}"), "SigningCertURL": "https://sns.evil.test/a.pem"}}, 401, "Amazon SNS"),
        ("ses", lambda: {"json": {**_sns("{}"), "SigningCertURL": f"{CERT_URL}\t"}}, 401, "Amazon SNS"),
        ("ses", lambda: {"json": _sns("{}", Timestamp="2026-01-01T10:00:00.000Z")}, 401, "replay"),
        ("ses", lambda: {"json": _subscribes("https://sns.us-east-1.amazonaws.com@evil.test/")}, 401, "Amazon SNS"),
        ("ses", lambda: {"json": _subscribes("https://sns.us-east-1.amazonaws.com.evil.test/")}, 401, "Amazon SNS"),
        ("ses", lambda: {"json": _subscribes("http://169.254.169.254/latest/meta-data")}, 401, "Amazon SNS"),
        ("ses", lambda: {"json": {**_sns("{}"), "TopicArn": "arn:other"}}, 401, "not accepted"),
        ("unheard", lambda: {"content": b"[]"}, 404, "no webhook"),
    ],
)
async def test_what_is_wrong_is_refused_with_its_reason_and_nothing_stored(
    client: httpx.AsyncClient,
    db: Database,
    source: str,
    request_: Callable[[], dict[str, Any]],
    status: int,
    reason: str,
) -> None:
    answer = await client.post(f"/v1/webhooks/{source}", **request_())
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason in answer.json()["detail"]
    assert await _stored(db) == 0


@pytest.mark.parametrize("version", ["1", "2"])
async def test_ses_is_taken_with_either_signature_version_and_its_certificate_fetched_once(
    client: httpx.AsyncClient, fetched: list[str], version: str
) -> None:
    mail = {
        "messageId": "m",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "destination": ["a@gmail.com", "b@aol.com"],
    }
    told = json.dumps({"eventType": "Send", "mail": {**mail, "tags": {"ses:outgoing-ip": [IP]}}, "send": {}})
    for new in (2, 0):
        answer = await client.post("/v1/webhooks/ses", json=_sns(told, version=version))
        assert answer.json() == {"received": 2, "new": new}
    assert fetched == [CERT_URL]


async def test_a_subscription_of_an_accepted_topic_is_confirmed(client: httpx.AsyncClient, fetched: list[str]) -> None:
    url = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription"
    answer = await client.post(
        "/v1/webhooks/ses", json=_sns("hello", "SubscriptionConfirmation", SubscribeURL=url, Token="t")
    )
    assert answer.status_code == 200
    assert fetched == [CERT_URL, url]


def _blocked(source: str) -> dict[str, Any]:
    """What each source posts when an IP must stop."""
    reply = "550 5.7.606 Access denied, banned sending IP [198.51.100.7]"
    if source == "generic":
        event = {"id": "al", "kind": "alert", "ip": IP, "severity": "critical", "detail": "listed"}
        return _generic(json.dumps(event).encode())
    if source == "sendgrid":
        bounce = {
            "sg_event_id": "b", "event": "bounce", "ip": IP, "email": "a@outlook.com", "timestamp": time.time(),
            "reason": reply,
        }  # fmt: skip
        return _sendgrid(json.dumps([bounce]).encode())
    mail = {
        "messageId": "m", "timestamp": "2026-01-01T00:00:00.000Z", "destination": ["a@outlook.com"],
        "tags": {"ses:outgoing-ip": [IP]},
    }  # fmt: skip
    recipient = {"emailAddress": "a@outlook.com", "status": "5.7.606", "diagnosticCode": f"smtp; {reply}"}
    bounce = {"bounceType": "Permanent", "bouncedRecipients": [recipient], "timestamp": mail["timestamp"]}
    return {"json": _sns(json.dumps({"eventType": "Bounce", "mail": mail, "bounce": bounce}))}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("generic", "alert from your own monitoring: listed"),
        ("sendgrid", "reply that blocks the IP from SendGrid: 550"),
        ("ses", "reply that blocks the IP from Amazon SES: "),
    ],
)
async def test_what_is_critical_stops_mail_with_its_event_and_is_on_its_way_to_two_workflows(
    client: httpx.AsyncClient, db: Database, source: str, told: str
) -> None:
    now = int(time.time() * 1000)
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.WARMING))
        await ledger.set_window(session, IP, now - 1000, now + 600_000, 50, {}, 0)
        assert await ledger.book(session, IP, MailboxProvider.GMAIL, 1, now) is not None
    asked = _blocked(source)
    for _ in range(2):
        assert (await client.post(f"/v1/webhooks/{source}", **asked)).status_code == 200
    async with db.write() as session:
        assert await ledger.book(session, IP, MailboxProvider.GMAIL, 1, now) is None, "before any worker hears"
        rows = (await session.exec(sa.select(OutboxRow).order_by(OutboxRow.id))).scalars().all()
    assert [(row.workflow_id, row.name) for row in rows] == [
        (f"warmup:{IP}", "stop"),
        (f"ip:{IP}", "reputation_changed"),
    ]
    assert all(told in json.dumps(row.payload) for row in rows), "an operator knows who told it"


async def test_of_a_blocked_ip_its_journeys_hear_once_however_much_mail_was_under_way(
    client: httpx.AsyncClient, db: Database
) -> None:
    async def bounces(first: int) -> list[str]:
        for number in range(first, first + 3):
            bounce = {
                "sg_event_id": f"b{number}", "event": "bounce", "ip": IP, "email": f"a{number}@outlook.com",
                "timestamp": time.time(), "reason": "550 5.7.606 Access denied, banned sending IP [198.51.100.7]",
            }  # fmt: skip
            answer = await client.post("/v1/webhooks/sendgrid", **_sendgrid(json.dumps([bounce]).encode()))
            assert answer.json() == {"received": 1, "new": 1}
        async with db.read() as session:
            return list((await session.exec(select(OutboxRow.name).order_by(col(OutboxRow.id)))).all())

    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.WARMING))
        await ledger.set_paused(session, IP, True, "Paused by an operator.")
    told = ["stop", "reputation_changed"]
    assert await bounces(0) == told, "mail that a person has paused may be freed by him without knowing of the block"
    async with db.write() as session:
        await ledger.set_paused(session, IP, False, "")
    assert await bounces(3) == told * 2
    async with db.read() as session:
        assert await ledger.held(session, IP)


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
async def test_alerts_about_two_ips_and_a_lease_of_both_do_not_wait_for_each_other(
    client: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, other = int(time.time() * 1000), "198.51.100.8"
    async with db.write() as session:
        session.add(Pool(name="main"))
        for address in (IP, other):
            await ips.insert(session, Ip(address=address, stage=Stage.WARMING, pool="main"))
            await ledger.set_window(session, address, now - 1000, now + 600_000, 50, {}, 0)
        # The first by address has less left than the second: a lease books the second first.
        assert await ledger.book(session, IP, MailboxProvider.GMAIL, 20, now) is not None
    alerts = [{"id": one, "kind": "alert", "ip": one, "severity": "critical"} for one in (other, IP)]
    request = _generic(json.dumps(alerts).encode())
    booking, order, told = leases.book_opening, list[str](), list[asyncio.Task[httpx.Response]]()

    async def waits() -> None:
        query = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with asyncio.timeout(10), db.read() as session:
            while not (await (await session.connection()).execute(query)).scalar_one():
                pass

    async def book(session: AsyncSession, address: str, *more: Any) -> ledger.Booking | None:
        booked = await booking(session, address, *more)
        order.append(address)
        if not told:
            told.append(asyncio.create_task(client.post("/v1/webhooks/generic", **request)))
            await waits()
        return booked

    locking, locked = ips.lock, list[str]()

    async def lock(session: AsyncSession, address: str) -> bool:
        locked.append(address)
        return await locking(session, address)

    monkeypatch.setattr(leases, "book_opening", book)
    monkeypatch.setattr(ips, "lock", lock)
    async with db.write() as session:
        await leases.one_at_a_time(session)
        answer = await leases.lease(session, provider=MailboxProvider.GMAIL, count=40, at_ms=now, pool="main")
    assert order[:2] == [other, IP]
    assert sum(one.count for one in answer.grants) == 40
    assert (await told[0]).json() == {"received": 2, "new": 2}
    assert locked == [IP, other], "a transaction that a deadlock ended is tried once more"
    async with db.read() as session:
        assert [row.paused for row in (await ledger.newest(session, (IP, other), now)).values()] == [True, True]


async def test_an_alert_about_an_ip_of_others_pauses_nothing(client: httpx.AsyncClient, db: Database) -> None:
    for _ in range(2):
        answer = await client.post("/v1/webhooks/generic", **_blocked("generic"))
        assert answer.status_code == 404
        assert (answer.json()["errors"][0]["code"], IP in answer.json()["detail"]) == ("unknown_ip", True)
    # Beside something else it is no reason to send all of it again; it is a dead letter all the same.
    event = {"kind": "alert", "ip": IP, "severity": "critical"}
    both = [{**event, "id": "a2"}, {"id": "d", "kind": "delivered", "ip": IP}]
    assert (await client.post("/v1/webhooks/generic", **_generic(json.dumps(both).encode()))).status_code == 200
    async with db.read() as session:
        for table in (LedgerWindow, OutboxRow):
            assert (await session.exec(sa.select(sa.func.count()).select_from(table))).scalar_one() == 0
        letters = (await session.exec(select(StrayEvent))).all()
        waits = [item.text for item in (await attention.page(session))[0]]
        assert await attention.total(session) == 1
    assert [(one.source, one.why, one.name, one.count) for one in letters] == [("generic", "ip", IP, 2)]
    assert len(waits) == 1
    assert IP in waits[0]


class Signed(NamedTuple):
    """A signed request: body, headers, public key (base64 of DER), and when it was signed, epoch seconds."""

    body: bytes
    headers: dict[str, str]
    key: str
    at: float


def _signed_samples() -> list[Signed]:
    """One of ours with the line end that SendGrid signs too, and the really signed one where the corpora are."""
    event = {"sg_event_id": "s", "event": "dropped", "email": "a@gmail.com", "timestamp": 1_700_000_000}
    own = _sendgrid(json.dumps([event]).encode() + b"\r\n", at=1_700_000_000)
    samples = [Signed(own["content"], {k.lower(): v for k, v in own["headers"].items()}, SPKI, 1_700_000_000)]
    for file in collected("webhooks/sendgrid/single.json"):
        told = json.loads(file.read_text())
        headers = {name.lower(): value for name, value in told["headers"].items()}
        body = (file.parent / told["body_file"]).read_bytes()
        samples.append(Signed(body, headers, told["public_key_b64_spki"], float(headers[sendgrid.TIMESTAMP])))
    return samples


def test_a_signed_sample_verifies_and_one_byte_less_does_not() -> None:
    for body, headers, key, then in _signed_samples():
        sendgrid.verify(body, headers, key, then)
        assert [one.kind for one in sendgrid.events(body)] == [Kind.DROPPED]
        with pytest.raises(Rejected, match="does not fit"):
            sendgrid.verify(body.strip(), headers, key, then)
        with pytest.raises(Rejected, match="replay"):
            sendgrid.verify(body, headers, key, then + 86_400)


GONE = {"emailAddress": "a@gmail.com", "action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 gone"}
FULL = {"emailAddress": "a@gmail.com", "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 mailbox full"}
#: What Amazon publishes under each name, in our words.
AMAZON: list[tuple[str, str, dict[str, Any], Kind]] = [
    ("Send", "send", {}, Kind.SENT),
    ("Delivery", "delivery", {"recipients": ["a@gmail.com"], "smtpResponse": "250 2.0.0 OK"}, Kind.DELIVERED),
    ("Bounce", "bounce", {"bounceType": "Permanent", "bouncedRecipients": [GONE]}, Kind.BOUNCED),
    ("Complaint", "complaint", {"complainedRecipients": [{"emailAddress": "a@gmail.com"}]}, Kind.COMPLAINED),
    ("DeliveryDelay", "deliveryDelay", {"delayType": "MailboxFull", "delayedRecipients": [FULL]}, Kind.DEFERRED),
    ("Reject", "reject", {"reason": "Bad content"}, Kind.DROPPED),
    ("Rendering Failure", "failure", {"errorMessage": "no such field"}, Kind.DROPPED),
    ("Open", "open", {"ipAddress": "192.0.2.1"}, Kind.OPENED),
    ("Click", "click", {"link": "https://example.com/"}, Kind.CLICKED),
    ("Subscription", "subscription", {"contactList": "news"}, Kind.UNSUBSCRIBED),
]


@pytest.mark.parametrize(("name", "part", "told", "kind"), AMAZON)
def test_every_event_of_amazon_is_read(name: str, part: str, told: dict[str, Any], kind: Kind) -> None:
    mail = {"messageId": "m", "timestamp": "2026-01-01T00:00:00.000Z", "destination": ["a@gmail.com"]}
    body = json.dumps({"eventType": name, "mail": mail, part: told}).encode()
    assert [(event.kind, event.recipient) for event in ses.normalise(body, 0)] == [(kind, "a@gmail.com")]


def test_events_that_others_wrote_down_are_read() -> None:
    assert len(AMAZON) == len(ses._KINDS)
    files = [one for one in collected("webhooks/ses_docs/*.json") if not one.name.startswith("receiving")]
    kinds = {one.name: [event.kind for event in ses.normalise(one.read_bytes(), 0)] for one in files}
    assert all(kinds.values()), kinds
    assert kinds.get("event-publishi__bounce-record.json", [Kind.BOUNCED]) == [Kind.BOUNCED]
    bodies = [[{"sg_event_id": "p", "event": "processed", "email": "a@gmail.com", "timestamp": 1_700_000_000}]]
    for file in collected("webhooks/esp_events.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        bodies += [one["raw"]["raw_events"] for one in lines if one["esp"] == "sendgrid" and "raw_events" in one["raw"]]
    for body in bodies:
        assert sendgrid.events(json.dumps(body).encode())


async def test_a_certificate_whose_time_is_over_signs_nothing(settings: Settings) -> None:
    async def fetch(url: str) -> bytes:
        return _certificate(until=2022)

    with pytest.raises(Rejected, match="does not fit"):
        await ses.verify(json.dumps(_sns("{}")).encode(), settings, fetch, time.time())
