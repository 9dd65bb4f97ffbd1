"""Blocklists as data, and how an answer of one is read.

Zones and codes are those that each list documents, weights are this project's rule. An answer is never *clean* unless
a healthy list said so: SERVFAIL, REFUSED, a time-out, an error code or a code that the list does not
define is *unknown*, which is neither clean nor listed.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from pydantic import BaseModel, Field


class State(StrEnum):
    """What one list says of one name."""

    CLEAN = "clean"
    LISTED = "listed"
    UNKNOWN = "unknown"
    NOT_A_LISTING = "not_a_listing"


class Weight(StrEnum):
    """How much a listing matters; ``shown`` and ``allow`` never act."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    SHOWN = "shown"
    ALLOW = "allow"


class Outcome(StrEnum):
    """How a DNS query ended."""

    ADDRESSES = "addresses"
    NXDOMAIN = "nxdomain"
    FAILURE = "failure"


class Zone(BaseModel, frozen=True):
    """One list: which codes are listings, which are not, and how to get off it."""

    name: str
    listed: dict[str, tuple[str, Weight]] = Field(default_factory=dict, description="Code to (part, weight).")
    not_listed: dict[str, str] = Field(default_factory=dict, description="Defined codes that are no listing.")
    weight: Weight = Weight.LOW
    domains: bool = Field(False, description="Lists domains instead of addresses.")
    no_public_resolver: bool = Field(False, description="NXDOMAIN through a public resolver is no answer.")
    delisting: str = Field("", description="The way off the list, in words.")


class ZoneAnswer(BaseModel):
    """What one list said of one address or domain."""

    zone: str
    state: State
    codes: list[str] = []
    part: str = Field("", description="The part of the list, such as SBL or CSS.")
    weight: Weight = Weight.LOW
    acts: bool = Field(False, description="A listing that may act once it is confirmed.")
    blocks_live: bool = Field(False, description="PBL: no reputation, but mail cannot go live from here.")
    ttl: int = Field(0, description="Seconds for which a resolver may repeat this answer from its cache.")
    reason: str = ""


def _codes(
    numbers: range | tuple[int, ...], part: str, weight: Weight, base: str = "127.0.0."
) -> dict[str, tuple[str, Weight]]:
    return {f"{base}{number}": (part, weight) for number in numbers}


_ZEN = (
    "SBL and DROP: the ISP asks Spamhaus; CSS: expires by itself once sending is clean; "
    "XBL and PBL: self-service at check.spamhaus.org."
)

ZONES: tuple[Zone, ...] = (
    Zone(
        name="zen.spamhaus.org",
        listed={
            **_codes((2,), "SBL", Weight.CRITICAL),
            **_codes((3,), "CSS", Weight.HIGH),
            **_codes(range(4, 8), "XBL", Weight.CRITICAL),
            **_codes((9,), "DROP", Weight.CRITICAL),
            **_codes((30,), "BCL", Weight.CRITICAL),
        },
        not_listed={"127.0.0.10": "PBL", "127.0.0.11": "PBL"},
        weight=Weight.CRITICAL,
        no_public_resolver=True,
        delisting=_ZEN,
    ),
    Zone(
        name="b.barracudacentral.org",
        listed=_codes((2,), "BRBL", Weight.HIGH),
        weight=Weight.HIGH,
        delisting="Removal form at barracudacentral.org; the querying resolver must be registered.",
    ),
    Zone(
        name="bl.spamcop.net",
        listed=_codes((2,), "SCBL", Weight.MEDIUM),
        weight=Weight.MEDIUM,
        delisting="Expires about a day after the last report.",
    ),
    Zone(
        name="psbl.surriel.com",
        listed=_codes((2,), "PSBL", Weight.LOW),
        delisting="Self-service at psbl.org.",
    ),
    Zone(
        name="bl.mailspike.net",
        listed=_codes((10, 11, 12), "BL", Weight.MEDIUM),
        not_listed={f"127.0.0.{code}": "reputation" for code in range(13, 21)},
        weight=Weight.MEDIUM,
        delisting="Self-service at mailspike.org.",
    ),
    Zone(
        name="dnsbl-1.uceprotect.net",
        listed=_codes((2,), "level 1", Weight.LOW),
        delisting="Expires seven days after the last report.",
    ),
    Zone(
        name="dnsbl-2.uceprotect.net",
        listed=_codes((2,), "neighbourhood", Weight.SHOWN),
        weight=Weight.SHOWN,
        delisting="Nothing to do: it lists the provider's network.",
    ),
    Zone(
        name="dnsbl-3.uceprotect.net",
        listed=_codes((2,), "neighbourhood", Weight.SHOWN),
        weight=Weight.SHOWN,
        delisting="Nothing to do: it lists the provider's whole network.",
    ),
    Zone(
        name="hostkarma.junkemailfilter.com",
        listed=_codes((2, 4), "black", Weight.LOW),
        not_listed={"127.0.0.1": "white", "127.0.0.3": "yellow", "127.0.0.5": "no blacklist"},
        delisting="Removal form at junkemailfilter.com.",
    ),
)

DOMAIN_ZONES: tuple[Zone, ...] = (
    Zone(
        name="dbl.spamhaus.org",
        listed={
            **_codes(range(2, 7), "DBL", Weight.HIGH, "127.0.1."),
            **_codes(range(102, 107), "DBL abused", Weight.HIGH, "127.0.1."),
        },
        weight=Weight.HIGH,
        domains=True,
        no_public_resolver=True,
        delisting="Self-service at check.spamhaus.org. A domain's problem: another IP does not help.",
    ),
)

