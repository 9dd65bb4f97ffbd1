"""The zones that the sandbox's authoritative server holds: their first content, files and changes.

A zone is a file in master format, rewritten after every change, so that the sandbox's internet
remembers what was published when it starts again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.update
import dns.zone
from dns.rdatatype import RdataType

NAME_SERVERS = ("ns1.sandbox.test.", "ns2.sandbox.test.")
"""Both resolve to 127.0.0.1; the port tells them apart (``settings.dns_servers``)."""

AUTOMATIC_DOMAINS = ("example-mail.test", "news.test", "receipts.test", "harbor-post.test")
"""Domains whose zone takes our own dynamic updates."""

MANUAL_DOMAINS = ("byhand.test",)
"""Domains that only the registrar's key may change."""

REVERSE_ZONES = ("100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa")
"""198.51.100.0/24 and 203.0.113.0/24, documentation space (RFC 5737) that the vendor sells."""

BLOCKLIST_SUFFIX = "bl.test"

LISTED_CODES: dict[str, str] = {
    "zen.spamhaus.org": "127.0.0.2",
    "b.barracudacentral.org": "127.0.0.2",
    "bl.spamcop.net": "127.0.0.2",
    "psbl.surriel.com": "127.0.0.2",
    "bl.mailspike.net": "127.0.0.10",
    "dnsbl-1.uceprotect.net": "127.0.0.2",
    "dnsbl-2.uceprotect.net": "127.0.0.2",
    "dnsbl-3.uceprotect.net": "127.0.0.2",
    "hostkarma.junkemailfilter.com": "127.0.0.2",
    "list.dnswl.org": "127.0.10.2",
}
"""Address lists and the answer that means "listed" there, as each list documents it."""

DOMAIN_LIST = "dbl.spamhaus.org"

LISTED_ADDRESSES: dict[str, tuple[str, ...]] = {
    "zen.spamhaus.org": ("198.51.100.66", "203.0.113.66"),
    "b.barracudacentral.org": ("198.51.100.66",),
    "bl.spamcop.net": ("198.51.100.77",),
    "psbl.surriel.com": ("203.0.113.66", "203.0.113.88"),
    "dnsbl-2.uceprotect.net": ("203.0.113.66",),
    "list.dnswl.org": ("203.0.113.25",),
}
"""Addresses with a history, so that vetting has something to find."""

OTHER_CODES: dict[str, dict[str, str]] = {
    "zen.spamhaus.org": {
        "203.0.113.240": "127.0.0.10",  # PBL: no reputation
        "203.0.113.241": "127.0.0.30",  # BCL
        "203.0.113.242": "127.0.0.3",  # CSS
        "203.0.113.243": "127.255.255.254",  # an error, not a listing
    },
    "bl.mailspike.net": {"203.0.113.244": "127.0.0.15"},  # a grade, not a listing
}
"""Addresses whose answer is of another kind than "listed"."""

LISTED_DOMAINS = {"listed.test": "127.0.1.2", "abused.test": "127.0.1.102"}
"""Domains on the domain list."""

TTL = 30
NEGATIVE_TTL = 10
"""Seconds; short, because a demonstration lasts minutes."""


def _head(origin: str) -> str:
    servers = "".join(f"@ {TTL} IN NS {server}\n" for server in NAME_SERVERS)
    soa = f"{NAME_SERVERS[0]} hostmaster.sandbox.test. 1 60 30 86400 {NEGATIVE_TTL}"
    return f"$ORIGIN {origin.rstrip('.')}.\n$TTL {TTL}\n@ {TTL} IN SOA {soa}\n{servers}"


def _reversed(address: str) -> str:
    return ".".join(reversed(address.split(".")))


