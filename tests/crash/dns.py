"""The DNS of a bought IP while it is set up, and what must hold when it is verified."""

from __future__ import annotations

import contextlib
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.rdatatype
import dns.reversename

from tests.crash import purchase as purchases
from tests.crash.purchase import Purchase
from tests.crash.system import Json, Look, System, reached


class Setup:
    """The DNS set-up of one IP that is bought for it."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.purchase = Purchase(system, count=1)
        self.address = ""

    async def begin(self) -> None:
        """Buy; DNS follows by itself."""
        await self.purchase.play()
        ended = await self.purchase.until(*purchases.ENDS)
        (self.address,) = ended["ips"]

    async def shown(self) -> Json:
        """The set-up as the API shows it."""
        return await self._system.look(f"/v1/ips/{self.address}/dns")

    async def published(self, name: str, rdtype: str) -> list[str]:
        """What the primary server answers, asked directly."""
        wanted = dns.message.make_query(name, rdtype)
        reply = await dns.asyncquery.tcp(wanted, "127.0.0.1", timeout=5, port=self._system.settings.sandbox_dns_port)
        return [value.to_text() for found in reply.answer for value in found]

    async def ask_support(self) -> None:
        """Contact Support, repeated with one key; a set-up that is verified by then refuses it."""
        path = f"/v1/ips/{self.address}/dns/support"
        await self._system.insist("POST", path, {"message": "?"}, f"support-{self.address}", allowed=(409, 404))

    def at(self, point: str) -> Look:
        """Whether DNS has come to a point."""

        async def look() -> bool:
            if point == "first record":
                with contextlib.suppress(dns.exception.DNSException, OSError):
                    return bool(await self.published(self.purchase.body["hostname"], "A"))
                return False
            shown = await self.shown()
            if point == "begun":
                return bool(shown) and not shown["reason"].startswith("The set-up has not begun")
            if point == "published":
                return bool(shown.get("records"))
            return bool(shown.get("checked_at"))

        return look

    async def active(self) -> None:
        """Wait until it is verified, and the life of the IP says so."""

        async def so() -> bool:
            return (await self._system.look(f"/v1/ips/{self.address}")).get("stage") == "active"

        await reached(so, 90)

    async def hold(self, *, support: int) -> None:
        """Each record once in the zone, one key, the other's record kept, and so many support cases."""
        shown = await self.shown()
        assert shown["state"] == "verified"
        for record in shown["records"]:
            found = await self.published(record["name"], record["type"])
            of_kind = [value for value in found if _kind(record) in value]
            assert len(of_kind) == len(set(of_kind)) == 1, (record["key"], found)
        domain = self.purchase.body["domain"]
        texts = await self.published(domain, "TXT")
        (policy,) = [text for text in texts if "v=spf1" in text]
        assert policy.replace('"', "").split().count(f"ip4:{self.address}") == 1
        assert len([text for text in texts if "left-by-somebody-else" in text]) == 1
        (pointer,) = await self.published(str(dns.reversename.from_address(self.address)), "PTR")
        assert pointer.rstrip(".") == self.purchase.body["hostname"]
        keys = await self._keys()
        assert len(keys) == 1, f"the zone holds {keys}"
        incidents = (await self._system.insist("GET", f"/v1/incidents?address={self.address}"))["items"]
        assert len([one for one in incidents if one["kind"].startswith("dns")]) == support

    async def _keys(self) -> list[Any]:
        """Selectors of this IP that the zone holds a key of."""
        records = (await self.shown())["records"]
        (name,) = [one["name"] for one in records if one["key"] == "dkim"]
        return await self.published(name, "TXT")


def _kind(record: Json) -> str:
    """What tells the record's own values from those of others at the same name."""
    return {"spf": "v=spf1", "dmarc": "v=DMARC1", "dkim": "v=DKIM1"}.get(record["key"], "")
