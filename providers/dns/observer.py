"""Asks DNS what it says: every authoritative server first, recursive resolvers only when those agree.

Asking a resolver before a record exists would make it cache that there is none, and so delay the very
thing that is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

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
from domain.propagation import negative_ttl
from domain.refusals import Refused
from providers.dns.endpoint import Endpoint
from settings import Settings

#: Seconds a server gets for one question, over UDP with a fall back to TCP.
TIMEOUT = 2.0
#: Delegations followed from the servers that the settings name down to a zone.
MOST_REFERRALS = 10
#: Aliases followed from one name, each into another zone.
MOST_ALIASES = 5


@dataclass(frozen=True)
class Server:
    """One address of one authoritative server."""

    name: str
    endpoint: Endpoint

    def __str__(self) -> str:
        return f"{self.name} ({self.endpoint})"


@dataclass(frozen=True)
class Zone:
    """A zone as found: its apex, every server address, and whether the parent names the same servers."""

    apex: str
    servers: tuple[Server, ...]
    delegation_ok: bool = True
    parent_ns: tuple[str, ...] = ()
    own_ns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delegation:
    """What a parent says about a zone: its name servers, and the addresses given with them (glue)."""

    names: frozenset[str]
    glue: tuple[tuple[str, str], ...] = ()


class ZoneNotFound(Exception):
    """No server knows the zone now (time-outs, lame servers); may be tried again."""


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
        self._servers = tuple(servers)
        self._resolvers = tuple(resolvers)
        self._port = port
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
        apex, start, delegation = await self._apex(hint, field)
        own: set[str] = set()
        for endpoint in start:
            reply = await self._ask(endpoint, apex, "NS", recurse=False)
            own = set(_values(reply, apex, "NS")) if reply and reply.flags & dns.flags.AA else set()
            if own:
                break
        if not own:
            raise ZoneNotFound(f"no server answers with the name servers of {apex}")
        if delegation is None:
            delegation = await self._delegation(apex)
        parent = set(delegation.names) if delegation else own
        glue = delegation.glue if delegation else ()
        found = await asyncio.gather(*(self._addresses(name, start, glue) for name in sorted(own | parent)))
        servers = _paired(found)
        if not servers:
            raise ZoneNotFound(f"the name servers of {apex} have no address")
        return Zone(apex, servers, parent == own, tuple(sorted(parent)), tuple(sorted(own)))

    async def authoritative(self, record: rules.Record, zone: Zone) -> list[rules.Answer]:
        """What every address of every authoritative server says, without recursion.

        Where a server answers with an alias into another zone, as reverse zones smaller than a /24 do (RFC 2317),
        the servers of that zone answer in its place.
        """
        return await self._through_aliases(record, zone, MOST_ALIASES)

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
            alias = _target(reply, owner)
            if alias is not None and alias == await self._wildcard(server.endpoint, owner, zone):
                alias = None
            own = [r for r in reply.answer if r.name == owner and r.rdtype == dns.rdatatype.from_text(rdtype)]
            values = sorted(_text(item) for rrset in own for item in rrset)
            return values, alias.to_text(omit_final_dot=True).lower() if alias is not None else None
        raise ZoneNotFound(f"no authoritative server of {zone.apex} answers for {name}")

    async def _wildcard(self, endpoint: Endpoint, owner: dns.name.Name, zone: Zone) -> dns.name.Name | None:
        """Where the nearest wildcard alias above a name leads."""
        apex, above = dns.name.from_text(zone.apex), owner
        while above != apex and above.is_subdomain(apex):
            above = above.parent()
            star = dns.name.from_text("*", above)
            reply = await self._ask(endpoint, star.to_text(), "CNAME", recurse=False)
            target = _target(reply, star) if reply is not None else None
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

    async def _apex(self, hint: str, field: str) -> tuple[str, list[Endpoint], Delegation | None]:
        """Apex of the zone around a name, its servers to begin with, and the delegation if one was seen."""
        nobody = Refused(
            f"{hint} does not exist in DNS; register it or correct the spelling.",
            field=field,
            code="no_domain",
        )
        if not self._servers:
            apex, found = await self._apex_by_resolver(hint, nobody)
            return apex, found, None
        return await self._descend(hint, nobody)

    async def _descend(
        self, hint: str, nobody: Refused, depth: int = 0
    ) -> tuple[str, list[Endpoint], Delegation | None]:
        """Follow the delegations from the servers of the settings, as a resolver does."""
        ask, delegation, silent = list(self._servers), None, False
        for _ in range(MOST_REFERRALS):
            seen: Delegation | None = None
            for endpoint in ask:
                reply = await self._ask(endpoint, hint, "SOA", recurse=False)
                if reply is None or reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    # A server refuses what it does not serve; below a delegation that is a lame server.
                    silent |= reply is None or reply.rcode() != dns.rcode.REFUSED or delegation is not None
                    continue
                if not reply.flags & dns.flags.AA:
                    seen = _referral(reply, hint)
                    if seen is not None:
                        break
                    silent = True
                    continue
                # An empty corner of a reverse zone has no name yet, but a zone around it.
                if reply.rcode() == dns.rcode.NXDOMAIN and not hint.endswith(".arpa"):
                    raise nobody
                apex = next((r.name for r in [*reply.answer, *reply.authority] if r.rdtype == dns.rdatatype.SOA), None)
                if apex is not None:
                    text = apex.to_text(omit_final_dot=True).lower()
                    return text, [endpoint, *(e for e in ask if e != endpoint)], delegation
            if seen is None:
                break
            found = await asyncio.gather(
                *(self._addresses(name, [], seen.glue, depth + 1) for name in sorted(seen.names))
            )
            delegation, ask = seen, list(dict.fromkeys(s.endpoint for group in found for s in group))
        if silent or delegation is not None:
            raise ZoneNotFound(f"no name server answers for {hint}")
        raise nobody

    async def _apex_by_resolver(self, hint: str, nobody: Refused) -> tuple[str, list[Endpoint]]:
        try:
            apex = (await dns.asyncresolver.zone_for_name(hint)).to_text(omit_final_dot=True).lower()
            if len(apex.split(".")) < 2 <= len(hint.split(".")) and apex != hint:
                raise nobody
            answer = await dns.asyncresolver.resolve(apex, "NS")
            names = [str(item.target) for item in answer]
            found: list[Endpoint] = []
            for name in names:
                found += [server.endpoint for server in await self._addresses(name, [], ())]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoRootSOA):
            raise nobody from None
        except dns.exception.DNSException as error:
            raise ZoneNotFound(f"the zone of {hint} cannot be found: {error}") from error
        if apex != hint and not hint.endswith(".arpa"):
            # A public suffix answers for names that nobody registered, too.
            reply = await self._ask(found[0], hint, "SOA", recurse=False) if found else None
            if reply is not None and reply.rcode() == dns.rcode.NXDOMAIN:
                raise nobody
        return apex, found

    async def _addresses(
        self, name: str, start: Sequence[Endpoint], glue: Sequence[tuple[str, str]], depth: int = 0
    ) -> list[Server]:
        """Every address of a name server, those that the parent gives with it included.

        A configured port of an address wins over the general one.
        """
        found: list[str] = []
        for rdtype in ("A", "AAAA"):
            if self._servers:
                found += await self._authoritative_values(name, rdtype, start, depth)
            else:
                with contextlib.suppress(dns.exception.DNSException):
                    found += [str(item) for item in await dns.asyncresolver.resolve(name, rdtype)]
        found += [address for owner, address in glue if owner == name]
        servers: list[Server] = []
        for address in dict.fromkeys(found):
            known = [e for e in self._servers if e.address == address]
            servers += [Server(name.rstrip("."), e) for e in known or [Endpoint(address, self._port)]]
        return servers

    async def _authoritative_values(self, name: str, rdtype: str, start: Sequence[Endpoint], depth: int) -> list[str]:
        """Values from servers at hand, else from those that a descent from the settings' servers finds."""
        for endpoint in start:
            reply = await self._ask(endpoint, name, rdtype, recurse=False)
            values = _values(reply, name, rdtype) if reply else []
            if values:
                return values
        if depth > 2:
            return []
        try:
            _, endpoints, _ = await self._descend(name, Refused(name), depth + 1)
        except (Refused, ZoneNotFound):
            return []
        for endpoint in endpoints:
            reply = await self._ask(endpoint, name, rdtype, recurse=False)
            if reply is not None:
                return _values(reply, name, rdtype)
        return []

    async def _delegation(self, apex: str) -> Delegation | None:
        """The delegation at the parent, asked of the parent's own servers; None when it cannot be asked.

        Without servers in the settings the resolver of the machine names the parent's servers. Servers of
        the settings that led to the zone without a delegation serve parent and zone alike.
        """
        parent = apex.partition(".")[2]
        if not parent or self._servers:
            return None
        try:
            zone = await dns.asyncresolver.zone_for_name(parent)
            names = [str(item.target) for item in await dns.asyncresolver.resolve(zone, "NS")][:3]
        except dns.exception.DNSException:
            return None
        for server in [s for name in names for s in await self._addresses(name, [], ())]:
            reply = await self._ask(server.endpoint, apex, "NS", recurse=False)
            if reply is not None and not reply.flags & dns.flags.AA:
                seen = _referral(reply, apex)
                if seen is not None:
                    return seen
        return None

    async def _authoritative(self, server: Server, record: rules.Record, apex: str) -> tuple[rules.Answer, str | None]:
        """What a server says, and the name in another zone that it points to instead of saying it."""
        reply, soa = await asyncio.gather(
            self._ask(server.endpoint, record.name, record.type, recurse=False),
            self._ask(server.endpoint, apex, "SOA", recurse=False),
        )
        answer = _answer(str(server), record, reply)
        if reply is not None and reply.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
            answer.outcome = rules.Outcome.LAME
        elif reply is not None and not reply.flags & dns.flags.AA and answer.outcome != "server_failure":
            pointed = _referral(reply, record.name) is not None or not (reply.answer or reply.authority)
            answer.outcome = rules.Outcome.LAME if pointed else rules.Outcome.NO_AUTHORITY
        if soa is not None:
            answer.serial = next((int(r[0].serial) for r in soa.answer if r.rdtype == dns.rdatatype.SOA), None)
        return answer, _alias(reply, record.name) if reply is not None and not answer.values else None

    async def _recursive(self, endpoint: Endpoint, record: rules.Record) -> rules.Answer:
        return _answer(str(endpoint), record, await self._ask(endpoint, record.name, record.type, recurse=True))

    async def _ask(self, endpoint: Endpoint, name: str, rdtype: str, *, recurse: bool) -> dns.message.Message | None:
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
        if not recurse:
            query.flags &= ~dns.flags.RD
        try:
            reply, _ = await dns.asyncquery.udp_with_fallback(
                query, endpoint.address, timeout=self._timeout, port=endpoint.port, ignore_unexpected=True
            )
        except (dns.exception.DNSException, OSError, EOFError):
            return None
        return reply


