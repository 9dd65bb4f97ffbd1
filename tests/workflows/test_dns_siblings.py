"""Several IPs of one domain share its records, and agree on them."""

from __future__ import annotations

import asyncio
import time

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from activities.dns_checks import details
from activities.lifecycle import LifecycleActivities, StageReached
from domain.dns import ChangeRecords, DnsInput, DnsResult, Record, SetupState
from domain.dns_options import DnsOptions, MtaSts
from domain.words import Severity, Stage
from providers.dns.manual import ManualPublisher
from store import attention, incidents, ips
from store import dns as setups
from store.tables.dns import DnsSetup
from store.tables.ips import Ip
from store.tables.purchase import Order
from tests.providers.dns_neighbours import ADDRESS, DOMAIN, neighbours  # noqa: F401 - the fixture
from tests.workflows.test_dns import Stand, stand, vendors_of  # noqa: F401 - the fixture
from workflows.dns import DnsPropagation
from workflows.ids import dns_id

SECOND = "203.0.113.10"


async def begin(stand: Stand, address: str, *, reopened: bool = False) -> WorkflowHandle[DnsPropagation, DnsResult]:  # noqa: F811
    return await stand.client.start_workflow(
        DnsPropagation.run,
        DnsInput(address=address, reopened=reopened, vendor_queue=vendors_of(stand.queue)),
        id=f"{dns_id(address)}:{stand.queue}",
        task_queue=stand.queue,
    )


async def add_second(stand: Stand) -> None:  # noqa: F811
    async with stand.context.db.write() as session:
        row = Ip(
            address=SECOND,
            vendor="zone",
            stage=Stage.AWAITING_DNS,
            domain=DOMAIN.upper(),
            hostname=f"mail-2.{DOMAIN}",
            disposal="",
        )
        await ips.insert(session, row)


async def row_of(stand: Stand, address: str) -> DnsSetup:  # noqa: F811
    async with stand.context.db.read() as session:
        return await setups.get(session, address)


async def expected(stand: Stand, address: str) -> dict[str, Record]:  # noqa: F811
    return {r["key"]: Record.model_validate(r) for r in (await row_of(stand, address)).records}


async def test_siblings_share_one_key_one_spf_and_one_policy(stand: Stand) -> None:  # noqa: F811
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    await add_second(stand)
    both = [await begin(stand, ADDRESS), await begin(stand, SECOND)]
    for handle in both:
        assert (await handle.result()).verified
    one, two = await expected(stand, ADDRESS), await expected(stand, SECOND)
    for key in ("mx", "spf", "dkim", "dmarc"):
        assert (one[key].name, one[key].expected) == (two[key].name, two[key].expected), key
    assert {"ip4:203.0.113.9", "ip4:203.0.113.10"} <= set(one["spf"].expected[0].split())
    assert (one["a"].expected, two["a"].expected) == ([ADDRESS], [SECOND])
    for address in (ADDRESS, SECOND):
        assert (await stand.checks.check_now(address)).verified
    assert await stand.kinds() == set()


async def test_a_dmarc_override_at_one_ip_is_no_drift_at_the_other(stand: Stand) -> None:  # noqa: F811
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    assert (await (await begin(stand, ADDRESS)).result()).verified
    await add_second(stand)
    stand.use(ManualPublisher())  # type: ignore[attr-defined]
    handle = await begin(stand, SECOND)
    await stand.until_of(SECOND, lambda row: row.checked_at is not None)
    assert (await stand.checks.check_now(ADDRESS)).verified, "the second IP's SPF term is no fault of the first"

    strict = "v=DMARC1; p=reject"
    await handle.execute_update(DnsPropagation.change_records, ChangeRecords(values={"dmarc": [strict]}))
    assert (await expected(stand, ADDRESS))["dmarc"].expected == [strict], "one domain, one policy"
    look = await stand.checks.check_now(ADDRESS)
    assert (look.verified, look.drifted) == (True, False), "a change on its way is no drift"

    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    await handle.execute_update(DnsPropagation.change_records, ChangeRecords(values={"dmarc": [strict]}))
    assert (await handle.result()).verified
    assert (await stand.checks.check_now(ADDRESS)).verified
    record = (await expected(stand, ADDRESS))["dmarc"]
    assert record.previous == [], "once the new policy was seen, the old one is drift"
    old = record.model_copy(update={"expected": ["v=DMARC1; p=none"]})
    await stand.neighbours.publisher().publish(old, DOMAIN, [strict])
    assert (await stand.checks.check_now(ADDRESS)).drifted


