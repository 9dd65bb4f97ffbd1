"""Asks blocklists over DNS, after making sure that each is alive (RFC 5782)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.resolver

from domain import blocklists as rules
from domain.blocklists import DOMAIN_ZONES, ZONES, Outcome, State, Zone, ZoneAnswer
from settings import Settings

#: Seconds that a list proven healthy, or found unwell, is believed to stay so.
HEALTHY_SECONDS, UNWELL_SECONDS = 900.0, 60.0
#: Seconds a query may take, all tries together; questions in flight at once.
QUERY_SECONDS, IN_FLIGHT = 3.0, 64


class Blocklists:
    """One resolver, the lists of :mod:`domain.blocklists`, and what is known of their health."""

    def __init__(self, settings: Settings, *, query_seconds: float = QUERY_SECONDS) -> None:
        self._settings = settings
        self._resolver = dns.asyncresolver.Resolver(configure=settings.blocklist_resolver is None)
        if settings.blocklist_resolver is not None:
            address, _, port = settings.blocklist_resolver.partition("@")
            self._resolver.nameservers = [address]
            self._resolver.port = int(port or 53)
        self._resolver.lifetime = query_seconds
        self._public = any(str(one) in rules.PUBLIC_RESOLVERS for one in self._resolver.nameservers)
        self._health: dict[str, tuple[float, bool]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def check(self, address: str, zones: Sequence[Zone] | None = None) -> list[ZoneAnswer]:
        """What each list says of an address, in the order of the lists; never raises for a silent list."""
        return list(await asyncio.gather(*(self._look(zone, address) for zone in (ZONES if zones is None else zones))))

    async def check_domain(self, domain: str) -> list[ZoneAnswer]:
        """What each domain list says of a domain."""
        return await self.check(domain, DOMAIN_ZONES)

    async def _look(self, zone: Zone, subject: str) -> ZoneAnswer:
        if zone.name in rules.DEAD:
            return rules.read(zone, Outcome.FAILURE, [])
        if not await self._is_healthy(zone):
            return rules.read(zone, Outcome.FAILURE, [], why="The list failed its health probe.")
        return await self._ask(zone, subject)

    async def _is_healthy(self, zone: Zone) -> bool:
        async with self._locks.setdefault(zone.name, asyncio.Lock()):
            until, well = self._health.get(zone.name, (0.0, False))
            if time.monotonic() < until:
                return well
            must, must_not = [await self._ask(zone, probe) for probe in rules.probes(zone)]
            well = rules.healthy(zone, must, must_not)
            self._health[zone.name] = (time.monotonic() + (HEALTHY_SECONDS if well else UNWELL_SECONDS), well)
            return well

    def _served_as(self, zone: Zone) -> tuple[str, bool]:
        """The zone as this installation asks it, and whether a public resolver spoils the answer."""
        key = self._settings.spamhaus_key
        if key is not None and zone.name.endswith(".spamhaus.org"):
            part = zone.name.removesuffix(".spamhaus.org")
            return f"{key.get_secret_value()}.{part}.dq.spamhaus.net", False
        suffix = self._settings.blocklist_suffix.strip(".")
        return f"{zone.name}.{suffix}" if suffix else zone.name, self._public

    async def _ask(self, zone: Zone, subject: str) -> ZoneAnswer:
        served, public = self._served_as(zone)
        try:
            async with self._slots:
                found = await self._resolver.resolve(rules.query_name(subject, served), "A", search=False)
        except dns.resolver.NXDOMAIN:
            return rules.read(zone, Outcome.NXDOMAIN, [], public=public)
        except dns.exception.Timeout:
            return rules.read(zone, Outcome.FAILURE, [], why="The list did not answer in time.")
        except (dns.exception.DNSException, OSError):
            # The exception's text names the zone as asked, which holds the key: say what, not which.
            return rules.read(zone, Outcome.FAILURE, [], why="The list's servers failed or refused.")
        ttl = found.rrset.ttl if found.rrset is not None else 0
        return rules.read(zone, Outcome.ADDRESSES, [record.address for record in found], ttl=ttl)


__all__ = ["Blocklists", "State", "ZoneAnswer"]
