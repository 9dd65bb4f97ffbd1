"""Amazon Route 53."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from domain import spf
from domain.dns import Record, zone_value
from domain.dns_findings import relevant
from providers import aws
from providers.dns.port import PublishFailed
from settings import Settings

if TYPE_CHECKING:
    from types_boto3_route53 import Route53Client


class Route53Publisher:
    """Changes record sets of hosted zones, each one unit there: others' values are written back."""

    automatic = True

    def __init__(self, client: Route53Client) -> None:
        self._client = client

    @classmethod
    def from_settings(cls, settings: Settings) -> Route53Publisher:
        """The publisher for the region and endpoint of the settings; credentials by AWS's own chain."""
        return cls(
            boto3.client(
                "route53",
                region_name=settings.aws_region,
                endpoint_url=settings.aws_endpoint_url,
                config=aws.PATIENCE,
            )
        )

    async def publish(self, record: Record, zone: str, present: Sequence[str]) -> int | None:
        """Upsert the set of values; see :class:`providers.dns.port.Publisher`.

        What others have at the name is read from Route 53 itself, not from ``present``, which may be older. An SPF
        record there that the name servers do not show is replaced only by one that holds all of it.
        """
        try:
            await asyncio.to_thread(self._upsert, record, zone, present)
        except (ClientError, BotoCoreError) as error:
            raise PublishFailed(f"Route 53 did not take {record.type} {record.name}: {error}") from error
        return None

    def _upsert(self, record: Record, zone: str, present: Sequence[str]) -> None:
        zone_id = self._zone_id(zone)
        current = self._current(zone_id, record)
        held = [item["Value"] for item in (current or {}).get("ResourceRecords", [])]
        own = {_unquoted(record, value) for value in held}
        own = set() if record.type == "MX" else set(relevant(record, sorted(own)))
        if record.key == "spf":
            for unseen in own - set(present):
                if not spf.holds(unseen, record.expected[0]):
                    raise PublishFailed(
                        f"Route 53 holds {unseen!r} at {record.name}, which its name servers do not answer: a change "
                        "is on its way, or the zone is not the one that the registrar delegates to."
                    )
        kept = [value for value in held if _unquoted(record, value) not in own]
        values = kept + [v for v in (zone_value(record, e) for e in record.expected) if v not in kept]
        if sorted(values) == sorted(held):
            return
        # A race with another writer must not lose its value: delete exactly what was read, then create.
        changes: list[Any] = [{"Action": "DELETE", "ResourceRecordSet": current}] if current else []
        changes.append(
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": f"{record.name}.",
                    "Type": record.type,
                    "TTL": record.ttl,
                    "ResourceRecords": [{"Value": value} for value in values],
                },
            }
        )
        self._client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})

    def _zone_id(self, zone: str) -> str:
        found = self._client.list_hosted_zones_by_name(DNSName=f"{zone}.", MaxItems="10")["HostedZones"]
        for item in found:
            if item["Name"] == f"{zone}." and not item.get("Config", {}).get("PrivateZone"):
                return item["Id"]
        raise PublishFailed(f"Route 53 has no public hosted zone {zone}; create it or publish by hand.")

    def _current(self, zone_id: str, record: Record) -> dict[str, Any] | None:
        answer = self._client.list_resource_record_sets(
            HostedZoneId=zone_id,
            StartRecordName=f"{record.name}.",
            StartRecordType=record.type,  # type: ignore[arg-type]
            MaxItems="1",
        )
        for item in answer["ResourceRecordSets"]:
            if item["Name"] == f"{record.name}." and item["Type"] == record.type:
                return dict(item)
        return None


def _unquoted(record: Record, value: str) -> str:
    if record.type != "TXT":
        return value
    return value.strip('"').replace('" "', "").replace('\\"', '"').replace("\\\\", "\\")
