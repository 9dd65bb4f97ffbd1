"""Elastic IPs: against moto's server where it has the call, botocore's Stubber where it has not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from decimal import Decimal

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer

from providers import aws
from providers.ip_vendors.aws import AwsVendor
from providers.ip_vendors.port import VendorError, VendorFault
from workflows.options import VENDOR


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsVendor]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield AwsVendor("us-east-1", f"http://{host}:{port}")
    server.stop()


async def test_an_offer_is_repeatable_and_a_release_frees_only_the_own_order(vendor: AwsVendor) -> None:
    first = await vendor.offer("dedicated", "us-east-1", 2, "order-1")
    again = await vendor.offer("dedicated", "us-east-1", 2, "order-1")
    assert {one.address for one in first} == {one.address for one in again}
    address = first[0].address

    with pytest.raises(VendorError) as refused:
        await vendor.reserve(address, "order-2")
    assert refused.value.kind is VendorFault.TAKEN

    await vendor.reserve(address, "order-1")
    assert (await vendor.provision(address, "order-1")).startswith("eipalloc-")
    await vendor.release(address, "order-2")
    assert await vendor.provision(address, "order-1")
    await vendor.release(address, "order-1")
    await vendor.release(address, "order-1")
    with pytest.raises(VendorError):
        await vendor.provision(address, "order-1")


async def test_what_an_order_did_not_buy_is_released(vendor: AwsVendor) -> None:
    offers = await vendor.offer("dedicated", "us-east-1", 3, "order-3")
    kept = offers[0].address
    await vendor.abandon("order-3", [kept])
    assert [one.address for one in await vendor.offer("dedicated", "us-east-1", 1, "order-3")] == [kept]


async def test_a_refused_address_is_held_until_another_one_is_there_and_then_released(vendor: AwsVendor) -> None:
    first, second = [one.address for one in await vendor.offer("dedicated", "us-east-1", 2, "order-6")]
    again = [one.address for one in await vendor.offer("dedicated", "us-east-1", 2, "order-6", {first})]
    assert len(again) == 2
    assert first not in again
    assert second in again
    with pytest.raises(VendorError):
        await vendor.provision(first, "order-6")
    # The answer was lost, and the look is repeated: nothing more is allocated.
    assert again == [one.address for one in await vendor.offer("dedicated", "us-east-1", 2, "order-6", {first})]


async def test_an_account_at_its_limit_lets_a_refused_address_go_first() -> None:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    stubber = Stubber(client)
    listed, other = [{"PublicIp": f"203.0.113.{one}", "AllocationId": f"eipalloc-{one}"} for one in (9, 10)]
    stubber.add_response("describe_addresses", {"Addresses": [listed]})
    stubber.add_client_error("allocate_address", "AddressLimitExceeded", http_status_code=400)
    stubber.add_response("release_address", {}, {"AllocationId": "eipalloc-9"})
    stubber.add_response("allocate_address", other)
    stubber.add_response("describe_addresses", {"Addresses": [other]})
    with stubber:
        offers = await AwsVendor("us-east-1", client=client).offer("dedicated", "us-east-1", 1, "o", {"203.0.113.9"})
    stubber.assert_no_pending_responses()
    assert [one.address for one in offers] == ["203.0.113.10"]


def stubbed(monkeypatch: pytest.MonkeyPatch) -> tuple[AwsVendor, Stubber]:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    stubber = Stubber(client)
    found = {"Addresses": [{"PublicIp": "203.0.113.9", "AllocationId": "eipalloc-1"}]}
    filters = [{"Name": "public-ip", "Values": ["203.0.113.9"]}]
    stubber.add_response("describe_addresses", found, {"Filters": filters})
    return AwsVendor("us-east-1", client=client), stubber


async def test_ptr_is_set_by_address_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor, stubber = stubbed(monkeypatch)
    stubber.add_response(
        "modify_address_attribute", {}, {"AllocationId": "eipalloc-1", "DomainName": "mail.example.com"}
    )
    with stubber:
        await vendor.set_ptr("203.0.113.9", "mail.example.com.")
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("InvalidParameterValue", 400, VendorFault.TOO_EARLY),
        ("UnauthorizedOperation", 403, VendorFault.REFUSED),
        ("InternalError", 500, VendorFault.RETRYABLE),
    ],
)
async def test_a_ptr_whose_name_is_not_seen_yet_may_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int, kind: VendorFault
) -> None:
    vendor, stubber = stubbed(monkeypatch)
    stubber.add_client_error("modify_address_attribute", code, http_status_code=status)
    with stubber, pytest.raises(VendorError) as refused:
        await vendor.set_ptr("203.0.113.9", "mail.example.com")
    assert refused.value.kind is kind


async def test_an_answer_that_cannot_be_read_is_said_without_it(vendor: AwsVendor) -> None:
    """Of a proxy in between, for instance; moto's own page for a call that it has not is such an answer."""
    (offer,) = await vendor.offer("dedicated", "us-east-1", 1, "order-5")
    with pytest.raises(VendorError) as refused:
        await vendor.set_ptr(offer.address, "mail.example.com")
    assert refused.value.kind is VendorFault.RETRYABLE
    assert refused.value.detail == "EC2 answers nothing that can be read."