def _paired(found: Sequence[Sequence[Server]]) -> tuple[Server, ...]:
    """Every endpoint once. Where names share several ports of one address, each name gets its own in turn."""
    shared = len(found) > 1 and all([s.endpoint for s in group] == [s.endpoint for s in found[0]] for group in found)
    if shared and len(found) == len(found[0]):
        return tuple(group[number] for number, group in enumerate(found))
    first: dict[Endpoint, Server] = {}
    for group in found:
        for server in group:
            first.setdefault(server.endpoint, server)
    return tuple(first.values())


def _answer(server: str, record: rules.Record, reply: dns.message.Message | None) -> rules.Answer:
    at = dt.datetime.now(dt.UTC)
    if reply is None:
        return rules.Answer(server=server, outcome="timeout", at=at)
    if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return rules.Answer(server=server, outcome="server_failure", at=at)
    values = _values(reply, record.name, record.type)
    if values:
        ttl = min(rrset.ttl for rrset in reply.answer)
        return rules.Answer(server=server, outcome="answer", values=sorted(values), ttl=ttl, at=at)
    outcome = "nxdomain" if reply.rcode() == dns.rcode.NXDOMAIN else "nodata"
    soa = next((r for r in reply.authority if r.rdtype == dns.rdatatype.SOA), None)
    left = negative_ttl(soa.ttl, int(soa[0].minimum)) if soa else None
    return rules.Answer(server=server, outcome=outcome, ttl=left, at=at)