async def test_a_verified_set_up_opens_again_for_a_change_and_keeps_its_stage(stand: Stand) -> None:  # noqa: F811
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    assert (await (await begin(stand, ADDRESS)).result()).verified
    async with stand.context.db.write() as session:
        await ips.set_stage(session, ADDRESS, Stage.WARMING)
    again = await begin(stand, ADDRESS, reopened=True)
    wish = ChangeRecords(options=DnsOptions(tls_rpt=["tls@shop.test"], mta_sts=MtaSts()))
    await again.execute_update(DnsPropagation.change_records, wish)
    assert (await again.result()).verified
    records = await expected(stand, ADDRESS)
    assert records["tls_rpt"].expected == ["v=TLSRPTv1; rua=mailto:tls@shop.test"]
    assert records["mta_sts"].expected[0].startswith("v=STSv1; id=")
    assert (await stand.ip()).stage == Stage.WARMING
    row = await row_of(stand, ADDRESS)
    assert row.state == SetupState.VERIFIED
    (hosted,) = [check for check in row.checks if check["name"] == "mta_sts"]
    assert (hosted["ok"], hosted["blocking"]) == (False, False)
    assert "mta-sts.shop.test has no address" in hosted["detail"]
    assert "https://mta-sts.shop.test/.well-known/mta-sts.txt" in hosted["fix"]


async def test_a_refused_change_of_a_verified_set_up_changes_nothing(stand: Stand) -> None:  # noqa: F811
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    assert (await (await begin(stand, ADDRESS)).result()).verified
    before = await row_of(stand, ADDRESS)
    again = await begin(stand, ADDRESS, reopened=True)
    many = "v=spf1 " + " ".join(f"include:i{n}.shop.test" for n in range(11)) + " ~all"
    long = ChangeRecords(values={"spf": [many]})
    chain = "v=spf1 ~all"
    for n in range(11):
        record = before.records[0] | {"key": "x", "type": "TXT", "name": f"i{n}.{DOMAIN}", "expected": [chain]}
        await stand.neighbours.publisher().publish(Record.model_validate(record), DOMAIN, [])
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await again.execute_update(DnsPropagation.change_records, long)
    assert "receivers stop at 10" in str(refused.value.cause)
    await again.result()
    after = await row_of(stand, ADDRESS)
    assert (after.state, after.records) == (SetupState.VERIFIED, before.records)


async def test_a_broken_record_of_the_domain_is_one_incident_of_all_its_ips(stand: Stand) -> None:  # noqa: F811
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    await add_second(stand)
    for handle in [await begin(stand, ADDRESS), await begin(stand, SECOND)]:
        assert (await handle.result()).verified
    records = await expected(stand, ADDRESS)
    policy, own = records["dmarc"], records["a"]
    broken = policy.model_copy(update={"expected": ["v=DMARC1; p=reject"]})
    await stand.neighbours.publisher().publish(broken, DOMAIN, policy.expected)
    for address in (ADDRESS, SECOND):
        assert (await stand.checks.check_now(address)).drifted
    assert await opened(stand) == [("dns_drift", DOMAIN, {ADDRESS, SECOND})]
    async with stand.context.db.read() as session:
        (about,) = await incidents.listing(session, open_only=True, address=SECOND)
        (item,) = [one for one in (await attention.page(session))[0] if one.severity is Severity.WARNING]
    assert about.title == f"DNS of {DOMAIN} changed"
    assert (item.page, item.ip in (ADDRESS, SECOND)) == ("DNS Configuration", True)

    # What is an IP's own stays its own.
    elsewhere = own.model_copy(update={"key": "x", "expected": ["203.0.113.99"]})
    await stand.neighbours.publisher().publish(elsewhere, DOMAIN, own.expected)
    assert (await stand.checks.check_now(ADDRESS)).drifted
    assert await opened(stand) == [("dns_drift", ADDRESS, {"dns_drift"}), ("dns_drift", DOMAIN, {ADDRESS, SECOND})]

    # Whoever is retired sees nothing any more; the last who sees it right ends it.
    end = StageReached(address=ADDRESS, stage=Stage.RETIRED)
    await LifecycleActivities(stand.context).reach(end)
    assert await opened(stand) == [("dns_drift", DOMAIN, {SECOND})]
    await stand.neighbours.publisher().publish(policy, DOMAIN, broken.expected)
    await stand.checks.check_now(SECOND)
    limit = time.monotonic() + 20
    while not (await stand.checks.check_now(SECOND)).verified:
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)
    assert await opened(stand) == []