async def test_ptr_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor, stubber = stubbed(monkeypatch)
    stubber.add_response(
        "describe_addresses_attribute",
        {"Addresses": [{"PublicIp": "203.0.113.9", "PtrRecord": "mail.example.com."}]},
        {"AllocationIds": ["eipalloc-1"], "Attribute": "domain-name"},
    )
    with stubber:
        assert await vendor.get_ptr("203.0.113.9") == "mail.example.com"


async def test_a_full_account_is_out_of_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    stubber = Stubber(client)
    stubber.add_response("describe_addresses", {"Addresses": []})
    stubber.add_client_error("allocate_address", "AddressLimitExceeded", http_status_code=400)
    with stubber, pytest.raises(VendorError) as refused:
        await AwsVendor("us-east-1", client=client).offer("dedicated", "us-east-1", 1, "o")
    assert refused.value.kind is VendorFault.OUT_OF_STOCK


async def test_an_address_with_a_ptr_loses_it_before_it_is_released() -> None:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    stubber = Stubber(client)
    held = {"Addresses": [{"PublicIp": "203.0.113.9", "AllocationId": "eipalloc-1"}]}
    filters = {"Filters": [{"Name": "tag:warmpath-order", "Values": ["o1"]}]}
    release = {"AllocationId": "eipalloc-1"}
    stubber.add_response("describe_addresses", held, filters)
    stubber.add_client_error("release_address", "InvalidAddress.Locked", http_status_code=400, expected_params=release)
    stubber.add_response("reset_address_attribute", {}, {**release, "Attribute": "domain-name"})
    stubber.add_response("describe_addresses", held, filters)
    stubber.add_response("release_address", {}, release)
    vendor = AwsVendor("us-east-1", client=client)
    with stubber:
        with pytest.raises(VendorError) as refused:
            await vendor.release("203.0.113.9", "o1")
        assert refused.value.kind is VendorFault.RETRYABLE, "the caller comes back"
        await vendor.release("203.0.113.9", "o1")
    stubber.assert_no_pending_responses()


async def test_an_offer_costs_what_the_settings_say(vendor: AwsVendor) -> None:
    vendor._monthly = Decimal("4.10")
    (offer,) = await vendor.offer("dedicated", "us-east-1", 1, "order-4")
    assert offer.monthly == Decimal("4.10")


async def test_a_silent_ec2_is_given_up_before_the_activity_is(monkeypatch: pytest.MonkeyPatch) -> None:
    most = VENDOR["start_to_close_timeout"].total_seconds()
    real = aws.PATIENCE
    assert real.retries["total_max_attempts"] * (real.connect_timeout + real.read_timeout) < most
    monkeypatch.setattr(aws, "PATIENCE", real.merge(Config(read_timeout=0.1)))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        vendor = AwsVendor("us-east-1", f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with asyncio.timeout(most):
            with pytest.raises(VendorError, match="EC2 does not answer") as refused:
                await vendor.reserve("203.0.113.9", "o")
    assert refused.value.kind is VendorFault.RETRYABLE
