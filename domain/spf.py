"""SPF (RFC 7208): merging one address into what is there, and evaluating within the limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence

from pydantic import BaseModel

from domain.refusals import Refused

#: RFC 7208, 4.6.4: terms that cause DNS queries, and answers that hold nothing.
MAX_LOOKUPS = 10
MAX_VOID = 2

#: ``(name, type) -> values``; an empty list is a void look-up, ``None`` a DNS failure.
Fetch = Callable[[str, str], Awaitable[list[str] | None]]


class SpfResult(BaseModel):
    """What a receiver would conclude: ``pass``, ``fail``, ``softfail``, ``neutral``, ``none``,
    ``permerror`` or ``temperror``, with the look-ups it took."""

    result: str
    lookups: int = 0
    void: int = 0
    detail: str = ""


def is_spf(text: str) -> bool:
    """Whether a TXT value is an SPF record."""
    lowered = text.lower()
    return lowered == "v=spf1" or lowered.startswith("v=spf1 ")


def mechanism(address: str) -> str:
    """The term that authorises one address."""
    parsed = ipaddress.ip_address(address)
    return f"ip{parsed.version}:{parsed}"


def authorises_directly(record: str, address: str) -> bool:
    """Whether an ``ip4``/``ip6`` term of the record covers the address with ``+``, before any ``all``."""
    for term in record.split()[1:]:
        bare = term.removeprefix("+")
        if bare.lower() == "all" or term[1:].lower() == "all":
            return False
        kind, _, value = bare.partition(":")
        if kind.lower() in ("ip4", "ip6") and _covers(value, address):
            return True
    return False


def is_open(record: str) -> bool:
    """Whether the record lets everybody in the world send in the domain's name."""
    return any(term.lower() in ("all", "+all") for term in record.split()[1:])


def holds(expected: str, found: str, *, without: Sequence[str] = ()) -> bool:
    """Whether a record authorises at least what is expected; the ending (``all``) is the domain's own choice.

    Several IPs of one domain share one record: what the next IP adds is no drift of the first.

    Args:
        without: addresses whose own terms need not be there: other IPs of the domain.
    """

    def terms(record: str) -> set[str]:
        before = []
        for term in record.lower().split()[1:]:
            if term.lstrip("+-~?") == "all":
                break
            before.append(term.removeprefix("+"))
        return {term for term in before if not term.startswith("redirect=")}

    return terms(expected) - {mechanism(address) for address in without} <= terms(found)


def merge(existing: Sequence[str], address: str) -> str:
    """The one SPF record that authorises an address and keeps all that was authorised before.

    Args:
        existing: the TXT values at the domain; those that are no SPF are ignored. Several SPF records
            (a permanent error for every receiver) are folded into one.
        address: the sending IP. Its term comes first: it costs no look-up and nothing overrules it.
    """
    records = [text for text in existing if is_spf(text)]
    if not records:
        return f"v=spf1 {mechanism(address)} ~all"
    if len(records) == 1 and authorises_directly(records[0], address):
        return records[0]
    terms: list[str] = []
    ending = ""
    for record in records:
        for term in record.split()[1:]:
            if term.lstrip("+-~?").lower() == "all" or term.lower().startswith("redirect="):
                ending = ending or term
            elif term.lower() not in (known.lower() for known in terms):
                terms.append(term)
    own = mechanism(address)
    rest = [term for term in terms if term.lower().removeprefix("+") != own]
    return " ".join(["v=spf1", own, *rest, ending or "~all"])


def check_limits(result: SpfResult, domain: str) -> None:
    """Refuse a record that receivers would not evaluate to the end.

    Raises:
        Refused: more than 10 look-ups or more than 2 void ones.
    """
    if result.lookups > MAX_LOOKUPS or result.void > MAX_VOID:
        raise Refused(
            f"The SPF record of {domain} takes {result.lookups} look-ups ({result.void} void); "
            f"receivers stop at {MAX_LOOKUPS} ({MAX_VOID} void). Remove includes that are no longer used.",
            field="domain",
            code="spf_limit",
        )


