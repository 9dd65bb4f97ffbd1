"""What blocklists say of a candidate, in the two words that vetting needs."""

from __future__ import annotations

from settings import Settings


class BlocklistVetting:
    """Asks every list of POLICY.

    Lists that only show a neighbourhood never refuse a candidate. A PBL entry does, though it is no listing:
    mail could not go live from there.
    """

    def __init__(self, settings: Settings) -> None:
        from providers.blocklists import Blocklists

        self._lists = Blocklists(settings)

    async def look(self, address: str) -> tuple[list[str], list[str]]:
        """Zones that speak against the address, and zones without a true answer."""
        found = await self._lists.check(address)
        listed = [one.zone for one in found if one.blocks_live or (one.state == "listed" and one.acts)]
        return listed, [one.zone for one in found if one.state == "unknown"]