def first_zones() -> dict[str, str]:
    """Text of every zone as it is before anybody changed anything, by zone name."""
    zones = {
        ".": _head("."),
        "test": _head("test"),
        "in-addr.arpa": _head("in-addr.arpa"),
        "sandbox.test": _head("sandbox.test")
        + "ns1 IN A 127.0.0.1\nns2 IN A 127.0.0.1\nsmtp IN A 127.0.0.1\nmail IN A 127.0.0.1\n",
    }
    for domain in (*AUTOMATIC_DOMAINS, *MANUAL_DOMAINS):
        zones[domain] = _head(domain) + '@ IN TXT "site-verification=left-by-somebody-else"\nwww IN A 127.0.0.1\n'
    for reverse in REVERSE_ZONES:
        zones[reverse] = _head(reverse)
    for name, code in LISTED_CODES.items():
        origin = f"{name}.{BLOCKLIST_SUFFIX}"
        listed = ["127.0.0.2", *LISTED_ADDRESSES.get(name, ())]
        entries = "".join(
            f'{_reversed(address)} IN A {code}\n{_reversed(address)} IN TXT "listed in the sandbox"\n'
            for address in listed
        )
        entries += "".join(
            f"{_reversed(address)} IN A {other}\n" for address, other in OTHER_CODES.get(name, {}).items()
        )
        zones[origin] = _head(origin) + entries
    origin = f"{DOMAIN_LIST}.{BLOCKLIST_SUFFIX}"
    zones[origin] = (
        _head(origin) + "test IN A 127.0.1.2\ndbltest.com IN A 127.0.1.2\n2.0.0.127 IN A 127.0.1.2\n"
    ) + "".join(f"{domain} IN A {code}\n" for domain, code in LISTED_DOMAINS.items())
    return zones


