"""What blocklists and reverse DNS say of a candidate, in the words that vetting needs."""

from __future__ import annotations

import dns.exception

from domain.blocklists import ZONES, Weight, ZoneAnswer
from domain.dns import reverse_hint, reverse_name
from domain.purchase import ListAnswer, PtrFound
from domain.refusals import Refused
from providers.blocklists import Blocklists
from providers.dns.observer import Observer
from providers.dns.zones import ZoneNotFound
from settings import Settings

#: A neighbour is asked only of lists whose word counts; the others say nothing about a candidate.
ACTING = tuple(zone for zone in ZONES if zone.weight not in (Weight.SHOWN, Weight.ALLOW))


class BlocklistVetting:
    """Asks every list of :mod:`domain.blocklists`, and the reverse zone.

    Lists that only show a neighbourhood never refuse a candidate. A PBL entry does, though it is no listing:
    mail could not go live from there.
    """

    def __init__(self, settings: Settings) -> None:
        self._lists = Blocklists(settings)
        self._observer = Observer.from_settings(settings)

    async def look(self, address: str) -> list[ListAnswer]:
        """What every list says of an address."""
        return [
            ListAnswer(zone=one.zone, state=one.state, reason=one.reason, against=_acts(one) or one.blocks_live)
            for one in await self._lists.check(address)
        ]

    async def is_listed(self, address: str) -> bool:
        """Whether a list that acts names a neighbour."""
        return any(_acts(one) for one in await self._lists.check(address, ACTING))

    async def ptr(self, address: str) -> tuple[PtrFound, str | None]:
        """The reverse name now.

        Only authoritative servers are asked: a resolver would remember that there is none, and hide the one
        that DNS set-up is about to publish.
        """
        try:
            zone = await self._observer.zone(reverse_hint(address))
            values = await self._observer.values(reverse_name(address), "PTR", zone)
        except (ZoneNotFound, Refused, dns.exception.DNSException, OSError):
            return PtrFound.UNKNOWN, None
        if not values:
            return PtrFound.NONE, None
        return PtrFound.FOUND, values[0].rstrip(".")


def _acts(one: ZoneAnswer) -> bool:
    return one.state == "listed" and one.acts
