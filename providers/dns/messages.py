"""One question to one DNS server, and what its answer says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
from domain import dns as rules
from domain.propagation import negative_ttl
from providers.dns.endpoint import Endpoint

#: Aliases followed from one name, each into another zone.
MOST_ALIASES = 5


@dataclass(frozen=True)
class Delegation:
    """What a parent says about a zone: its name servers, and the addresses given with them (glue)."""

    names: frozenset[str]
    glue: tuple[tuple[str, str], ...] = ()


async def ask(
    endpoint: Endpoint, name: str, rdtype: str, *, recurse: bool, timeout: float
) -> dns.message.Message | None:
    """What a server answers over UDP, or TCP where that is cut short; None for silence and garbage."""
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
    if not recurse:
        query.flags &= ~dns.flags.RD
    try:
        reply, _ = await dns.asyncquery.udp_with_fallback(
            query, endpoint.address, timeout=timeout, port=endpoint.port, ignore_unexpected=True
        )
    except (dns.exception.DNSException, OSError, EOFError):
        return None
    return reply


def answer(server: str, record: rules.Record, reply: dns.message.Message | None) -> rules.Answer:
    """An answer, or its absence, as the rules of propagation know it."""
    at = dt.datetime.now(dt.UTC)
    if reply is None:
        return rules.Answer(server=server, outcome="timeout", at=at)
    if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return rules.Answer(server=server, outcome="server_failure", at=at)
    if found := values(reply, record.name, record.type):
        ttl = min(rrset.ttl for rrset in reply.answer)
        return rules.Answer(server=server, outcome="answer", values=sorted(found), ttl=ttl, at=at)
    outcome = "nxdomain" if reply.rcode() == dns.rcode.NXDOMAIN else "nodata"
    soa = next((r for r in reply.authority if r.rdtype == dns.rdatatype.SOA), None)
    left = negative_ttl(soa.ttl, int(soa[0].minimum)) if soa else None
    return rules.Answer(server=server, outcome=outcome, ttl=left, at=at)


def referral(reply: dns.message.Message, name: str) -> Delegation | None:
    """The delegation that an answer without authority points to, if it leads towards the name."""
    wanted = dns.name.from_text(name)
    for rrset in reply.authority:
        if rrset.rdtype == dns.rdatatype.NS and wanted.is_subdomain(rrset.name) and not reply.answer:
            names = frozenset(text(item) for item in rrset)
            glue = tuple(
                (extra.name.to_text(omit_final_dot=True).lower(), item.to_text())
                for extra in reply.additional
                if extra.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
                for item in extra
            )
            return Delegation(names, glue)
    return None


def alias(reply: dns.message.Message, name: str) -> str | None:
    """Where the aliases of an authoritative answer lead, when that is out of the zone or below a delegation."""
    seen = start = dns.name.from_text(name)
    for _ in range(MOST_ALIASES):
        following = target(reply, seen)
        if following is None:
            break
        seen = following
    if seen == start or not reply.flags & dns.flags.AA:
        return None
    # With the zone's own SOA beside it the server has said that there is nothing at the end of the alias.
    told = any(r.rdtype == dns.rdatatype.SOA and seen.is_subdomain(r.name) for r in reply.authority)
    return None if told else seen.to_text(omit_final_dot=True).lower()


def target(reply: dns.message.Message, name: dns.name.Name) -> dns.name.Name | None:
    """Where the alias of a name leads, when an answer holds one."""
    return next((r[0].target for r in reply.answer if r.rdtype == dns.rdatatype.CNAME and r.name == name), None)


def values(reply: dns.message.Message, name: str, rdtype: str) -> list[str]:
    """Values of the asked type, through CNAMEs; TXT strings joined without space."""
    kind = dns.rdatatype.from_text(rdtype)
    return [text(item) for rrset in reply.answer if rrset.rdtype == kind for item in rrset]


def text(item: dns.rdata.Rdata) -> str:
    """A value as the records of a set-up are written: host names without the last dot and in lower case."""
    if item.rdtype == dns.rdatatype.TXT:
        return b"".join(item.strings).decode(errors="replace")  # type: ignore[attr-defined]
    text = item.to_text()
    return text.rstrip(".").lower() if item.rdtype in (2, 5, 12, 15) else text
