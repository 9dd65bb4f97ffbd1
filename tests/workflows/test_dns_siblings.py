"""Several IPs of one domain share its records, and agree on them."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from domain.dns import ChangeRecords, DnsInput, DnsResult, Record, SetupState
from domain.dns_options import DnsOptions, MtaSts
from domain.words import Stage
from providers.dns.manual import ManualPublisher
from store import dns as setups
from store import ips
from store.tables.dns import DnsSetup
from store.tables.ips import Ip
from store.tables.purchase import Order
from tests.providers.dns_neighbours import ADDRESS, DOMAIN, neighbours  # noqa: F401 - the fixture
from tests.workflows.test_dns import Stand, stand  # noqa: F401 - the fixture
from workflows.dns import DnsPropagation
from workflows.ids import dns_id

SECOND = "203.0.113.10"


async def begin(stand: Stand, address: str, *, reopened: bool = False) -> WorkflowHandle[DnsPropagation, DnsResult]:  # noqa: F811
    return await stand.client.start_workflow(
        DnsPropagation.run,
        DnsInput(address=address, reopened=reopened),
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
