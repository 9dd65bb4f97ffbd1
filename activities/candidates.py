"""Vetting: what is known of the addresses that an order could buy, and which of them are good."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from activities.context import Context
from domain import purchase as rules
from domain.addresses import neighbourhood
from providers.ip_vendors.port import Offer
from store import purchase as orders
from store.tables.purchase import Order

#: Seconds that the reverse zone of a candidate may take to answer; a quote does not wait for a silent one.
PTR_PATIENCE = 3.0


class Vetting(Protocol):
    """What blocklists and reverse DNS say of an address."""

    async def look(self, address: str) -> list[rules.ListAnswer]:
        """What every list says."""
        ...

    async def is_listed(self, address: str) -> bool:
        """Whether a list that acts names a neighbour."""
        ...

    async def ptr(self, address: str) -> tuple[rules.PtrFound, str | None]:
        """The reverse name now."""
        ...


class Vetter:
    """Vets candidates, all of an order at once and one at a time."""

    def __init__(self, context: Context, lists: Vetting) -> None:
        self._context = context
        self.lists = lists

    async def candidates(self, order: Order, offers: Sequence[Offer]) -> list[rules.Candidate]:
        """Vetted candidates: as many as ordered and the spares, more only while too few are good.

        What other open orders were offered comes last: whoever pays first gets it, and the other order would fail.
        """
        async with self._context.db.read() as session:
            used = await orders.in_use(session, [one.address for one in offers], order.id)
            elsewhere = await orders.quoted_elsewhere(session, order.id)
        free = [offer for offer in offers if offer.address not in used]
        free.sort(key=lambda offer: offer.address in elsewhere)
        found: list[rules.Candidate] = []
        size = order.count + self._context.settings.vetting_spares
        for first in range(0, len(free), size):
            found += await asyncio.gather(*(self._candidate(offer) for offer in free[first : first + size]))
            if sum(one.verdict is rules.Verdict.RECOMMENDED for one in found) >= order.count:
                break
        return found

    async def _candidate(self, offer: Offer) -> rules.Candidate:
        evidence = await self._evidence(offer.address, offer.ptr)
        verdict, reasons = self._verdict(evidence)
        return rules.Candidate(
            address=offer.address,
            price=rules.Money.of(self._context.settings.extra_ip_monthly_price),
            cost=rules.Money.of(offer.monthly),
            verdict=verdict,
            reasons=reasons,
            **evidence.model_dump(),
        )

    async def again(self, address: str) -> tuple[rules.Verdict, list[str]]:
        """The verdict on an address now, and why."""
        return self._verdict(await self._evidence(address, None))

    def _verdict(self, evidence: rules.Evidence) -> tuple[rules.Verdict, list[str]]:
        return rules.vet(evidence, tolerated=self._context.settings.vetting_neighbours_tolerated)

    async def _evidence(self, address: str, ptr: str | None) -> rules.Evidence:
        around = rules.sample(address, self._context.settings.vetting_neighbours)
        listings, (state, name), listed = await asyncio.gather(
            self.lists.look(address),
            self._ptr(address, ptr),
            asyncio.gather(*(self.lists.is_listed(one) for one in around)),
        )
        return rules.Evidence(
            listings=listings,
            neighbours=rules.Neighbours(
                network=neighbourhood(address),
                asked=around,
                listed=[one for one, bad in zip(around, listed, strict=True) if bad],
            ),
            ptr=name,
            ptr_state=state,
        )

    async def _ptr(self, address: str, told: str | None) -> tuple[rules.PtrFound, str | None]:
        """What the vendor told, else what the reverse zone says in time."""
        if told:
            return rules.PtrFound.FOUND, told
        try:
            return await asyncio.wait_for(self.lists.ptr(address), PTR_PATIENCE)
        except TimeoutError:
            return rules.PtrFound.UNKNOWN, None
