"""What a crossed line does to an IP, and what its recovery does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.context import Context
from activities.lifecycle import GiveBack, LifecycleActivities, StageReached, Trouble
from domain.refusals import NotFound
from domain.words import Actor, MailboxProvider, Severity, Stage
from providers.ip_vendors.port import VendorError
from providers.ip_vendors.sandbox import SandboxVendor
from sandbox import vendor as vendor_program
from store import incidents, ips, leases, ledger, risk
from store import purchase as orders
from store.database import Database
from store.tables.ips import Ip
from tests.neighbourhood import serving

IP, HOUR_MS = "203.0.113.10", 3_600_000


async def test_one_trouble_is_one_incident_and_recovery_lets_no_mail_go(context: Context, db: Database) -> None:
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.WARMING))
        await ledger.set_window(session, IP, 1, HOUR_MS, 100, {MailboxProvider.GMAIL: 100}, 100)
    bound = LifecycleActivities(context)
    async with db.write() as session:
        await risk.see(session, IP, risk.SWEEP, Severity.CRITICAL, "Listed by zen.")
    for told in ("Listed, says a monitor.", "Listed, says another."):
        await bound.trouble(Trouble(address=IP, reason=told, source="generic"))
    async with db.read() as session:
        (opened,) = await incidents.listing(session, address=IP)
        ip, window = await ips.get(session, IP), await ledger.window(session, IP, 2)
    assert (opened.kind, opened.severity, opened.title) == ("at_risk", "critical", "Listed by zen.")
    assert opened.causes["mail"]["reason"] == "Listed, says another."
    assert (ip.stage, ip.stage_before) == (Stage.AT_RISK, Stage.WARMING)
    assert window is not None
    assert window.paused

    async with db.write() as session:
        assert not await risk.over(session, IP, risk.SWEEP, "No line is crossed any more.")
    async with db.read() as session:
        (lasting,) = await incidents.listing(session, open_only=True, address=IP)
        ip, window = await ips.get(session, IP), await ledger.window(session, IP, 2)
    assert lasting.title == "Listed, says another."
    assert ip.stage == Stage.AT_RISK
    assert window is not None
    assert window.paused, "only a person lets mail go again"

    async with db.write() as session:
        assert await risk.over(session, IP, risk.MAIL, "An operator let mail go again.")
    async with db.read() as session:
        (closed,) = await incidents.listing(session, address=IP)
        ip = await ips.get(session, IP)
    assert (closed.id, closed.closed_why) == (opened.id, "An operator let mail go again.")
    assert closed.updated_at >= closed.opened_at
    assert ip.stage == Stage.WARMING


async def test_a_line_that_is_not_critical_puts_an_ip_at_risk_and_its_mail_goes_on(db: Database) -> None:
    noon = 20_000 * 24 * HOUR_MS + 12 * HOUR_MS
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.FULL_CAPACITY, safe_limit=30))
        await risk.see(session, IP, risk.SWEEP, Severity.WARNING, "More than 0.2 % complaints.")
    async with db.write() as session:
        lease = await leases.lease(session, provider=MailboxProvider.GMAIL, count=50, at_ms=noon, ip=IP)
        assert (await ips.get(session, IP)).stage == Stage.AT_RISK
    assert lease.deferred == 20, "its safe limit, no less"
    async with db.write() as session:
        await risk.reach(session, IP, Stage.WARMING, waiting_for="Day 2, cap 50", waiting_on=Actor.TIME)
        assert (await ips.get(session, IP)).stage == Stage.AT_RISK, "a new day does not end the trouble"
        assert await risk.over(session, IP, risk.SWEEP, "No line is crossed any more.")
        assert (await ips.get(session, IP)).stage == Stage.WARMING


async def test_an_ip_that_is_not_in_service_keeps_its_stage(db: Database) -> None:
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.AWAITING_DNS))
        await risk.see(session, IP, risk.SWEEP, Severity.CRITICAL, "Listed by zen.")
        assert (await ips.get(session, IP)).stage == Stage.AWAITING_DNS
        assert await risk.over(session, IP, risk.SWEEP, "Clean.")
        assert (await ips.get(session, IP)).stage == Stage.AWAITING_DNS


@pytest.fixture
async def vendor(tmp_path: Path) -> AsyncIterator[SandboxVendor]:
    """The sandbox's vendor over HTTP, which sold one address to an order."""
    async with serving(vendor_program.create(vendor_program.Vendor(tmp_path / "vendor.json"))) as url:
        yield SandboxVendor(url)


BOUGHT, ORDER = "198.51.100.60", "order-1"
BACK = (
    f"{BOUGHT} is retired and given back to sandbox. Its records stay: take ip4:{BOUGHT} out of the SPF record (TXT) "
    f"of shop.test, and delete the A record of mail.shop.test that says {BOUGHT}."
)


