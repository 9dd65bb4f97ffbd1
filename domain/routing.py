"""Which IPs may send whose mail, in which order, and what stands in the way.

Pure: a :class:`Routes` is one consistent reading of the store. The one rule for every way to spend the ledger: both
protocols of the gate and the leases over HTTP ask it.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.words import DEFAULT_POOL, Stage

#: Characters of an address that a Postfix service name does not carry.
_DASHES = str.maketrans(".:", "--")
_TRANSPORT = re.compile(r"wp-([0-9a-f-]{2,39})")
#: Reasons of single IPs in one answer, and its characters: an SMTP reply line has 512.
REASONS, CHARACTERS = 3, 380
#: How the reason of a campaign's pause begins when the campaign is over.
FINISHED = "finished"


def transport_name(address: str) -> str:
    """The Postfix transport that sends from an IP: ``wp-198-51-100-7``, ``wp-2001-db8--7``.

    The gate answers it and the Postfix fragments define it; both take it from here.
    """
    return "wp-" + address.lower().translate(_DASHES)


def address_of(transport: str) -> str:
    """The IP of a transport by its name, the way back of :func:`transport_name`; empty when it is none of ours."""
    found = _TRANSPORT.fullmatch(transport)
    if found is None:
        return ""
    name = found[1]
    try:
        # IPv6 has seven dashes, or two that stand together.
        return str(ipaddress.ip_address(name.replace("-", ":" if "--" in name or name.count("-") == 7 else ".")))
    except ValueError:
        return ""


class Scope(enum.StrEnum):
    """What an operator's pause covers."""

    ALL = "all"
    IP = "ip"
    POOL = "pool"
    SENDER = "sender"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class Exit:
    """An IP that sends: warming or at full capacity (``warm``), and maybe ``at_risk`` meanwhile."""

    address: str
    pool: str = DEFAULT_POOL
    sender: str | None = None
    domain: str = ""
    warm: bool = False
    safe_limit: int = 0
    at_risk: bool = False

    @property
    def helps(self) -> bool:
        """Whether it takes the overflow of other pools.

        Mail of others would take the day of an IP that is warming up, and one at risk gets no new domains.
        """
        return self.warm and not self.at_risk


@dataclass(frozen=True, slots=True)
class Party:
    """Whose mail it is. ``sender`` is None for mail known by the domain of an IP, or by nothing but a pool.

    ``ip`` names the one IP that a lease asked for.
    """

    sender: str | None = None
    domain: str | None = None
    pool: str | None = None
    campaign: str | None = None
    ip: str | None = None


def campaign_of(login: str, mail_from: str) -> str | None:
    """The campaign that an address names: the first extension of its local part.

    ``news+spring@acme.example`` and ``bounce+spring+ann=example.org@acme.example`` are of campaign
    ``spring``. The envelope sender counts before the login.
    """
    for text in (mail_from, login):
        local = text.partition("@")[0]
        _, plus, extension = local.partition("+")
        word = extension.partition("+")[0]
        if plus and word:
            return word.lower()
    return None