ALLOW_ZONES: tuple[Zone, ...] = (Zone(name="list.dnswl.org", weight=Weight.ALLOW),)

#: Lists that ended; whatever still answers there is ignored.
DEAD = frozenset({"dnsbl.sorbs.net"})

#: Resolvers that many share: lists that count queries refuse them, some with NXDOMAIN.
PUBLIC_RESOLVERS = frozenset(
    {"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222", "208.67.220.220"}
)

#: A list with a longer TTL than this is believed after this time: an hour's delay is worse than an echo.
LONGEST_ECHO_SECONDS = 3600

#: Listings of these weights act once confirmed: they put an IP at risk.
MATTERS = frozenset({Weight.CRITICAL, Weight.HIGH, Weight.MEDIUM})


def query_name(subject: str, suffix: str) -> str:
    """The name to ask: reversed octets or nibbles (v4-mapped as v4), or the domain, below the zone."""
    try:
        address = ipaddress.ip_address(subject)
    except ValueError:
        return f"{subject.rstrip('.')}.{suffix.rstrip('.')}."
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    labels = address.reverse_pointer.rsplit(".", 2)[0]
    return f"{labels}.{suffix.rstrip('.')}."


def probes(zone: Zone) -> tuple[str, str]:
    """RFC 5782, section 5: the entry that must be listed, and the one that must not."""
    return ("test", "invalid") if zone.domains else ("127.0.0.2", "127.0.0.1")


def healthy(zone: Zone, must: ZoneAnswer, must_not: ZoneAnswer) -> bool:
    """Whether a list answers as a list does; a dead or wildcarded one fails."""
    if zone.weight is Weight.ALLOW:
        return must.state is State.NOT_A_LISTING and must_not.state is State.CLEAN
    # A list of graded codes may answer its test entry with a grade; both show that it lives.
    return must.state is State.LISTED and must_not.state in (State.CLEAN, State.NOT_A_LISTING)


def read(
    zone: Zone, outcome: Outcome, codes: list[str], *, public: bool = False, why: str = "", ttl: int = 0
) -> ZoneAnswer:
    """What an answer means.

    Args:
        zone: the list asked.
        outcome: how the query ended.
        codes: addresses of the answer.
        public: the question went through a resolver that many share.
        why: what failed, in words.
        ttl: seconds that the answer may still be repeated by a cache.
    """
    answer = ZoneAnswer(zone=zone.name, state=State.UNKNOWN, codes=sorted(codes), weight=zone.weight, ttl=ttl)
    if zone.name in DEAD:
        return answer.model_copy(update={"reason": "This list ended; its answers are ignored."})
    if outcome is Outcome.FAILURE:
        return answer.model_copy(update={"reason": why or "The list did not answer."})
    if outcome is Outcome.NXDOMAIN:
        if public and zone.no_public_resolver:
            return answer.model_copy(update={"reason": "The list gives public resolvers no true answer."})
        return answer.model_copy(update={"state": State.CLEAN, "reason": "Not on this list."})
    if zone.weight is Weight.ALLOW:
        if "127.0.0.255" in codes or not all(code.startswith("127.0.") for code in codes):
            return answer.model_copy(update={"reason": "The list refuses this resolver."})
        return answer.model_copy(update={"state": State.NOT_A_LISTING, "reason": "On an allow list: good news."})
    return _by_code(zone, answer)


def _by_code(zone: Zone, answer: ZoneAnswer) -> ZoneAnswer:
    order = list(Weight)
    hits = sorted((zone.listed[code] for code in answer.codes if code in zone.listed), key=lambda h: order.index(h[1]))
    if not answer.codes or any(
        code.startswith("127.255.255.") or code not in {*zone.listed, *zone.not_listed} for code in answer.codes
    ):
        said = ", ".join(answer.codes) or "nothing"
        return answer.model_copy(update={"reason": f"Not a code of this list: {said}."})
    blocks_live = any(zone.not_listed.get(code) == "PBL" for code in answer.codes)
    if hits:
        part, weight = hits[0]
        return answer.model_copy(
            update={
                "state": State.LISTED,
                "part": part,
                "weight": weight,
                "acts": weight is not Weight.SHOWN,
                "blocks_live": blocks_live,
                "reason": f"Listed by {zone.name} ({part}).",
            }
        )
    parts = ", ".join(sorted({zone.not_listed[code] for code in answer.codes}))
    reason = f"{parts}: no listing."
    if blocks_live:
        reason = "On the PBL: the network's owner lets no mail out from here; remove it before going live."
    return answer.model_copy(
        update={"state": State.NOT_A_LISTING, "part": parts, "blocks_live": blocks_live, "reason": reason}
    )


def echo_seconds(answer: ZoneAnswer) -> float:
    """How long a second look may be nothing but an echo of this one: its TTL, at most ``LONGEST_ECHO_SECONDS``."""
    return float(min(max(answer.ttl, 0), LONGEST_ECHO_SECONDS))


def delisting(zone_name: str) -> str:
    """The way off a list, in words; empty for an unknown list."""
    return next((zone.delisting for zone in (*ZONES, *DOMAIN_ZONES) if zone.name == zone_name), "")
