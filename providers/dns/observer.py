"""Asks DNS what it says: every authoritative server first, recursive resolvers only when those agree.

Asking a resolver before a record exists would make it cache that there is none, and so delay the very
thing that is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
from domain import dns as rules
from domain import dns_findings
from domain.refusals import Refused
from providers.dns import messages
from providers.dns.endpoint import Endpoint
from providers.dns.zones import Server, Zone, ZoneNotFound, Zones
from settings import Settings

#: Seconds a server gets for one question, over UDP with a fall back to TCP.
TIMEOUT = 2.0


class Observer:
    """Looks at DNS from the outside."""

    def __init__(
        self,
        *,
        servers: Sequence[Endpoint],
        resolvers: Sequence[Endpoint],
        port: int = 53,
        quorum: float = 0.75,
        timeout: float = TIMEOUT,
    ) -> None:
        self._zones = Zones(servers, port, timeout)
        self._resolvers = tuple(resolvers)
        self._quorum = quorum
        self._timeout = timeout

    @classmethod
    def from_settings(cls, settings: Settings) -> Observer:
        """The observer that the settings describe."""
        return cls(
            servers=[Endpoint.parse(text, settings.dns_port) for text in settings.dns_servers],
            resolvers=[Endpoint.parse(text, 53) for text in settings.dns_resolvers],
            port=settings.dns_port,
            quorum=settings.dns_quorum,
        )

    async def zone(self, hint: str, *, field: str = "domain") -> Zone:
        """The zone that a name lies in.

        Raises:
            Refused: the name does not exist.
            ZoneNotFound: nobody answers for it now.
        """
        return await self._zones.find(hint, field=field)

    async def authoritative(self, record: rules.Record, zone: Zone) -> list[rules.Answer]:
        """What every address of every authoritative server says, without recursion.

        Where a server answers with an alias into another zone, as reverse zones smaller than a /24 do (RFC 2317),
        the servers of that zone answer in its place.
        """
        return await self._through_aliases(record, zone, messages.MOST_ALIASES)

    async def _through_aliases(self, record: rules.Record, zone: Zone, left: int) -> list[rules.Answer]:
        asked = await asyncio.gather(*(self._authoritative(s, record, zone.apex) for s in zone.servers))
        answers = [answer for answer, alias in asked if alias is None]
        for alias in dict.fromkeys(alias for _, alias in asked if alias is not None):
            behind: list[rules.Answer] = []
            with contextlib.suppress(Refused, ZoneNotFound):
                there = await self.zone(alias) if left else None
                aliased = record.model_copy(update={"name": alias})
                behind = await self._through_aliases(aliased, there, left - 1) if there else []
            pointing = [answer for answer, pointed in asked if pointed == alias]
            if not behind:
                answers += [one.model_copy(update={"outcome": rules.Outcome.SERVER_FAILURE}) for one in pointing]
            # The serial that is waited for is of the zone in front, which was written, not of the one behind.
            answers += [one.model_copy(update={"serial": pointing[0].serial}) for one in behind]
        return answers

    async def values(self, name: str, rdtype: str, zone: Zone) -> list[str]:
        """The values at a name from the first authoritative server that answers.

        Raises:
            ZoneNotFound: none answers.
        """
        record = rules.Record(key="", name=name, type=rdtype, expected=[], zone_hint=zone.apex)
        for server in zone.servers:
            one = Zone(zone.apex, (server,))
            for answer in await self.authoritative(record, one):
                if answer.outcome in ("answer", "nodata", "nxdomain"):
                    return answer.values
        raise ZoneNotFound(f"no authoritative server of {zone.apex} answers for {name}")

    async def held(self, name: str, rdtype: str, zone: Zone) -> tuple[list[str], str | None]:
        """The values at a name itself, and what it is an alias of, from the first authoritative server that answers.

        No alias is followed. One that only a wildcard makes up is none: a record of the name's own takes its place.

        Raises:
            ZoneNotFound: none answers.
        """
        owner = dns.name.from_text(name)
        for server in zone.servers:
            reply = await self._ask(server.endpoint, name, rdtype, recurse=False)
            if (
                reply is None
                or not reply.flags & dns.flags.AA
                or reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
            ):
                continue
            alias = messages.target(reply, owner)
            if alias is not None and alias == await self._wildcard(server.endpoint, owner, zone):
                alias = None
            own = [r for r in reply.answer if r.name == owner and r.rdtype == dns.rdatatype.from_text(rdtype)]
            values = sorted(messages.text(item) for rrset in own for item in rrset)
            return values, alias.to_text(omit_final_dot=True).lower() if alias is not None else None
        raise ZoneNotFound(f"no authoritative server of {zone.apex} answers for {name}")

    async def _wildcard(self, endpoint: Endpoint, owner: dns.name.Name, zone: Zone) -> dns.name.Name | None:
        """Where the nearest wildcard alias above a name leads."""
        apex, above = dns.name.from_text(zone.apex), owner
        while above != apex and above.is_subdomain(apex):
            above = above.parent()
            star = dns.name.from_text("*", above)
            reply = await self._ask(endpoint, star.to_text(), "CNAME", recurse=False)
            target = messages.target(reply, star) if reply is not None else None
            if target is not None:
                return target
        return None

    async def recursive(self, record: rules.Record) -> list[rules.Answer]:
        """What every resolver says."""
        return list(await asyncio.gather(*(self._recursive(e, record) for e in self._resolvers)))

    async def fetch(self, name: str, rdtype: str) -> list[str] | None:
        """Values by the first resolver that answers; None when all fail."""
        record = rules.Record(key="", name=name, type=rdtype, expected=[], zone_hint=name)
        for endpoint in self._resolvers:
            answer = await self._recursive(endpoint, record)
            if answer.outcome in ("answer", "nodata", "nxdomain"):
                return [value.split()[1] for value in answer.values] if rdtype == "MX" else answer.values
        return None

    async def look(self, records: Sequence[rules.Record], zones: dict[str, Zone]) -> list[rules.RecordView]:
        """Every record's published and visible state; resolvers are asked once all servers agree.

        Args:
            zones: by zone hint of the records; a hint without a zone is a server failure.
        """
        return list(await asyncio.gather(*(self._look(r, zones.get(r.zone_hint)) for r in records)))

    async def _look(self, record: rules.Record, zone: Zone | None) -> rules.RecordView:
        answers = await self.authoritative(record, zone) if zone else []
        view = rules.RecordView(record=record, servers=answers)
        if zone and not zone.delegation_ok:
            view.parent_ns, view.zone_ns = list(zone.parent_ns), list(zone.own_ns)
        view.published = dns_findings.published_state(record, answers)
        if view.published is rules.RecordState.PUBLISHED and not (zone and zone.delegation_ok):
            view.published = rules.RecordState.SERVER_FAILURE
        if view.published is not rules.RecordState.PUBLISHED:
            return view
        for _round in range(2):
            view.resolvers = await self.recursive(record)
            view.visible = dns_findings.visible_state(record, view.resolvers, self._quorum)
            if view.visible is not rules.RecordState.VISIBLE:
                break
        return view

    async def _authoritative(self, server: Server, record: rules.Record, apex: str) -> tuple[rules.Answer, str | None]:
        """What a server says, and the name in another zone that it points to instead of saying it."""
        reply, soa = await asyncio.gather(
            self._ask(server.endpoint, record.name, record.type, recurse=False),
            self._ask(server.endpoint, apex, "SOA", recurse=False),
        )
        answer = messages.answer(str(server), record, reply)
        if reply is not None and reply.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
            answer.outcome = rules.Outcome.LAME
        elif reply is not None and not reply.flags & dns.flags.AA and answer.outcome != "server_failure":
            pointed = messages.referral(reply, record.name) is not None or not (reply.answer or reply.authority)
            answer.outcome = rules.Outcome.LAME if pointed else rules.Outcome.NO_AUTHORITY
        if soa is not None:
            answer.serial = next((int(r[0].serial) for r in soa.answer if r.rdtype == dns.rdatatype.SOA), None)
        return answer, messages.alias(reply, record.name) if reply is not None and not answer.values else None

    async def _recursive(self, endpoint: Endpoint, record: rules.Record) -> rules.Answer:
        return messages.answer(str(endpoint), record, await self._ask(endpoint, record.name, record.type, recurse=True))

    async def _ask(self, endpoint: Endpoint, name: str, rdtype: str, *, recurse: bool) -> dns.message.Message | None:
        return await messages.ask(endpoint, name, rdtype, recurse=recurse, timeout=self._timeout)
