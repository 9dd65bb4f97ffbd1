"""What a pause stops and its end lets go: the same question that the gate asks, once without and once with it.

Pure: it takes the routes that the gates take.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from domain.routing import Party, Routes, Scope


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
    free = dataclasses.replace(routes, pauses=others)
    held = dataclasses.replace(routes, pauses=others | {(scope, name): ""})
    campaigns = [
        (_goes(free, owner, campaign), _goes(held, owner, campaign), _covered(routes, scope, name, owner, campaign))
        for campaign, owner in routes.campaigns.items()
    ]
    return Reach(
        campaigns=sum(before and not after for before, after, _ in campaigns),
        senders=sum(_goes(free, one) and not _goes(held, one) for one in routes.senders),
        ips=sum(_leaves(free, one) and not _leaves(held, one) for one in routes.exits),
        kept=sum(covered and not before for before, _, covered in campaigns),
    )


def _goes(routes: Routes, sender: str, campaign: str | None = None) -> bool:
    """Whether mail of a sender, of its campaign, may leave by any IP."""
    party = Party(sender=sender, campaign=campaign)
    if routes.stopped(party):
        return False
    return any(not routes.closed(address) for tier in routes.tiers(party) for address in tier)


def _leaves(routes: Routes, address: str) -> bool:
    """Whether mail may leave by an IP."""
    return not routes.closed(address) and not routes.stopped(Party(sender=routes.exits[address].sender))


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
