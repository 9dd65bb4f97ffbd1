"""What a change of routes means for mail that already waits in a mail system's queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.routing import Routes, transport_name


@dataclass(frozen=True, slots=True)
class Queued:
    """One message in a queue.

    Attributes:
        transport: the transport that it is bound to, ``wp-198-51-100-7``; empty for mail that is resolved
            anew at each try.
        waits: it is not tried before its next turn; a message that is resolved already, or that is being
            resolved now, does not wait.
        since: when it came into the queue, Unix seconds; a message that was put back came anew.
    """

    id: str
    sender: str
    login: str = ""
    transport: str = ""
    waits: bool = True
    since: int = 0


def transports(routes: Routes) -> dict[str, str]:
    """Address of each transport that may send now."""
    return {transport_name(one): one for one in routes.exits if not routes.closed(one)}


def must_leave(routes: Routes, open_: Mapping[str, str], changed_at: float, message: Queued) -> bool:
    """Whether a message must be resolved anew: its mail is paused, or its IP sends no more.

    Resolved anew, it asks the gate again: it leaves by another IP of its pool with room, or waits with the reason.
    Mail of others than the gate's (bound to a transport of another name, of a sender that nobody knows) is left alone.

    Args:
        open_: :func:`transports` of the routes.
        changed_at: when the routes became what they are, Unix seconds. What was resolved after that is right, and
            within the second of the change it is taken for right: put back for ever, mail would never leave.
    """
    party = routes.party(message.login, message.sender)
    if party is None:
        return False
    stopped = bool(routes.stopped(party))
    if message.transport:
        return message.transport.startswith("wp-") and (stopped or message.transport not in open_)
    if message.waits or message.since >= int(changed_at):
        return False
    tiers = {one for tier in routes.tiers(party) for one in tier}
    return stopped or any(routes.closed(one) for one in tiers)
