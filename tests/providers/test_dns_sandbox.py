"""The observer and the publisher on the sandbox's own DNS server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from domain import dns as rules
from domain import dns_findings
from domain.refusals import Refused
from providers.dns.endpoint import Endpoint
from providers.dns.observer import Observer
from providers.dns.rfc2136 import Rfc2136Publisher
from sandbox.dns import SandboxDns

DOMAIN = "example-mail.test"
WISH = rules.Wish(
    address="203.0.113.9", hostname=f"mail.{DOMAIN}", domain=DOMAIN, dkim_record="v=DKIM1; p=" + "A" * 392
)


async def test_records_travel_from_the_primary_to_every_resolver(tmp_path: Path) -> None:
    sandbox = SandboxDns(tmp_path, 0, 0, (0, 0), lag=0.2)
    await sandbox.start()
    try:
        ports = [sandbox.primary.port, sandbox.secondary.port]
        servers = [Endpoint("127.0.0.1", port) for port in ports]
        resolvers = [Endpoint("127.0.0.1", listener.port) for listener in sandbox.resolvers]
        observer = Observer(servers=servers, resolvers=resolvers, port=ports[0])
        zone = await observer.zone(DOMAIN)
        assert [str(server) for server in zone.servers] == [
            f"ns1.sandbox.test (127.0.0.1@{ports[0]})",
            f"ns2.sandbox.test (127.0.0.1@{ports[1]})",
        ]
        records = [record for record in rules.render(WISH, rules.Existing()) if record.type != "PTR"]
        publisher = Rfc2136Publisher(servers[0], "warmpath", "hmac-sha256", sandbox.keys["warmpath"])
        for record in records:
            record.serial = await publisher.publish(
                record, zone.apex, await observer.values(record.name, record.type, zone)
            )
        limit = time.monotonic() + 10
        while not dns_findings.ready(views := await observer.look(records, {DOMAIN: zone})):
            assert time.monotonic() < limit, views
            await asyncio.sleep(0.05)
        ptr = next(r for r in rules.render(WISH, rules.Existing()) if r.type == "PTR")
        (view,) = await observer.look([ptr], {ptr.zone_hint: await observer.zone(ptr.zone_hint)})
        assert view.published is rules.RecordState.MISSING
        assert (await observer.zone("2.0.192.in-addr.arpa")).apex == "in-addr.arpa"
        with pytest.raises(Refused, match="nowhere.test does not exist"):
            await observer.zone("nowhere.test")
    finally:
        await sandbox.stop()