async def evaluate(domain: str, address: str, fetch: Fetch, *, record: str | None = None) -> SpfResult:
    """Evaluate the SPF of a domain for an address, as a receiver does.

    Args:
        fetch: asks DNS; TXT values are joined strings, MX values are host names.
        record: take this text instead of what the domain publishes (a record about to be published).
    """
    walk = _Walk(ipaddress.ip_address(address), fetch)
    try:
        verdict = await walk.domain(domain, record)
    except _Stop as stop:
        return SpfResult(result=stop.result, lookups=walk.lookups, void=walk.void, detail=stop.detail)
    return SpfResult(result=verdict, lookups=walk.lookups, void=walk.void)


class _Stop(Exception):
    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result, self.detail = result, detail


class _Walk:
    def __init__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, fetch: Fetch) -> None:
        self.address = address
        self.lookups = self.void = 0
        self._fetch = fetch

    async def domain(self, domain: str, record: str | None = None) -> str:
        if record is None:
            texts = await self._fetch(domain, "TXT")
            if texts is None:
                raise _Stop("temperror", f"DNS failed for the TXT records of {domain}.")
            found = [text for text in texts if is_spf(text)]
            if len(found) > 1:
                raise _Stop("permerror", f"{domain} has {len(found)} SPF records; one is allowed.")
            if not found:
                return "none"
            record = found[0]
        redirect = ""
        for term in record.split()[1:]:
            if term.lower().startswith("redirect="):
                redirect = term[9:]
                continue
            qualifier, body = (term[0], term[1:]) if term[0] in "+-~?" else ("+", term)
            if await self._matches(body, domain):
                return {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}[qualifier]
        if redirect:
            self._count()
            verdict = await self.domain(redirect)
            if verdict == "none":
                raise _Stop("permerror", f"redirect to {redirect}, which has no SPF record.")
            return verdict
        return "neutral"

    async def _matches(self, body: str, domain: str) -> bool:
        head, _, value = body.partition(":")
        name, slash, prefix = head.partition("/")
        name = name.lower()
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return _covers(value, str(self.address))
        if name == "include":
            self._count()
            verdict = await self.domain(value)
            if verdict == "none":
                raise _Stop("permerror", f"include of {value}, which has no SPF record.")
            return verdict == "pass"
        if name in ("a", "mx"):
            self._count()
            target, slash2, prefix2 = value.partition("/")
            length = (prefix2 if slash2 else prefix if slash else "").split("/")[0]
            return await self._host(name, target or domain, length)
        if name in ("exists", "ptr"):
            self._count()
            return name == "exists" and bool(await self._ask(value, "A"))
        if "=" in body:
            return False
        raise _Stop("permerror", f"{body!r} is no SPF term.")

    async def _host(self, kind: str, target: str, length: str) -> bool:
        hosts = [target] if kind == "a" else await self._ask(target, "MX")
        rdtype = "A" if self.address.version == 4 else "AAAA"
        if len(hosts) > MAX_LOOKUPS:
            raise _Stop("permerror", f"{target} has {len(hosts)} MX hosts; receivers look at {MAX_LOOKUPS}.")
        for host in hosts:
            for found in await self._ask(host, rdtype):
                if _covers(f"{found}/{length}" if length else found, str(self.address)):
                    return True
        return False

    async def _ask(self, name: str, rdtype: str) -> list[str]:
        values = await self._fetch(name, rdtype)
        if values is None:
            raise _Stop("temperror", f"DNS failed for {name} {rdtype}.")
        if not values:
            self.void += 1
            if self.void > MAX_VOID:
                raise _Stop("permerror", f"more than {MAX_VOID} look-ups that find nothing.")
        return values

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise _Stop("permerror", f"more than {MAX_LOOKUPS} look-ups.")


def _covers(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