async def test_a_deadline_that_the_domain_alone_misses_is_one_case(stand: Stand) -> None:  # noqa: F811
    stand.use(ManualPublisher())  # type: ignore[attr-defined]
    await add_second(stand)
    for address in (ADDRESS, SECOND):
        await begin(stand, address)
        await stand.until_of(address, lambda row: row.checked_at is not None)
    for address in (ADDRESS, SECOND):
        await stand.checks.hand_over(address, "", past_deadline=True)
    found = {address: causes for _, address, causes in await opened(stand)}
    assert found == {ADDRESS: {"dns_deadline"}, SECOND: {"dns_deadline"}, DOMAIN: {ADDRESS, SECOND}}, "own A records"

    for address in (ADDRESS, SECOND):
        record = (await expected(stand, address))["a"]
        await stand.neighbours.publisher().publish(record, DOMAIN, [])
        await own_is_right(stand, address)
        async with stand.context.db.write() as session:
            await incidents.close_incident(session, "dns_deadline", address, "this test")
    async with stand.context.db.write() as session:
        await incidents.close_incident(session, "dns_deadline", DOMAIN, "this test")
    for address, message in ((ADDRESS, "our registrar is down"), (SECOND, "still down"), (SECOND, "still down")):
        await stand.checks.hand_over(address, message, past_deadline=False)
    assert await opened(stand) == [("dns_deadline", DOMAIN, {ADDRESS, SECOND})]
    async with stand.context.db.read() as session:
        (case,) = await incidents.listing(session, open_only=True)
    assert [line for line in case.detail.splitlines() if line.startswith("> ")] == [
        "> our registrar is down", "> still down",
    ]  # fmt: skip


async def own_is_right(stand: Stand, address: str) -> None:  # noqa: F811
    """Look until what is wrong is the domain's alone: a secondary and the PTR come a moment later."""
    async with asyncio.timeout(20):
        while details(await row_of(stand, address)).own:
            await stand.checks.check_now(address)
            await asyncio.sleep(0.1)


async def opened(stand: Stand) -> list[tuple[str, str, set[str]]]:  # noqa: F811
    """Open incidents: kind, address, who holds them; by address."""
    async with stand.context.db.read() as session:
        rows = await incidents.listing(session, open_only=True)
    return sorted((row.kind, row.address, set(row.causes)) for row in rows)


async def test_what_an_order_asked_for_is_in_the_record_set(stand: Stand) -> None:  # noqa: F811
    stand.use(stand.neighbours.publisher())  # type: ignore[attr-defined]
    wishes = DnsOptions(tls_rpt=["mailto:tls@shop.test"])
    async with stand.context.db.write() as session:
        order = Order(
            id="ord_1", vendor="zone", region="", domain=DOMAIN, hostname="", dns=wishes.model_dump(mode="json")
        )
        session.add(order)
        row = await ips.get(session, ADDRESS)
        row.order_id = "ord_1"
        session.add(row)
    assert (await (await begin(stand, ADDRESS)).result()).verified
    record = (await expected(stand, ADDRESS))["tls_rpt"]
    assert (record.expected, record.required) == (["v=TLSRPTv1; rua=mailto:tls@shop.test"], False)
