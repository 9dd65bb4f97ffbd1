"""Dynamic updates (RFC 2136) signed with TSIG."""

from __future__ import annotations

from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
from domain.dns import Record, zone_value
from domain.dns_findings import relevant
from providers.dns.endpoint import Endpoint
from providers.dns.port import Changed, PublishFailed
from settings import Settings

TIMEOUT = 5.0


class Rfc2136Publisher:
    """Sends updates to the primary of the zone."""

    automatic = True

    def __init__(
        self, server: Endpoint, key_name: str, algorithm: str, secret: str, *, timeout: float = TIMEOUT
    ) -> None:
        self._server = server
        self._timeout = timeout
        name = dns.name.from_text(key_name)
        self._key = dns.tsig.Key(name, secret, dns.name.from_text(algorithm))

    @classmethod
    def from_settings(cls, settings: Settings) -> Rfc2136Publisher:
        """The publisher that the settings name.

        Raises:
            ValueError: there is no TSIG secret.
        """
        if settings.dns_tsig_secret is None:
            raise ValueError("WARMPATH_DNS_TSIG_SECRET: dynamic updates need the key's secret, base64.")
        return cls(
            Endpoint.parse(settings.dns_rfc2136_server, 53),
            settings.dns_tsig_name,
            settings.dns_tsig_algorithm,
            settings.dns_tsig_secret.get_secret_value(),
        )

    async def publish(self, record: Record, zone: str, present: Sequence[str]) -> int | None:
        """Replace the record's own values one by one; see :class:`providers.dns.port.Publisher`."""
        # Two IPs of one domain may be set up at once: the second must merge into the first's SPF record.
        held = [zone_value(record, value) for value in present] if record.key == "spf" else None
        what = f"{record.type} {record.name}"
        try:
            await self._send(self._update(record, zone, present, held), what, zone)
        except Changed:
            if not held:
                raise
            # What a wildcard made up is nothing that the name itself holds, and an answer does not tell the two apart.
            await self._send(self._update(record, zone, present, []), what, zone)
        return await self._serial(zone)

    def _update(
        self, record: Record, zone: str, present: Sequence[str], held: Sequence[str] | None
    ) -> dns.update.UpdateMessage:
        """The update that replaces what is ours, on the condition that the name holds exactly ``held``; None: whatever.

        An MX set is shared with others: ours is added, theirs stays. Elsewhere what is ours is exactly what speaks the
        record's own language at the name, and goes when it differs.
        """
        update = dns.update.UpdateMessage(zone, keyring=self._key)
        owner = dns.name.from_text(record.name)
        if held:
            update.present(owner, record.type, *held)
        elif held is not None:
            update.absent(owner, record.type)
        stale = [] if record.type == "MX" else [v for v in relevant(record, present) if v not in record.expected]
        for value in stale:
            update.delete(owner, record.type, zone_value(record, value))
        for value in record.expected:
            update.add(owner, record.ttl, record.type, zone_value(record, value))
        return update

    async def _send(self, update: dns.update.UpdateMessage, what: str, zone: str) -> None:
        try:
            reply = await dns.asyncquery.tcp(
                update, self._server.address, timeout=self._timeout, port=self._server.port
            )
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise PublishFailed(f"{self._server} took no update of {what}: {_reason(error, zone)}") from error
        if reply.rcode() in (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN):
            raise Changed(f"{what} was changed by somebody else in this moment")
        if reply.rcode() != dns.rcode.NOERROR:
            raise PublishFailed(f"{self._server} refused {what}: {_refusal(reply.rcode(), zone)}")

    async def _serial(self, zone: str) -> int | None:
        query = dns.message.make_query(zone, dns.rdatatype.SOA)
        try:
            reply = await dns.asyncquery.tcp(query, self._server.address, timeout=self._timeout, port=self._server.port)
        except (dns.exception.DNSException, OSError, EOFError):
            return None
        return next((int(rrset[0].serial) for rrset in reply.answer if rrset.rdtype == dns.rdatatype.SOA), None)


def _reason(error: Exception, zone: str) -> str:
    known = {
        "PeerBadSignature": "it does not accept the TSIG signature; check the key's secret",
        "PeerBadKey": "it does not know the TSIG key; check the key's name",
        "PeerBadTime": "its clock and ours differ by more than the signature allows; set the clocks",
        "PeerBadTruncation": "it takes no TSIG signature this short; choose another algorithm",
        "FormError": f"it does not serve the zone {zone}, or not as its primary",
        "Timeout": "it does not answer",
        "ConnectionRefusedError": "it does not answer",
    }
    return known.get(type(error).__name__, str(error) or type(error).__name__)


def _refusal(rcode: dns.rcode.Rcode, zone: str) -> str:
    known = {
        dns.rcode.NOTAUTH: "it takes no update that is not signed with a key it trusts",
        dns.rcode.REFUSED: "its rules do not let this key change the name; give the key the right to update it",
        dns.rcode.NOTZONE: f"the name does not lie in the zone {zone}",
        dns.rcode.FORMERR: f"it does not serve the zone {zone}, or not as its primary",
        dns.rcode.SERVFAIL: "it failed; look into its log",
        dns.rcode.NOTIMP: "it takes no dynamic updates; enter the records by hand",
    }
    return known.get(rcode, dns.rcode.to_text(rcode))