async def bought(db: Database, vendor: SandboxVendor) -> None:
    await vendor.reserve(BOUGHT, ORDER)
    await vendor.provision(BOUGHT, ORDER)
    async with db.write() as session:
        await orders.reserve(session, db.dialect, BOUGHT, ORDER)
        ip = Ip(address=BOUGHT, vendor="sandbox", order_id=ORDER, stage=Stage.FULL_CAPACITY)
        ip.domain, ip.hostname = "shop.test", "mail.shop.test"
        await ips.insert(session, ip)
        await ips.set_stage(session, BOUGHT, Stage.RETIRED)


async def test_retirement_stops_the_mail_and_forgets_the_login(context: Context, db: Database) -> None:
    async with db.write() as session:
        ref = context.secrets.add(session, "smtp", "pässword")
        await ips.insert(session, Ip(address=IP, stage=Stage.FULL_CAPACITY, smtp_secret=ref))
        await ledger.set_window(session, IP, 1, HOUR_MS, 100, {MailboxProvider.GMAIL: 100}, 100)
    await LifecycleActivities(context).reach(StageReached(address=IP, stage=Stage.RETIRED))
    async with db.read() as session:
        window = await ledger.window(session, IP, 2)
    assert window is not None
    assert window.paused
    with pytest.raises(NotFound):
        await context.secrets.get(ref)


async def test_a_retired_ip_goes_back_to_its_vendor_and_can_be_bought_again(
    context: Context, db: Database, vendor: SandboxVendor
) -> None:
    await bought(db, vendor)
    bound = LifecycleActivities(context, {"sandbox": vendor})
    async with db.read() as session:
        assert await orders.in_use(session, [BOUGHT], "order-2") == {BOUGHT}
    said = {await bound.give_back(GiveBack(address=BOUGHT)) for _ in range(2)}
    assert said == {BACK}
    await vendor.reserve(BOUGHT, "order-2")
    async with db.write() as session:
        assert await orders.in_use(session, [BOUGHT], "order-2") == set()
        await orders.reserve(session, db.dialect, BOUGHT, "order-2")
        assert await ips.insert(session, Ip(address=BOUGHT, order_id="order-2", stage=Stage.AWAITING_DNS))
    # A give-back that is repeated late takes nothing from the new owner.
    async with db.read() as session:
        row = await ips.get(session, BOUGHT)
        notes = [step.note for step in await ips.steps(session, BOUGHT)]
    assert (row.stage, row.disposal, row.order_id) == (Stage.AWAITING_DNS, "", "order-2")
    assert notes.count(BACK) == 1


async def test_a_retired_ip_that_is_kept_stays_ours(context: Context, db: Database, vendor: SandboxVendor) -> None:
    await bought(db, vendor)
    said = await LifecycleActivities(context, {"sandbox": vendor}).give_back(GiveBack(address=BOUGHT, keep=True))
    assert "kept: sandbox goes on charging" in said
    with pytest.raises(VendorError, match="taken"):
        await vendor.reserve(BOUGHT, "order-2")
    async with db.read() as session:
        assert await orders.in_use(session, [BOUGHT], "order-2") == {BOUGHT}


async def test_an_imported_ip_is_given_back_to_nobody(context: Context, db: Database, vendor: SandboxVendor) -> None:
    await bought(db, vendor)
    async with db.write() as session:
        (await ips.get(session, BOUGHT)).order_id = None
    said = await LifecycleActivities(context, {"sandbox": vendor}).give_back(GiveBack(address=BOUGHT))
    assert "imported, not bought here" in said
    with pytest.raises(VendorError, match="taken"):
        await vendor.reserve(BOUGHT, "order-2")


async def test_a_vendor_that_refuses_a_return_calls_a_person(
    context: Context, db: Database, vendor: SandboxVendor
) -> None:
    await bought(db, vendor)
    said = await LifecycleActivities(context, {}).give_back(GiveBack(address=BOUGHT))
    assert "did not take it back: this installation no longer buys there" in said
    async with db.read() as session:
        (opened,) = await incidents.listing(session, open_only=True, address=BOUGHT)
        row = await ips.get(session, BOUGHT)
        assert await orders.in_use(session, [BOUGHT], "order-2") == {BOUGHT}
    assert (opened.kind, opened.detail) == ("retirement", said)
    assert (row.waiting_for, row.waiting_on) == (said, "operator")


async def test_what_ends_late_does_not_bring_a_retired_ip_back(context: Context, db: Database) -> None:
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.RETIRED))
        row = await ips.set_stage(session, IP, Stage.AWAITING_DNS, waiting_for="DNS to spread")
    assert (row.stage, row.waiting_for) == (Stage.RETIRED, "")