@dataclass(frozen=True)
class Routes:
    """Inventory, assignments and pauses at one instant.

    Attributes:
        exits: by address; only IPs that send.
        overflow: pool to the pool that takes what it cannot.
        senders: sender to its pool.
        matches: login, address or domain (lower case) to sender.
        campaigns: campaign to sender.
        pauses: (scope, name) to the reason; the name of ``all`` is empty.
        held: IP whose ledger is paused, by its warm-up or an alert, to the reason.
        default_pool: pool for mail whose sender is not known; empty for none.
    """

    exits: Mapping[str, Exit] = field(default_factory=dict)
    overflow: Mapping[str, str | None] = field(default_factory=dict)
    senders: Mapping[str, str] = field(default_factory=dict)
    matches: Mapping[str, str] = field(default_factory=dict)
    campaigns: Mapping[str, str] = field(default_factory=dict)
    pauses: Mapping[tuple[str, str], str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    default_pool: str = ""

    def fingerprint(self) -> str:
        """A short text that two readings share exactly when they say the same."""
        parts = (
            sorted(self.exits.items()), sorted(self.overflow.items()), sorted(self.senders.items()),
            sorted(self.matches.items()), sorted(self.campaigns.items()), sorted(self.pauses.items()),
            sorted(self.held.items()), self.default_pool,
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @functools.cached_property
    def _by_sender(self) -> dict[str, list[Exit]]:
        return _grouped((one.sender or "", one) for one in self.exits.values())

    @functools.cached_property
    def _by_domain(self) -> dict[str, list[Exit]]:
        # An IP of a sender serves nobody else: mail of its domain is that sender's, or nobody's.
        return _grouped((one.domain, one) for one in self.exits.values() if one.sender is None)

    @functools.cached_property
    def _senders_by_domain(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in self.exits.values():
            if one.sender is not None and one.domain:
                found.setdefault(one.domain, set()).add(one.sender)
        return found

    @functools.cached_property
    def _by_pool(self) -> dict[str, list[Exit]]:
        return _grouped((one.pool, one) for one in self.exits.values())

    def party(self, login: str, mail_from: str) -> Party | None:
        """Whose mail this is: by login, then by address, then by domain; None when nobody knows it."""
        login, mail_from = login.strip().lower(), mail_from.strip().lower()
        domain = mail_from.rpartition("@")[2]
        for key in (login, plain(login), mail_from, plain(mail_from), domain):
            sender = self.matches.get(key) or (key if key in self.senders else None)
            if key and sender:
                return self._of_sender(sender, login, mail_from)
        if domain in self._by_domain:
            return Party(domain=domain)
        owners = self._senders_by_domain.get(domain, set())
        if len(owners) == 1:
            return self._of_sender(next(iter(owners)), login, mail_from)
        return Party(pool=self.default_pool) if self.default_pool else None

    def _of_sender(self, sender: str, login: str, mail_from: str) -> Party:
        campaign = campaign_of(login, mail_from)
        return Party(sender=sender, campaign=campaign if self.campaigns.get(campaign or "") == sender else None)

    def stopping(self, party: Party) -> tuple[Scope, str] | None:
        """The pause by which nothing of this party may be sent, the widest first; None when it may."""
        owner = self.exits.get(party.ip or "")
        for scope, name in (
            (Scope.ALL, ""),
            # Whoever asks for a sender's own IP sends that sender's mail.
            (Scope.SENDER, owner.sender if owner else party.sender),
            (Scope.CAMPAIGN, party.campaign),
        ):
            if name is not None and (scope, name) in self.pauses:
                return scope, name
        return None

    def stopped(self, party: Party) -> str:
        """Why nothing of this party may be sent; empty when it may."""
        found = self.stopping(party)
        if found is None:
            return ""
        scope, name = found
        reason, what = self.pauses[found], "all mail" if scope is Scope.ALL else f"{scope} {name}"
        if scope is Scope.CAMPAIGN and reason.partition(":")[0] == FINISHED:
            return f"{what} is {reason}"
        return _paused(what, reason)

    def closed(self, address: str) -> str:
        """Why nothing may leave by an IP; empty when it may."""
        found = self.exits.get(address)
        if found is None:
            return idle(address)
        for scope, name, said in ((Scope.IP, address, address), (Scope.POOL, found.pool, f"pool {found.pool}")):
            if (reason := self.pauses.get((scope, name))) is not None:
                return _paused(said, reason)
        if (reason := self.held.get(address)) is not None:
            return _paused(address, reason)
        return ""

    def tiers(self, party: Party) -> tuple[tuple[str, ...], ...]:
        """The IPs to try, one group after the other: own ones, the pool's shared ones, then the overflow.

        Paused IPs are in it; :meth:`closed` says so. In an overflow pool only those help out that :attr:`Exit.helps`
        names. A circle of pools ends where it began.
        """
        found: list[tuple[str, ...]] = []
        if party.ip is not None:
            return ((party.ip,),)
        if party.sender is not None:
            own = self._by_sender.get(party.sender, [])
            first = self.senders.get(party.sender) or (own[0].pool if own else None)
        elif party.domain is not None:
            own = self._by_domain.get(party.domain, [])
            # Its siblings in the pool belong to other domains: only the overflow helps out.
            first = self.overflow.get(own[0].pool) if own else None
        else:
            own, first = [], party.pool
        found.append(_addresses(own))
        spills = party.domain is not None
        for pool in spilling(self.overflow, first) if first is not None else ():
            shared = [one for one in self._by_pool.get(pool, []) if one.sender is None and one not in own]
            if spills:
                found.append(_addresses(one for one in shared if one.helps))
            else:
                found.append(_addresses(shared))
            spills = True
        return tuple(tier for tier in found if tier)


def spilling(overflow: Mapping[str, str | None], pool: str) -> tuple[str, ...]:
    """A pool and those that take what it cannot, in their order; a circle ends where it began."""
    found: dict[str, None] = {}
    step: str | None = pool
    while step is not None and step not in found:
        found[step] = None
        step = overflow.get(step)
    return tuple(found)


def circle(overflow: Mapping[str, str | None], pool: str, to: str | None) -> tuple[str, ...]:
    """The circle that pools would run in if ``pool`` overflowed to ``to``, as a path; empty for none."""
    path = (pool, *(spilling({**overflow, pool: None}, to) if to is not None else ()))
    return path if pool in path[1:] else ()


def ranked(tier: Iterable[str], shares: Mapping[str, float]) -> list[str]:
    """The IPs of one group, the first to send first: the one with the largest part of its allowance left.

    So all of a group reach their caps together, each at its own pace. Equals go by address.

    Args:
        shares: 0 to 1, see :class:`domain.allowance.Allowance`; an IP that is not named has all of it.
    """
    return sorted(tier, key=lambda one: (-shares.get(one, 1.0), one))


def spread(count: int, rooms: Sequence[int]) -> list[int]:
    """How many of ``count`` mails each IP of a group takes at once: an even part each, never more than its room.

    What one cannot take falls to the others; where it does not come out even, the first ones take one more.
    """
    taken, left = [0] * len(rooms), count
    while left > 0 and (able := [place for place, room in enumerate(rooms) if room > taken[place]]):
        part, more = divmod(left, len(able))
        for turn, place in enumerate(able):
            got = min(part + (turn < more), rooms[place] - taken[place])
            taken[place] += got
            left -= got
    return taken


def refusal(party: Party, reasons: Iterable[str]) -> str:
    """Why nothing more is granted, in one line.

    Args:
        reasons: of each IP that was tried, in the order of :meth:`Routes.tiers`.
    """
    said = list(dict.fromkeys(reasons))
    if not said:
        return f"no IP of {name_of(party)} is warming or at full capacity; start a warm-up or add one"
    more = f"; and {len(said) - REASONS} more IPs" if len(said) > REASONS else ""
    return "; ".join(said[:REASONS])[:CHARACTERS] + more


def idle(address: str, stage: Stage | None = None) -> str:
    """Why an IP sends nothing at its stage."""
    if stage is Stage.RETIRED:
        return f"{address} is retired and sends no more; ask for another IP, or for its pool or sender"
    stands = f"; its stage is {stage}" if stage else ""
    return f"{address} is neither warming nor at full capacity{stands}"


def plain(address: str) -> str:
    """An address without its extension: ``news+spring@acme.example`` is ``news@acme.example``."""
    local, at, domain = address.partition("@")
    return local.partition("+")[0] + at + domain


def name_of(party: Party) -> str:
    """A party as a reason names it."""
    if party.sender is not None:
        return f"sender {party.sender}"
    if party.ip is not None:
        return party.ip
    return f"domain {party.domain}" if party.domain is not None else f"pool {party.pool}"


def _grouped(pairs: Iterable[tuple[str, Exit]]) -> dict[str, list[Exit]]:
    found: dict[str, list[Exit]] = {}
    for key, one in pairs:
        if key:
            found.setdefault(key, []).append(one)
    return found


def _addresses(exits: Iterable[Exit]) -> tuple[str, ...]:
    return tuple(sorted(one.address for one in exits))


def _paused(what: str, reason: str) -> str:
    return f"{what} is paused: {reason}" if reason else f"{what} is paused"
