"""Publishing at a name that is an alias: a problem in words, and the zone stays as it is."""

from __future__ import annotations

from pathlib import Path

import dns.query
import dns.update
import dns.zone
import pytest
from temporalio.testing import ActivityEnvironment

from activities.context import Context
from activities.dns import DnsActivities
from domain.dns import zone_value
from domain.words import Stage
from settings import Settings
from store.database import Database
from store.keys import Keyring, new_key
from store.secrets import Secrets
from store.tables.ips import Ip
from tests.providers.dns_neighbours import (  # noqa: F401 - the fixture
    ADDRESS,
    DOMAIN,
    Neighbours,
    neighbours,
    records,
)

BEHIND = f"behind.{DOMAIN}"


def change(on: Neighbours, name: str, rdtype: str, value: str) -> None:
    """Enter a record, as its owner would."""
    update = dns.update.UpdateMessage(DOMAIN, keyring=on.publisher()._key)
    update.add(f"{name}.", 2, rdtype, value)
    assert dns.query.tcp(update, on.primary.address, port=on.port, timeout=3).rcode() == 0


def served(on: Neighbours) -> str:
    """The whole zone as the primary holds it, serial included."""
    zone = dns.zone.Zone(DOMAIN)
    dns.query.inbound_xfr(on.primary.address, zone, port=on.port)
    return zone.to_text()


@pytest.mark.parametrize("key", ["a", "spf", "dkim", "dmarc"])
async def test_an_alias_is_a_problem_and_stays(neighbours: Neighbours, tmp_path: Path, key: str) -> None:  # noqa: F811
    name = f"aliased.{DOMAIN}"
    record = records()[key].model_copy(update={"name": name})
    change(neighbours, name, "CNAME", f"{BEHIND}.")
    change(neighbours, BEHIND, record.type, "127.0.0.9" if key == "a" else '"v=spf1 -all"')
    db = Database.open(f"sqlite:///{tmp_path}/store.sqlite", synchronous="normal")
    context = Context(settings=Settings(var_dir=tmp_path), db=db, secrets=Secrets(db, Keyring.parse([new_key()])))
    acts = DnsActivities(context, neighbours.observer(), {}, lambda domain: neighbours.publisher())
    ip = Ip(address=ADDRESS, vendor="zone", stage=Stage.AWAITING_DNS, domain=DOMAIN)
    before = served(neighbours)
    said = await ActivityEnvironment().run(acts._publish, ip, [record])
    words = f"{record.type} {name}: the name is an alias of {BEHIND}; publish the record there, or remove the alias."
    assert said == (True, [words])
    assert (served(neighbours), record.serial) == (before, None)

    update = dns.update.UpdateMessage(DOMAIN, keyring=neighbours.publisher()._key)
    update.replace(f"{BEHIND}.", 2, record.type, zone_value(record, record.expected[0]))
    dns.query.tcp(update, neighbours.primary.address, port=neighbours.port, timeout=3)
    neighbours.control("secondary", "-f", "zone-retransfer", DOMAIN)
    right = served(neighbours)
    assert await ActivityEnvironment().run(acts._publish, ip, [record]) == (True, [])
    assert served(neighbours) == right, "what stands behind the alias is enough"
    await db.close()
