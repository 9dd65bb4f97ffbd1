"""Route 53, against moto's server over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from domain import dns as rules
from providers.dns.port import PublishFailed
from providers.dns.route53 import Route53Publisher
from settings import Settings

WISH = rules.Wish(
    address="203.0.113.9",
    hostname="mail.shop.test",
    domain="shop.test",
    dkim_record="v=DKIM1; p=" + "A" * 392,
)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Route53Publisher]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        boto3.client("route53", region_name="us-east-1", endpoint_url=url).create_hosted_zone(
            Name="shop.test", CallerReference="1"
        )
        yield Route53Publisher.from_settings(Settings(aws_endpoint_url=url))
    finally:
        server.stop()


def held(publisher: Route53Publisher, name: str, rdtype: str) -> list[str]:
    client = publisher._client
    zone = client.list_hosted_zones()["HostedZones"][0]["Id"]
    sets = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return [v["Value"] for s in sets if (s["Name"], s["Type"]) == (f"{name}.", rdtype) for v in s["ResourceRecords"]]


async def test_the_set_is_published_and_repeating_changes_nothing(publisher: Route53Publisher) -> None:
    for _ in range(2):
        for record in rules.render(WISH, rules.Existing()):
            if record.type != "PTR":
                await publisher.publish(record, "shop.test", [])
    assert held(publisher, "mail.shop.test", "A") == ["203.0.113.9"]
    assert held(publisher, "shop.test", "MX") == ["10 mail.shop.test."]
    (key,) = held(publisher, "warmpath._domainkey.shop.test", "TXT")
    assert key.count('" "') == 1, "a value over 255 bytes is cut into strings"


async def test_somebody_elses_txt_stays_when_spf_changes(publisher: Route53Publisher) -> None:
    spf = next(r for r in rules.render(WISH, rules.Existing()) if r.key == "spf")
    other = spf.model_copy(update={"key": "x", "expected": ["site-verification=1"]})
    await publisher.publish(other, "shop.test", [])
    await publisher.publish(spf, "shop.test", [])
    await publisher.publish(spf.model_copy(update={"expected": ["v=spf1 mx -all"]}), "shop.test", spf.expected)
    assert sorted(held(publisher, "shop.test", "TXT")) == ['"site-verification=1"', '"v=spf1 mx -all"']


async def test_a_zone_that_is_not_there_is_a_clear_failure(publisher: Route53Publisher) -> None:
    record = rules.render(WISH, rules.Existing())[0]
    with pytest.raises(PublishFailed, match="no public hosted zone other.test"):
        await publisher.publish(record, "other.test", [])


async def test_an_spf_record_that_nobody_answers_yet_is_never_lost(publisher: Route53Publisher) -> None:
    """It was rendered from what the name servers say; Route 53 itself may know more."""
    zone = publisher._client.create_hosted_zone(Name="spf.test", CallerReference="2")["HostedZone"]["Id"]

    def texts() -> list[str]:
        sets = publisher._client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return [v["Value"] for s in sets if s["Type"] == "TXT" for v in s["ResourceRecords"]]

    def record(text: str) -> rules.Record:
        return rules.Record(key="spf", name="spf.test", type="TXT", expected=[text], zone_hint="spf.test")

    await publisher.publish(record("v=spf1 include:mail.other.test -all"), "spf.test", [])
    with pytest.raises(PublishFailed, match="Route 53 holds 'v=spf1 include:mail.other.test -all' at spf.test"):
        await publisher.publish(record("v=spf1 ip4:203.0.113.9 ~all"), "spf.test", [])
    assert texts() == ['"v=spf1 include:mail.other.test -all"']
    both = "v=spf1 ip4:203.0.113.9 include:mail.other.test -all"
    await publisher.publish(record(both), "spf.test", [])
    assert texts() == [f'"{both}"']