def _referral(reply: dns.message.Message, name: str) -> Delegation | None:
    """The delegation that an answer without authority points to, if it leads towards the name."""
    wanted = dns.name.from_text(name)
    for rrset in reply.authority:
        if rrset.rdtype == dns.rdatatype.NS and wanted.is_subdomain(rrset.name) and not reply.answer:
            names = frozenset(_text(item) for item in rrset)
            glue = tuple(
                (extra.name.to_text(omit_final_dot=True).lower(), item.to_text())
                for extra in reply.additional
                if extra.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
                for item in extra
            )
            return Delegation(names, glue)
    return None


def _alias(reply: dns.message.Message, name: str) -> str | None:
    """Where the aliases of an authoritative answer lead, when that is out of the zone or below a delegation."""
    seen = start = dns.name.from_text(name)
    for _ in range(MOST_ALIASES):
        following = _target(reply, seen)
        if following is None:
            break
        seen = following
    if seen == start or not reply.flags & dns.flags.AA:
        return None
    # With the zone's own SOA beside it the server has said that there is nothing at the end of the alias.
    told = any(r.rdtype == dns.rdatatype.SOA and seen.is_subdomain(r.name) for r in reply.authority)
    return None if told else seen.to_text(omit_final_dot=True).lower()


def _target(reply: dns.message.Message, name: dns.name.Name) -> dns.name.Name | None:
    """Where the alias of a name leads, when an answer holds one."""
    return next((r[0].target for r in reply.answer if r.rdtype == dns.rdatatype.CNAME and r.name == name), None)


def _values(reply: dns.message.Message, name: str, rdtype: str) -> list[str]:
    """Values of the asked type, through CNAMEs; TXT strings joined without space."""
    kind = dns.rdatatype.from_text(rdtype)
    return [_text(item) for rrset in reply.answer if rrset.rdtype == kind for item in rrset]


def _text(item: dns.rdata.Rdata) -> str:
    if item.rdtype == dns.rdatatype.TXT:
        return b"".join(item.strings).decode(errors="replace")  # type: ignore[attr-defined]
    text = item.to_text()
    return text.rstrip(".").lower() if item.rdtype in (2, 5, 12, 15) else text
