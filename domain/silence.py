"""What must send nothing at a mail system that does not ask the gate for each mail."""

from __future__ import annotations

from collections.abc import Collection

from domain.routing import Exit, Party, Routes, Scope


def open_exits(routes: Routes) -> set[str]:
    """The addresses that mail may leave by now."""
    return {one for one in routes.exits if not routes.closed(one)}


def why_silent(routes: Routes, scope: Scope, name: str, held: Collection[str]) -> str:
    """Why nothing of a sender, a campaign, a pool, or of all may be sent; empty when it may.

    A pause says so, and so does the lack of an IP: mail that finds none at such a system is not kept, it leaves by
    an IP of somebody else. The overflow of a pool is of no help there, because nothing chooses an IP per mail.

    Args:
        held: the addresses that the mail system has; other ones do not count.
    """
    if scope is Scope.ALL:
        return routes.stopped(Party())
    if scope is Scope.CAMPAIGN:
        sender = routes.campaigns.get(name)
        if sender is None:
            return routes.stopped(Party()) or f"there is no campaign {name}"
        return routes.stopped(Party(sender=sender, campaign=name)) or _without_ip(routes, sender, held)
    if scope is Scope.SENDER:
        if name not in routes.senders:
            return routes.stopped(Party()) or f"there is no sender {name}"
        return routes.stopped(Party(sender=name)) or _without_ip(routes, name, held)
    of_pool = [one for one in routes.exits.values() if one.pool == name]
    return routes.stopped(Party()) or _closed(routes, of_pool, f"pool {name}", held)


def _without_ip(routes: Routes, sender: str, held: Collection[str]) -> str:
    pool = routes.senders[sender]
    usable = [one for one in routes.exits.values() if one.sender == sender or (one.pool == pool and one.sender is None)]
    return _closed(routes, usable, f"sender {sender}", held)


def _closed(routes: Routes, exits: Collection[Exit], whose: str, held: Collection[str]) -> str:
    here = sorted(one.address for one in exits if one.address in held)
    reasons = [routes.closed(one) for one in here]
    if not here:
        return f"{whose} has no IP here that may send"
    return "" if not all(reasons) else f"{whose} has no IP here that may send: {reasons[0]}"