class ZoneStore:
    """The zones of one server, kept in ``folder``; zones of a secondary have no folder.

    Raises:
        ValueError: a zone file is broken; the message names it.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.zones: dict[dns.name.Name, dns.zone.Zone] = {}
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in first_zones().items():
            file = self._file(name)
            self.adopt(name, file.read_text() if file.exists() else text)

    def _file(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name.rstrip('.') or 'root'}.zone"

    def adopt(self, name: str, text: str) -> None:
        """Hold the zone ``name`` with the content ``text``."""
        origin = dns.name.from_text(name)
        try:
            zone = dns.zone.from_text(text, origin=origin, relativize=False)
        except Exception as error:
            raise ValueError(f"zone file of {name} cannot be read: {error}") from error
        self.zones[origin] = zone

    def copy_from(self, other: ZoneStore, origin: dns.name.Name) -> None:
        """Transfer one zone as it stands now."""
        self.adopt(origin.to_text(), other.zones[origin].to_text(relativize=False))

    def closest(self, name: dns.name.Name) -> dns.zone.Zone | None:
        """The zone that answers for ``name``: the longest match."""
        while True:
            if (zone := self.zones.get(name)) is not None:
                return zone
            if name == dns.name.root:
                return None
            name = name.parent()

    def exact(self, name: dns.name.Name) -> dns.zone.Zone | None:
        """The zone whose apex is ``name``."""
        return self.zones.get(name)

    def commit(self, zone: dns.zone.Zone) -> None:
        """Raise the serial and write the file; a killed server finds the old or the new file."""
        assert zone.origin is not None
        node = zone.nodes[zone.origin]
        old = node.find_rdataset(dns.rdataclass.IN, RdataType.SOA)
        soa = old[0]
        node.replace_rdataset(dns.rdataset.from_rdata(old.ttl, soa.replace(serial=(soa.serial + 1) % 2**32)))
        if self.folder is None:
            return
        file = self._file(zone.origin.to_text())
        draft = file.with_suffix(".draft")
        with draft.open("w") as out:
            zone.to_file(out, relativize=False, want_origin=True)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)


def names_below(zone: dns.zone.Zone, name: dns.name.Name) -> bool:
    """Whether ``name`` exists, be it only as an empty non-terminal (RFC 8020)."""
    return any(owner.is_subdomain(name) for owner in zone.nodes)


def prerequisites_hold(zone: dns.zone.Zone, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
    """Check the prerequisite section (RFC 2136, 3.2)."""
    exact: dict[tuple[dns.name.Name, RdataType], set[dns.rdata.Rdata]] = {}
    for wanted in message.prerequisite:
        node = zone.nodes.get(wanted.name)
        if wanted.rdtype == RdataType.ANY:
            if wanted.deleting == dns.rdataclass.ANY and node is None:
                return dns.rcode.NXDOMAIN
            if wanted.deleting == dns.rdataclass.NONE and node is not None:
                return dns.rcode.YXDOMAIN
            continue
        present = node.get_rdataset(dns.rdataclass.IN, wanted.rdtype) if node else None
        if wanted.deleting == dns.rdataclass.NONE:
            if present is not None:
                return dns.rcode.YXRRSET
        elif present is None:
            return dns.rcode.NXRRSET
        elif wanted.deleting is None:
            exact.setdefault((wanted.name, wanted.rdtype), set()).update(wanted)
    # A message carries each value of a set as a record of its own; only all of them together are the set.
    for (name, rdtype), values in exact.items():
        if values != set(zone.nodes[name].find_rdataset(dns.rdataclass.IN, rdtype)):
            return dns.rcode.NXRRSET
    return dns.rcode.NOERROR


def apply_update(zone: dns.zone.Zone, message: dns.update.UpdateMessage) -> bool:
    """Apply the update section (RFC 2136, 3.4.2); returns whether anything changed."""
    before = zone.to_text(relativize=False)
    for change in message.update:
        if change.deleting is None:
            _add(zone, change)
        elif change.deleting == dns.rdataclass.ANY:
            _delete_sets(zone, change)
        else:
            _delete_records(zone, change)
    return zone.to_text(relativize=False) != before


def _kept(zone: dns.zone.Zone, change: dns.rrset.RRset) -> bool:
    """The apex keeps its SOA and NS whatever an update says."""
    return change.name == zone.origin and change.rdtype in (RdataType.SOA, RdataType.NS)


def _add(zone: dns.zone.Zone, change: dns.rrset.RRset) -> None:
    if change.rdtype == RdataType.SOA:
        return
    node = zone.nodes.get(change.name)
    if node is not None:
        alias = node.get_rdataset(dns.rdataclass.IN, RdataType.CNAME)
        if (alias is not None) != (change.rdtype == RdataType.CNAME) and len(node.rdatasets) > 0:
            return
    held = zone.find_rdataset(change.name, change.rdtype, create=True)
    held.ttl = change.ttl
    for rdata in change:
        held.add(rdata)


def _delete_sets(zone: dns.zone.Zone, change: dns.rrset.RRset) -> None:
    node = zone.nodes.get(change.name)
    if node is None:
        return
    for held in list(node.rdatasets):
        of_apex = change.name == zone.origin and held.rdtype in (RdataType.SOA, RdataType.NS)
        if change.rdtype in (RdataType.ANY, held.rdtype) and not of_apex:
            node.rdatasets.remove(held)
    _prune(zone, change.name)


def _delete_records(zone: dns.zone.Zone, change: dns.rrset.RRset) -> None:
    held = zone.get_rdataset(change.name, change.rdtype)
    if held is None or _kept(zone, change):
        return
    for rdata in change:
        held.items.pop(rdata, None)
    if len(held) == 0:
        zone.delete_rdataset(change.name, change.rdtype)
    _prune(zone, change.name)


def _prune(zone: dns.zone.Zone, name: dns.name.Name) -> None:
    node = zone.nodes.get(name)
    if node is not None and not node.rdatasets:
        del zone.nodes[name]


def records(zone: dns.zone.Zone) -> Iterator[dns.rrset.RRset]:
    """Every record set of the zone, the SOA first (the order of a transfer, RFC 5936)."""
    assert zone.origin is not None
    soa = zone.nodes[zone.origin].find_rdataset(dns.rdataclass.IN, RdataType.SOA)
    yield _rrset(zone.origin, soa)
    for name, node in zone.nodes.items():
        for held in node.rdatasets:
            if held.rdtype != RdataType.SOA:
                yield _rrset(name, held)


def _rrset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> dns.rrset.RRset:
    return dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
