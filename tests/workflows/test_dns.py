"""The DNS journey on the real Temporal server, Knot and Unbound."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.context import Context
from activities.dns import PUBLISH_ATTEMPTS, DnsActivities
from activities.dns_checks import DnsChecks
from activities.dns_messages import Outcome
from domain.dns import ChangeRecords, ContactSupport, DnsInput, DnsResult, Record, Reverify, SetupState
from domain.words import Actor, Stage
from providers.dns.manual import ManualPublisher
from providers.dns.port import Publisher
from providers.ip_vendors.port import VendorError, VendorFault
from settings import Settings
from store import dns as setups
from store import incidents, ips
from store.database import Database
from store.keys import Keyring, new_key
from store.secrets import Secrets
from store.tables.dns import DnsSetup
from store.tables.ips import Ip
from tests.providers.dns_neighbours import (  # noqa: F401 - the fixture
    ADDRESS,
    DOMAIN,
    REVERSE,
    Neighbours,
    neighbours,
)
from workflows.client import converter
from workflows.dns import DnsPropagation
from workflows.ids import dns_id

TEMPORAL = Path(__import__("sys").executable).parent / "temporal"


class ReverseZone:
    """A vendor whose PTR records are a zone of ours."""

    def __init__(self, on: Neighbours) -> None:
        self._on = on
        self.faults: list[VendorError] = []

    async def set_ptr(self, address: str, hostname: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        record = Record(
            key="ptr",
            name=f"{address.split('.')[3]}.{REVERSE}",
            type="PTR",
            expected=[hostname],
            zone_hint=REVERSE,
        )
        await self._on.publisher().publish(record, REVERSE, [])


def vendors_of(queue: str) -> str:
    """The queue of vendor calls beside a main queue."""
    return f"vendors-{queue}"


@dataclass
class Stand:
    """One store, one worker, one IP."""

    client: Client
    context: Context
    neighbours: Neighbours
    queue: str
    publisher: Publisher
    checks: DnsChecks
    vendor: ReverseZone

    async def start(self, **given: float) -> WorkflowHandle[DnsPropagation, DnsResult]:
        return await self.client.start_workflow(
            DnsPropagation.run,
            DnsInput(address=ADDRESS, vendor_queue=vendors_of(self.queue), **given),
            id=f"{dns_id(ADDRESS)}:{self.queue}",
            task_queue=self.queue,
        )

    async def row(self) -> DnsSetup | None:
        async with self.context.db.read() as session:
            return await setups.find(session, ADDRESS)

    async def ip(self) -> Ip:
        async with self.context.db.read() as session:
            return await ips.get(session, ADDRESS)

    async def kinds(self) -> set[str]:
        async with self.context.db.read() as session:
            return {i.kind for i in await incidents.listing(session, open_only=True, address=ADDRESS)}

    async def until(self, true: Callable[[DnsSetup], bool]) -> DnsSetup:
        return await self.until_of(ADDRESS, true)

    async def until_of(self, address: str, true: Callable[[DnsSetup], bool]) -> DnsSetup:
        limit = time.monotonic() + 20
        while True:
            async with self.context.db.read() as session:
                row = await setups.find(session, address)
            if row is not None and true(row):
                return row
            assert time.monotonic() < limit, row
            await asyncio.sleep(0.05)

    async def enter_by_hand(self) -> None:
        """Publish what the set-up expects, as a person at the registrar would."""
        row = await self.row()
        assert row is not None
        for record in map(Record.model_validate, row.records):
            zone = REVERSE if record.type == "PTR" else DOMAIN
            await self.neighbours.publisher().publish(record.model_copy(update={"key": "x"}), zone, [])


@pytest.fixture
async def stand(neighbours: Neighbours, tmp_path: Path) -> AsyncIterator[Stand]:  # noqa: F811
    db = Database.open(f"sqlite:///{tmp_path}/store.sqlite", synchronous="normal")
    await db.create_all()
    keys = Keyring.parse([new_key()])
    context = Context(settings=Settings(var_dir=tmp_path, dns_record_ttl=2), db=db, secrets=Secrets(db, keys))
    async with db.write() as session:
        row = Ip(address=ADDRESS, vendor="zone", stage=Stage.AWAITING_DNS, domain=DOMAIN, hostname=f"mail.{DOMAIN}")
        await ips.insert(session, row)
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="error", data_converter=converter(keys)
    )
    publisher: list[Publisher] = [ManualPublisher()]
    vendor = ReverseZone(neighbours)
    acts = DnsActivities(context, neighbours.observer(), {"zone": vendor}, lambda domain: publisher[0])
    stand = Stand(
        env.client, context, neighbours, uuid.uuid4().hex, publisher[0], DnsChecks(db, neighbours.observer()), vendor
    )
    stand.use = lambda other: publisher.__setitem__(0, other)  # type: ignore[attr-defined]
    worker = Worker(
        env.client,
        task_queue=stand.queue,
        workflows=[DnsPropagation],
        activities=[acts.prepare, acts.await_records, acts.check, acts.escalate],
        workflow_failure_exception_types=[Exception],
    )
    # The vendor is called from its own queue only.
    vendors = Worker(env.client, task_queue=vendors_of(stand.queue), activities=[acts.set_ptr])
    try:
        async with worker, vendors:
            yield stand
    finally:
        await env.shutdown()
        await db.close()


async def test_records_are_published_and_the_ip_becomes_active(stand: Stand) -> None:
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    handle = await stand.start()
    assert await handle.result() == DnsResult(address=ADDRESS)
    ip, row = await stand.ip(), await stand.row()
    assert ip.stage == Stage.ACTIVE
    assert ip.dns_verified_at is not None
    assert row is not None
    assert {check["name"]: check["ok"] for check in row.checks} == dict.fromkeys(
        ["fcrdns", "helo", "spf", "dkim", "dmarc"], True
    )
    async with stand.context.db.read() as session:
        shared = await setups.domain(session, DOMAIN)
    assert shared is not None
    assert "PRIVATE KEY" in await stand.context.secrets.get(shared.dkim_secret)
    history = await handle.fetch_history()
    scheduled = [e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")]
    names = [e.activity_task_scheduled_event_attributes.activity_type.name for e in scheduled]
    assert sorted(names) == ["dns_await", "dns_prepare", "dns_set_ptr"], "one wait however often it looks"


async def test_a_vendor_that_is_down_for_a_moment_is_asked_again(stand: Stand) -> None:
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    stand.vendor.faults = [VendorError(VendorFault.RETRYABLE, "The vendor does not answer.")]
    handle = await stand.start()
    assert (await handle.result()).verified
    assert stand.vendor.faults == []


async def test_a_vendor_that_does_not_see_the_name_yet_is_asked_until_it_does(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.dns.PTR_SHORTEST", 0.01)
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    stand.vendor.faults = [VendorError(VendorFault.TOO_EARLY, "The name does not resolve.")] * (PUBLISH_ATTEMPTS + 1)
    handle = await stand.start()
    assert (await handle.result()).verified
    assert stand.vendor.faults == []


async def test_a_name_that_the_vendor_never_sees_is_a_persons_after_the_deadline(stand: Stand) -> None:
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    # Twice: the first time may still be before the deadline.
    stand.vendor.faults = [VendorError(VendorFault.TOO_EARLY, "The name does not resolve.") for _ in range(2)]
    handle = await stand.start(deadline_hours=0.00001)
    row = await stand.until(lambda row: "does not resolve" in row.reason)
    assert row.reason == f"PTR 9.{REVERSE}: The name does not resolve."
    await handle.execute_update(DnsPropagation.reverify, Reverify())


async def test_a_vendor_that_refuses_the_ptr_is_shown_and_asked_again_by_reverify(stand: Stand) -> None:
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    stand.vendor.faults = [VendorError(VendorFault.REFUSED, "Ask our support for reverse DNS.")]
    handle = await stand.start()
    row = await stand.until(lambda row: "Ask our support" in row.reason)
    assert row.reason == f"PTR 9.{REVERSE}: Ask our support for reverse DNS."
    assert (await stand.ip()).waiting_on == "registrar"
    assert row.records, "the other records were published all the same"
    await handle.execute_update(DnsPropagation.reverify, Reverify())
    assert (await handle.result()).verified
    assert (await stand.row()).reason == ""  # type: ignore[union-attr]


async def test_a_ptr_that_no_vendor_of_ours_can_set_waits_for_a_person_not_for_time(stand: Stand) -> None:
    async with stand.context.db.write() as session:
        row = await ips.get(session, ADDRESS)
        row.vendor = "inventory"
        session.add(row)
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    handle = await stand.start()
    setup = await stand.until(lambda row: bool(row.records))
    ip = await stand.ip()
    assert setup.reason.startswith(f"PTR 9.{REVERSE}: have it lead to mail.{DOMAIN}, by the IP's vendor, or in")
    assert (ip.waiting_for, ip.waiting_on) == (f"a record to be entered by hand: {setup.reason}", Actor.REGISTRAR)

    await stand.vendor.set_ptr(ADDRESS, f"mail.{DOMAIN}")
    await handle.execute_update(DnsPropagation.reverify, Reverify())
    assert (await handle.result()).verified


async def test_of_two_spf_records_a_person_chooses(stand: Stand) -> None:
    publisher, theirs = stand.neighbours.publisher(), ["v=spf1 mx -all", "v=spf1 a ~all"]
    both = Record(key="x", name=DOMAIN, type="TXT", expected=theirs, zone_hint=DOMAIN)
    await publisher.publish(both, DOMAIN, [])
    stand.use(publisher)  # type: ignore[attr-defined]
    handle = await stand.start()
    row = await stand.until(lambda row: bool(row.records))
    assert row.reason == f"{DOMAIN} has several SPF records; a person must choose what goes."
    assert (await stand.ip()).waiting_on == Actor.REGISTRAR
    observer = stand.neighbours.observer()
    held = await observer.values(DOMAIN, "TXT", await observer.zone(DOMAIN))
    assert set(theirs) < set(held), "neither is taken away, and no third one is added"
    assert sum(value.startswith("v=spf1") for value in held) == 2
    await handle.terminate()


async def test_past_the_deadline_it_escalates_and_one_correct_record_later_goes_on(stand: Stand) -> None:
    handle = await stand.start(deadline_hours=1.5 / 3600)
    row = await stand.until(lambda row: row.state == SetupState.ESCALATED)
    assert "dns_deadline" in await stand.kinds()
    assert (await stand.ip()).waiting_on == "registrar"
    async with stand.context.db.read() as session:
        evidence = await setups.evidence(session, ADDRESS)
    assert all(answer["at"] for look in evidence for view in look.views for answer in view["servers"])
    assert row.checked_at is not None
    await handle.execute_update(DnsPropagation.reverify, Reverify())
    await stand.enter_by_hand()
    await handle.signal(DnsPropagation.records_published)
    assert await handle.result() == DnsResult(address=ADDRESS, escalated=True)
    asked = [one.activity_task_scheduled_event_attributes for one in (await handle.fetch_history()).events]
    assert [one.activity_type.name for one in asked].count("dns_escalate") == 1, "once, however often one looks"
    assert await stand.kinds() == set()


async def test_reverify_answers_after_the_look_and_support_opens_a_case(stand: Stand) -> None:
    handle = await stand.start()
    first = await stand.until(lambda row: row.checked_at is not None)
    assert await handle.execute_update(DnsPropagation.reverify, Reverify()) is False
    second = await stand.row()
    assert second is not None
    assert second.checked_at is not None
    assert first.checked_at is not None
    assert second.checked_at > first.checked_at
    await handle.execute_update(DnsPropagation.contact_support, ContactSupport(message="my registrar is down"))
    assert await stand.kinds() == {"dns_deadline"}


async def test_expected_values_can_be_changed_by_hand(stand: Stand) -> None:
    handle = await stand.start()
    await stand.until(lambda row: bool(row.records))
    await handle.execute_update(
        DnsPropagation.change_records, ChangeRecords(values={"dmarc": ["v=DMARC1; p=quarantine"]})
    )
    row = await stand.row()
    assert row is not None
    assert next(r for r in row.records if r["key"] == "dmarc")["expected"] == ["v=DMARC1; p=quarantine"]
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(DnsPropagation.change_records, ChangeRecords(values={"bimi": ["x"]}))
    assert "no record 'bimi'" in str(refused.value.cause)
    assert (await stand.row()).state == SetupState.WAITING  # type: ignore[union-attr]


class Held:
    """A publisher that waits until the test lets it go on."""

    automatic = True

    def __init__(self) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def publish(self, record: Record, zone: str, present: Sequence[str]) -> int | None:
        self.asked.set()
        await self.go_on.wait()
        return None


async def test_changes_that_come_together_are_all_made(stand: Stand) -> None:
    handle = await stand.start()
    await stand.until(lambda row: bool(row.records))
    held = Held()
    stand.use(held)  # type: ignore[attr-defined]
    dmarc, first, last = "v=DMARC1; p=quarantine", "10 mx.elsewhere.example", "10 mx.other.example"
    given = []
    for key, value in (("mx", first), ("dmarc", dmarc), ("mx", last)):
        wanted = ChangeRecords(values={key: [value]})
        accepted = WorkflowUpdateStage.ACCEPTED
        given.append(await handle.start_update(DnsPropagation.change_records, wanted, wait_for_stage=accepted))
        # The first is being made when the others come.
        await asyncio.wait_for(held.asked.wait(), 20)
    held.go_on.set()
    await asyncio.gather(*(one.result() for one in given))
    row = await stand.row()
    assert row is not None
    made = {record["key"]: record["expected"] for record in row.records}
    assert made["dmarc"] == [dmarc]
    assert made["mx"] == [last]


async def test_a_change_that_comes_as_the_set_up_ends_is_refused_not_forgotten(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Queue[str](), asyncio.Event()

    async def verified(checks: DnsChecks, address: str) -> Outcome:
        await asked.put(address)
        await go_on.wait()
        return Outcome(verified=True)

    monkeypatch.setattr(DnsChecks, "check_now", verified)
    handle = await stand.start()
    await asyncio.wait_for(asked.get(), 20)
    accepted = WorkflowUpdateStage.ACCEPTED
    look = await handle.start_update(DnsPropagation.reverify, Reverify(), wait_for_stage=accepted)
    await asyncio.wait_for(asked.get(), 20)
    wanted = ChangeRecords(values={"dmarc": ["v=DMARC1; p=quarantine"]})
    change = await handle.start_update(DnsPropagation.change_records, wanted, wait_for_stage=accepted)
    go_on.set()
    assert await look.result()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await change.result()
    assert "Give the change again" in str(refused.value.cause)
    assert (await handle.result()).verified


async def test_a_domain_that_does_not_exist_is_refused_and_can_be_corrected(stand: Stand) -> None:
    async with stand.context.db.write() as session:
        row = await ips.get(session, ADDRESS)
        row.domain = "nowhere.example"
        session.add(row)
    handle = await stand.start()
    await stand.until(lambda row: row.state == SetupState.REFUSED)
    assert "nowhere.example does not exist in DNS" in (await stand.ip()).waiting_for
    async with stand.context.db.write() as session:
        row = await ips.get(session, ADDRESS)
        row.domain = DOMAIN
        session.add(row)
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    await handle.execute_update(DnsPropagation.reverify, Reverify())
    assert (await handle.result()).verified


async def test_drift_opens_an_incident_and_its_end_closes_it(stand: Stand) -> None:
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    await (await stand.start()).result()
    row = await stand.row()
    assert row is not None
    spf = next(Record.model_validate(r) for r in row.records if r["key"] == "spf")
    right = list(spf.expected)
    await stand.neighbours.publisher().publish(
        spf.model_copy(update={"key": "x", "expected": ["v=spf1 -all"]}), DOMAIN, right
    )
    first, second = [await stand.checks.check_now(ADDRESS) for _ in range(2)]
    assert [(one.drifted, one.changed) for one in (first, second)] == [(True, True), (True, False)], "told once"
    assert await stand.kinds() == {"dns_drift"}
    await stand.neighbours.publisher().publish(spf.model_copy(update={"key": "x"}), DOMAIN, ["v=spf1 -all"])
    limit = time.monotonic() + 15
    while not (look := await stand.checks.check_now(ADDRESS)).verified:
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)
    assert look.changed
    assert await stand.kinds() == set()
    assert not (await stand.checks.check_now(ADDRESS)).changed
