"""What a pause stops and its end lets go: the same question that the gate asks, once without and once with it.

Pure: it takes the routes that the gates take.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from domain.routing import Party, Routes, Scope, spilling


@dataclass(frozen=True)
class Reach:
    """What stands still because of one pause alone.

    Attributes:
        campaigns: campaigns whose mail it stops; one whose pool overflows to an IP that sends is not among them.
        senders: senders, counted alike.
        ips: IPs that send but for it.
        kept: campaigns of those covered that do not send without it either, by another pause or for want of an IP.
    """

    campaigns: int
    senders: int
    ips: int
    kept: int


def reach(routes: Routes, scope: Scope, name: str) -> Reach:
    """What a pause of a scope stops, whether it is there already or not."""
    others = {key: why for key, why in routes.pauses.items() if key != (scope, name)}
    free = _Going(dataclasses.replace(routes, pauses=others))
    held = _Going(dataclasses.replace(routes, pauses=others | {(scope, name): ""}))
    campaigns = routes.campaigns.items()
    return Reach(
        campaigns=sum(free.mail(owner, one) and not held.mail(owner, one) for one, owner in campaigns),
        senders=sum(free.mail(one) and not held.mail(one) for one in routes.senders),
        ips=sum(free.ip(one) and not held.ip(one) for one in routes.exits),
        kept=sum(_covered(routes, scope, name, owner, one) and not free.mail(owner, one) for one, owner in campaigns),
    )


class _Going:
    """What may send, worked out once for a whole fleet; the same answers as :meth:`Routes.tiers` gives one by one."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        going = [one for address, one in routes.exits.items() if not routes.closed(address)]
        self._own = {one.sender for one in going if one.sender is not None}
        self._shared = {one.pool for one in going if one.sender is None}
        self._helping = {one.pool for one in going if one.sender is None and one.helps}

    def mail(self, sender: str, campaign: str | None = None) -> bool:
        """Whether mail of a sender, of its campaign, may leave by any IP."""
        if self._routes.stopped(Party(sender=sender, campaign=campaign)):
            return False
        pool, *others = spilling(self._routes.overflow, self._routes.senders[sender])
        return sender in self._own or pool in self._shared or not self._helping.isdisjoint(others)

    def ip(self, address: str) -> bool:
        """Whether mail may leave by an IP."""
        return not self._routes.closed(address) and not self._routes.stopped(Party(ip=address))


def _covered(routes: Routes, scope: Scope, name: str, sender: str, campaign: str) -> bool:
    """Whether a pause concerns a campaign by name: itself, its sender, its sender's pool, or everything."""
    match scope:
        case Scope.ALL:
            return True
        case Scope.CAMPAIGN:
            return campaign == name
        case Scope.SENDER:
            return sender == name
        case Scope.POOL:
            return routes.senders.get(sender) == name
        case Scope.IP:
            return name in routes.exits and routes.exits[name].sender == sender
