"""Effects of the DNS set-up: make keys, publish, look, write what was seen."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.context import Context
from activities.dns_checks import INCIDENT_DEADLINE, DnsChecks, details
from activities.dns_messages import Escalate, Look, Outcome, Prepare, Prepared
from domain import dkim, propagation, spf
from domain import dns as rules
from domain.refusals import Refused
from domain.words import Actor, Severity, Stage
from providers.dns.observer import Observer, Zone, ZoneNotFound
from providers.dns.port import Changed, Publisher, PublishFailed
from providers.dns.registry import publisher
from store import dns as setups
from store import incidents, ips
from store.database import now
from store.tables.dns import DnsSetup
from store.tables.ips import Ip

#: An address that no SPF record authorises, so that an evaluation walks through every term.
NOBODY = "192.0.2.255"
#: How often publishing is tried before what failed is shown to a person, who can press Re-verify.
PUBLISH_ATTEMPTS = 4


class SetsPtr(Protocol):
    """The part of an IP vendor that DNS needs."""

    async def set_ptr(self, address: str, hostname: str) -> None:
        """Make the address resolve to the name."""
        ...


class DnsActivities:
    """What the DNS journey does to the world."""

    def __init__(
        self,
        context: Context,
        observer: Observer,
        vendors: Mapping[str, SetsPtr],
        publisher_of: Callable[[str], Publisher],
    ) -> None:
        self._context = context
        self._observer = observer
        self._vendors = vendors
        self._publisher_of = publisher_of
        self._checks = DnsChecks(context.db, observer)

    @activity.defn(name="dns_prepare")
    async def prepare(self, wanted: Prepare) -> Prepared:
        """Render the record set, publish what can be published, and start the clock; repeatable.

        A refusal is a result, not an error: the journey waits for a correction.
        """
        try:
            return await self._prepare(wanted)
        except Refused as refusal:
            await self._refused(wanted.address, refusal.detail)
            return Prepared(refused=refusal.detail)

    @activity.defn(name="dns_await")
    async def await_records(self, look: Look) -> Outcome:
        """One look; fails benignly with the time of the next until everything is verified."""
        outcome = await self._checks.check_now(look.address)
        if outcome.verified:
            return outcome
        raise ApplicationError(
            "; ".join(outcome.findings[:3]) or "DNS is not verified yet",
            type="DnsPending",
            category=ApplicationErrorCategory.BENIGN,
            next_retry_delay=dt.timedelta(seconds=outcome.next_seconds),
        )

    @activity.defn(name="dns_check")
    async def check(self, look: Look) -> Outcome:
        """One look, whatever it finds."""
        return await self._checks.check_now(look.address)

    @activity.defn(name="dns_escalate")
    async def escalate(self, wanted: Escalate) -> None:
        """Open an incident for support; the evidence is kept by every look already."""
        async with self._context.db.write() as session:
            row = await setups.find(session, wanted.address)
            if row is not None and row.state == rules.SetupState.VERIFIED:
                return
            if row is not None and row.state != rules.SetupState.REFUSED:
                row.state = rules.SetupState.ESCALATED
                await setups.save(session, row)
            why = "past its deadline" if wanted.past_deadline else "handed to support by an operator"
            detail = "\n".join(filter(None, [wanted.message, *(details(row) if row else [])]))
            await incidents.open_incident(
                session, INCIDENT_DEADLINE, wanted.address, Severity.WARNING, f"DNS set-up is {why}", detail
            )
            await ips.set_stage(
                session,
                wanted.address,
                Stage.AWAITING_DNS,
                waiting_for=f"DNS records; the set-up is {why}, and goes on when they appear",
                waiting_on=Actor.REGISTRAR,
            )

    async def _prepare(self, wanted: Prepare) -> Prepared:
        async with self._context.db.read() as session:
            ip, row = await ips.get(session, wanted.address), await setups.find(session, wanted.address)
        domain, host = ip.domain.lower().rstrip("."), ip.hostname.lower().rstrip(".")
        if not domain or not host:
            raise Refused(
                f"{ip.address} has no sending domain or hostname yet.", field="domain", code="no_domain"
            )
        row = row or await self._begin(ip)
        zone = await self._observer.zone(domain)
        existing = rules.Existing(
            txt=await self._observer.values(domain, "TXT", zone),
            mx=await self._observer.values(domain, "MX", zone),
            dmarc=await self._observer.values(f"_dmarc.{domain}", "TXT", zone),
        )
        overrides = {**row.overrides, **(wanted.overrides or {})}
        overrides = {key: values for key, values in overrides.items() if values}
        wish = rules.Wish(
            address=ip.address,
            hostname=host,
            domain=domain,
            mx=ip.mx,
            dkim_selector=row.dkim_selector,
            dkim_record=row.dkim_record,
            overrides=overrides,
            ttl=self._context.settings.dns_record_ttl,
        )
        records = rules.render(wish, existing)
        merged = next(record.expected[0] for record in records if record.key == "spf")
        verdict = await spf.evaluate(domain, NOBODY, self._fetch_around(zone), record=merged)
        spf.check_limits(verdict, domain)
        automatic, problems = await self._publish(ip, records)
        return await self._handed_out(wanted, records, overrides, automatic=automatic, problems=problems)

    def _fetch_around(self, zone: Zone) -> spf.Fetch:
        """Resolvers for the names of others, the authoritative servers for the domain's own.

        A resolver that is asked for a record which we are about to publish would cache that there is none.
        """

        async def fetch(name: str, rdtype: str) -> list[str] | None:
            if name != zone.apex and not name.endswith(f".{zone.apex}"):
                return await self._observer.fetch(name, rdtype)
            try:
                values = await self._observer.values(name, rdtype, zone)
            except ZoneNotFound:
                return None
            return [value.split()[1] for value in values] if rdtype == "MX" else values

        return fetch

    async def _begin(self, ip: Ip) -> DnsSetup:
        """The set-up row with a fresh DKIM key pair; a second try finds the first one's."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=dkim.RSA_BITS)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        ref = await self._context.secrets.put(f"dkim:{ip.address}", pem.decode())
        # One selector an IP: several IPs of one domain must not overwrite each other's key.
        selector = f"{dkim.SELECTOR}-{ip.address.replace('.', '-').replace(':', '-')}"
        async with self._context.db.write() as session:
            present = await setups.find(session, ip.address)
            if present is not None:
                return present
            row = DnsSetup(
                address=ip.address,
                dkim_selector=selector,
                dkim_record=dkim.record(base64.b64encode(public).decode()),
                dkim_secret=ref,
            )
            await setups.save(session, row)
        return row

    async def _publish(self, ip: Ip, records: list[rules.Record]) -> tuple[bool, list[str]]:
        problems: list[str] = []
        target = self._publisher_of(ip.domain)
        for record in records:
            try:
                if record.key == "ptr":
                    vendor = self._vendors.get(ip.vendor)
                    if vendor is not None:
                        await vendor.set_ptr(ip.address, record.expected[0])
                elif target.automatic:
                    zone = await self._observer.zone(record.zone_hint, field="hostname")
                    present = await self._observer.values(record.name, record.type, zone)
                    if record.key == "spf" and len(rules.relevant(record, present)) > 1:
                        problems.append(
                            f"{record.name} has several SPF records; a person must choose what goes."
                        )
                        continue
                    record.serial = await target.publish(record, zone.apex, present)
            except PublishFailed as error:
                # A publisher that is down for a moment is asked again before a person is.
                if isinstance(error, Changed) or activity.info().attempt < PUBLISH_ATTEMPTS:
                    raise
                problems.append(f"{record.type} {record.name}: {error}")
            except (ZoneNotFound, Refused) as error:
                problems.append(f"{record.type} {record.name}: {error}")
            except Exception as error:  # noqa: BLE001 - a vendor's own errors; the others must still be published
                problems.append(f"{record.type} {record.name}: {type(error).__name__}: {error}")
        return target.automatic, problems

    async def _handed_out(
        self,
        wanted: Prepare,
        records: list[rules.Record],
        overrides: dict[str, list[str]],
        *,
        automatic: bool,
        problems: list[str],
    ) -> Prepared:
        # A deadline that was asked for holds to the second; the installation's default yields to long caches.
        given = wanted.deadline_hours
        seconds = given * 3_600 if given else await self._deadline_seconds(records)
        async with self._context.db.write() as session:
            row = await setups.get(session, wanted.address)
            if row.deadline is None or wanted.overrides is not None:
                row.rendered_at, row.deadline = now(), now() + dt.timedelta(seconds=seconds)
            row.records = [record.model_dump(mode="json") for record in records]
            row.overrides, row.reason = overrides, "; ".join(problems)
            row.state = rules.SetupState.WAITING
            await setups.save(session, row)
            await ips.set_stage(
                session,
                wanted.address,
                Stage.AWAITING_DNS,
                waiting_for="DNS to spread" if automatic else "DNS records to be entered at the registrar",
                waiting_on=Actor.TIME if automatic and not problems else Actor.REGISTRAR,
            )
        left = (row.deadline - now()).total_seconds() if row.deadline else 0.0
        return Prepared(
            domain=records[2].name,
            automatic=automatic,
            records=len(records),
            keys=[record.key for record in records],
            seconds_left=max(left, 0.0),
            problems=problems,
        )

    async def _deadline_seconds(self, records: list[rules.Record]) -> float:
        """The configured hours, or longer where caches may keep what the servers say now for longer."""
        hours = self._context.settings.dns_deadline_hours
        old = negative = 0
        for record in records:
            try:
                zone = await self._observer.zone(record.zone_hint)
            except (Refused, ZoneNotFound):
                continue
            for answer in await self._observer.authoritative(record, zone):
                if answer.values:
                    old = max(old, answer.ttl or 0)
                else:
                    negative = max(negative, answer.ttl or 0)
        return propagation.deadline_seconds(secondary_lag=0.0, old_ttl=old, negative=negative, hours=hours)

    async def _refused(self, address: str, why: str) -> None:
        async with self._context.db.write() as session:
            row = await setups.find(session, address)
            if row is not None:
                row.state, row.reason = rules.SetupState.REFUSED, why
                await setups.save(session, row)
            await ips.set_stage(
                session, address, Stage.AWAITING_DNS, waiting_for=why, waiting_on=Actor.OPERATOR
            )


def build(context: Context) -> DnsActivities:
    """The DNS activities with the adapters that the settings name."""
    from providers.ip_vendors.registry import vendors

    settings = context.settings
    return DnsActivities(
        context,
        Observer.from_settings(settings),
        vendors(settings),
        lambda domain: publisher(settings, domain),
    )


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities to register with a worker."""
    dns = build(context)
    return [dns.prepare, dns.await_records, dns.check, dns.escalate]
