"""Finds the zone that a name lies in, and the address of every server that answers for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
from domain.refusals import Refused
from providers.dns import messages
from providers.dns.endpoint import Endpoint

#: Delegations followed from the servers that the settings name down to a zone.
MOST_REFERRALS = 10


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


class ZoneNotFound(Exception):
    """No server knows the zone now (time-outs, lame servers); may be tried again."""


class Zones:
    """Finds zones, from the servers that the settings name or by the resolver of the machine."""

    def __init__(self, servers: Sequence[Endpoint], port: int, timeout: float) -> None:
        self._servers = tuple(servers)
        self._port = port
        self._timeout = timeout

    async def find(self, hint: str, *, field: str = "domain") -> Zone:
        """The zone that a name lies in.

        Raises:
            Refused: the name does not exist.
            ZoneNotFound: nobody answers for it now.
        """
        apex, start, delegation = await self._apex(hint, field)
        own: set[str] = set()
        for endpoint in start:
            reply = await self._ask(endpoint, apex, "NS")
            own = set(messages.values(reply, apex, "NS")) if reply and reply.flags & dns.flags.AA else set()
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

    async def _apex(self, hint: str, field: str) -> tuple[str, list[Endpoint], messages.Delegation | None]:
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
    ) -> tuple[str, list[Endpoint], messages.Delegation | None]:
        """Follow the delegations from the servers of the settings, as a resolver does."""
        ask, delegation, silent = list(self._servers), None, False
        for _ in range(MOST_REFERRALS):
            seen: messages.Delegation | None = None
            for endpoint in ask:
                reply = await self._ask(endpoint, hint, "SOA")
                if reply is None or reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    # A server refuses what it does not serve; below a delegation that is a lame server.
                    silent |= reply is None or reply.rcode() != dns.rcode.REFUSED or delegation is not None
                    continue
                if not reply.flags & dns.flags.AA:
                    seen = messages.referral(reply, hint)
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
            reply = await self._ask(found[0], hint, "SOA") if found else None
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
            reply = await self._ask(endpoint, name, rdtype)
            values = messages.values(reply, name, rdtype) if reply else []
            if values:
                return values
        if depth > 2:
            return []
        try:
            _, endpoints, _ = await self._descend(name, Refused(name), depth + 1)
        except (Refused, ZoneNotFound):
            return []
        for endpoint in endpoints:
            reply = await self._ask(endpoint, name, rdtype)
            if reply is not None:
                return messages.values(reply, name, rdtype)
        return []

    async def _delegation(self, apex: str) -> messages.Delegation | None:
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
            reply = await self._ask(server.endpoint, apex, "NS")
            if reply is not None and not reply.flags & dns.flags.AA:
                seen = messages.referral(reply, apex)
                if seen is not None:
                    return seen
        return None

    async def _ask(self, endpoint: Endpoint, name: str, rdtype: str) -> dns.message.Message | None:
        return await messages.ask(endpoint, name, rdtype, recurse=False, timeout=self._timeout)


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
