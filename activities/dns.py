"""Effects of the DNS set-up: make keys, publish, look, write what was seen."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.context import Context
from activities.dns_checks import DnsChecks
from activities.dns_messages import Escalate, Look, Outcome, Prepare, Prepared
from domain import dkim, dns_findings, propagation, spf
from domain import dns as rules
from domain.dns_options import DnsOptions, checked
from domain.lifecycle import awaiting_dns
from domain.refusals import Refused
from domain.words import Actor, Stage
from providers.dns.observer import Observer
from providers.dns.port import Changed, Publisher, PublishFailed
from providers.dns.registry import publisher
from providers.dns.zones import Zone, ZoneNotFound
from providers.ip_vendors.port import VendorError, VendorFault
from store import dns as setups
from store import ips, runs
from store.instants import now
from store.tables.dns import DnsDomain, DnsSetup
from store.tables.ips import Ip
from store.tables.purchase import Order

#: An address that no SPF record authorises, so that an evaluation walks through every term.
NOBODY = "192.0.2.255"
#: How often publishing is tried before what failed is shown to a person, who can press Re-verify.
PUBLISH_ATTEMPTS = 4
#: Seconds between two tries at a PTR whose name the vendor does not see yet: in the first minute, and at most.
PTR_SHORTEST, PTR_LONGEST = 10.0, 900.0


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
        if wanted.parent is not None:
            await runs.seen(self._context.db, *wanted.parent)
        try:
            return await self._prepare(wanted)
        except Refused as refusal:
            # A change that is refused leaves what was verified as it is.
            if not wanted.reopened:
                await self._refused(wanted.address, refusal.detail)
            return Prepared(refused=refusal.detail, field=refusal.field)

    @activity.defn(name="dns_set_ptr")
    async def set_ptr(self, wanted: Look) -> str:
        """Have the vendor set the PTR of an IP; answers what went wrong, in words, or nothing. Repeatable.

        A vendor that is down for a moment is asked again before a person is.
        """
        async with self._context.db.read() as session:
            ip, row = await ips.get(session, wanted.address), await setups.get(session, wanted.address)
        vendor = self._vendors.get(ip.vendor)
        expected = [record for record in map(rules.Record.model_validate, row.records) if record.key == "ptr"]
        # A retired address may be somebody else's by now.
        if vendor is None or not expected or ip.stage == Stage.RETIRED:
            return ""
        (record,) = expected
        try:
            await vendor.set_ptr(ip.address, record.expected[0])
        except Exception as error:
            if isinstance(error, VendorError) and error.kind is VendorFault.TOO_EARLY:
                _try_again_before(row, error.detail)
            final = isinstance(error, VendorError) and error.kind is not VendorFault.RETRYABLE
            if not final and activity.info().attempt < PUBLISH_ATTEMPTS:
                raise
            said = error.detail if isinstance(error, VendorError) else type(error).__name__
            problem = f"{record.type} {record.name}: {said}"
        else:
            return ""
        await self._left_to_a_person(ip, problem)
        return problem

    @activity.defn(name="dns_await")
    async def await_records(self, look: Look) -> Outcome:
        """One look; fails benignly with the time of the next until everything is verified."""
        outcome = await self._checks.check_now(look.address)
        if outcome.verified or outcome.retired:
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
        await self._checks.hand_over(wanted.address, wanted.message, past_deadline=wanted.past_deadline)

    async def _prepare(self, wanted: Prepare) -> Prepared:
        async with self._context.db.read() as session:
            ip, row = await ips.get(session, wanted.address), await setups.find(session, wanted.address)
        domain, host = ip.domain.lower().rstrip("."), ip.hostname.lower().rstrip(".")
        if not domain or not host:
            raise Refused(f"{ip.address} has no sending domain or hostname yet.", field="domain", code="no_domain")
        row = row or await self._begin(ip)
        zone = await self._observer.zone(domain)
        existing = await self._checks.existing(domain, zone)
        shared = await self._begin_domain(ip, domain, existing.mx or [f"10 {ip.mx or host}"])
        mine, ours = _split({**row.overrides, **shared.overrides, **(wanted.overrides or {})})
        options = checked(wanted.options or DnsOptions.model_validate(shared.options))
        async with self._context.db.read() as session:
            others = [other.address for other in await setups.siblings(session, domain, ip.address)]
        wish = rules.Wish(
            address=ip.address,
            hostname=host,
            domain=domain,
            dkim_selector=shared.dkim_selector,
            dkim_record=shared.dkim_record if _signs(row) else None,
            siblings=others,
            known_mx=shared.mx,
            mx=ip.mx,
            options=options,
            overrides={**mine, **ours},
            ttl=self._context.settings.dns_record_ttl,
        )
        records = rules.render(wish, existing)
        merged = next(record.expected[0] for record in records if record.key == "spf")
        verdict = await spf.evaluate(domain, NOBODY, self._fetch_around(zone), record=merged)
        spf.check_limits(verdict, domain)
        automatic, problems = await self._publish(ip, records)
        if automatic and ip.vendor not in self._vendors:
            problems += await self._left_to_the_holder(next(record for record in records if record.key == "ptr"))
        shared.options, shared.overrides = options.model_dump(mode="json"), ours
        row.overrides = mine
        return await self._handed_out(wanted, row, shared, records, automatic=automatic, problems=problems)

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
        """The set-up row; a second try finds the first one's."""
        async with self._context.db.write() as session:
            present = await setups.find(session, ip.address)
            if present is None:
                present = DnsSetup(address=ip.address)
                await setups.save(session, present)
        return present

    async def _begin_domain(self, ip: Ip, domain: str, mx: list[str]) -> DnsDomain:
        """What the domain's IPs share, with a fresh DKIM key pair if this is the first; repeatable.

        The wishes of the IP's order come in once, when its own set-up has not been handed out yet.
        """
        async with self._context.db.read() as session:
            present = await setups.domain(session, domain)
            row = await setups.find(session, ip.address)
            order = await session.get(Order, ip.order_id) if ip.order_id else None
        if present is None:
            present = await self._new_domain(domain, mx)
        if order is not None and order.dns and not (row and row.records):
            wishes = {key: value for key, value in order.dns.items() if value is not None}
            present.options = {**present.options, **wishes}
        return present

    async def _new_domain(self, domain: str, mx: list[str]) -> DnsDomain:
        key = rsa.generate_private_key(public_exponent=65537, key_size=dkim.RSA_BITS)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        made = DnsDomain(
            domain=domain,
            mx=mx,
            # A selector for each key: another installation, or the next key, never overwrites this one.
            dkim_selector=f"{dkim.SELECTOR}-{hashlib.sha256(public).hexdigest()[:8]}",
            dkim_record=dkim.record(base64.b64encode(public).decode()),
            dkim_secret=await self._context.secrets.put(f"dkim:{domain}", pem.decode()),
        )
        async with self._context.db.write() as session:
            return await setups.begin_domain(session, self._context.db.dialect, made)

    async def _publish(self, ip: Ip, records: list[rules.Record]) -> tuple[bool, list[str]]:
        """Whether the records are published for the operator, and what could not be; the PTR is the vendor's."""
        problems: list[str] = []
        target = self._publisher_of(ip.domain)
        for record in records if target.automatic else []:
            if record.key == "ptr":
                continue
            try:
                zone = await self._observer.zone(record.zone_hint, field="hostname")
                present, alias = await self._observer.held(record.name, record.type, zone)
                if alias is not None:
                    problems += await self._behind_alias(record, zone, alias)
                    continue
                if record.key == "spf" and len(dns_findings.relevant(record, present)) > 1:
                    problems.append(f"{record.name} has several SPF records; a person must choose what goes.")
                    continue
                record.serial = await target.publish(record, zone.apex, present)
            except PublishFailed as error:
                # A publisher that is down for a moment is asked again before a person is.
                if isinstance(error, Changed) or activity.info().attempt < PUBLISH_ATTEMPTS:
                    raise
                problems.append(f"{record.type} {record.name}: {error}")
            except (ZoneNotFound, Refused) as error:
                problems.append(f"{record.type} {record.name}: {error}")
            except Exception as error:  # noqa: BLE001 - a publisher's own errors; the others must still be published
                problems.append(f"{record.type} {record.name}: {type(error).__name__}: {error}")
        return target.automatic, problems

    async def _behind_alias(self, record: rules.Record, zone: Zone, alias: str) -> list[str]:
        """What is left to a person where the name is an alias, beside which no record can stand (RFC 2181, 10.1)."""
        answers = await self._observer.authoritative(record, zone)
        if dns_findings.published_state(record, answers) is rules.RecordState.PUBLISHED:
            return []
        what = f"{record.type} {record.name}: the name is an alias of {alias}"
        return [f"{what}; publish the record there, or remove the alias."]

    async def _left_to_the_holder(self, ptr: rules.Record) -> list[str]:
        """What is left to a person where no vendor of ours can set the PTR, as of an imported IP."""
        with contextlib.suppress(Refused, ZoneNotFound):
            answers = await self._observer.authoritative(ptr, await self._observer.zone(ptr.zone_hint))
            if dns_findings.published_state(ptr, answers) is rules.RecordState.PUBLISHED:
                return []
        return [f"PTR {ptr.name}: have it lead to {ptr.expected[0]}, {dns_findings.REVERSE}."]

    async def _handed_out(
        self,
        wanted: Prepare,
        prepared: DnsSetup,
        shared: DnsDomain,
        records: list[rules.Record],
        *,
        automatic: bool,
        problems: list[str],
    ) -> Prepared:
        # A deadline that was asked for holds to the second; the installation's default yields to long caches.
        given = wanted.deadline_hours
        seconds = given * 3_600 if given else await self._deadline_seconds(records)
        async with self._context.db.write() as session:
            domain = await setups.domain(session, shared.domain, lock=True)
            assert domain is not None
            domain.options, domain.overrides, domain.updated_at = shared.options, shared.overrides, now()
            domain.mx = next(record.expected for record in records if record.key == "mx")
            session.add(domain)
            row, ip = await setups.get(session, wanted.address), await ips.get(session, wanted.address)
            at_vendor = ip.vendor in self._vendors
            changed = wanted.overrides is not None or wanted.options is not None
            if row.deadline is None or changed:
                row.rendered_at, row.deadline = now(), now() + dt.timedelta(seconds=seconds)
            records = await self._share(session, shared.domain, wanted.address, records)
            row.records = [record.model_dump(mode="json") for record in records]
            row.overrides, row.reason = prepared.overrides, "; ".join(problems)
            row.state, row.verified_at = rules.SetupState.WAITING, None
            await setups.save(session, row)
            stands = awaiting_dns(automatic=automatic, problems=problems)
            if ip.stage in rules.BEFORE_ACTIVE:
                await ips.set_stage(
                    session,
                    wanted.address,
                    stands.stage,
                    waiting_for=stands.waiting_for,
                    waiting_on=stands.waiting_on,
                )
        left = (row.deadline - now()).total_seconds() if row.deadline else 0.0
        return Prepared(
            domain=shared.domain,
            automatic=automatic,
            records=len(records),
            keys=[record.key for record in records],
            at_vendor=at_vendor,
            seconds_left=max(left, 0.0),
            problems=problems,
        )

    async def _share(
        self, session: AsyncSession, domain: str, address: str, records: list[rules.Record]
    ) -> list[rules.Record]:
        """Give the domain's other IPs the records that they share with this one; returns this one's.

        An IP whose set-up began since these were rendered is named in the one SPF record all the same.
        """
        others = await setups.siblings(session, domain, address)
        records = rules.with_siblings(records, [other.address for other in others])
        for other in others:
            held = [rules.Record.model_validate(item) for item in other.records]
            taken = rules.adopt(held, records, other.address, verified=other.verified_at is not None)
            if held:
                other.records = [record.model_dump(mode="json") for record in taken]
                await setups.save(session, other)
        return records

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

    async def _left_to_a_person(self, ip: Ip, problem: str) -> None:
        """Write down what could not be published; once, however often it is tried."""
        stands = awaiting_dns(automatic=self._publisher_of(ip.domain).automatic, problems=[problem])
        async with self._context.db.write() as session:
            row = await setups.get(session, ip.address)
            if problem not in row.reason:
                row.reason = "; ".join(filter(None, [row.reason, problem]))
                await setups.save(session, row)
            if (await ips.get(session, ip.address)).stage in rules.BEFORE_ACTIVE:
                await ips.set_stage(
                    session, ip.address, stands.stage, waiting_for=stands.waiting_for, waiting_on=stands.waiting_on
                )

    async def _refused(self, address: str, why: str) -> None:
        async with self._context.db.write() as session:
            row = await setups.find(session, address)
            if row is not None:
                row.state, row.reason = rules.SetupState.REFUSED, why
                await setups.save(session, row)
            await ips.set_stage(session, address, Stage.AWAITING_DNS, waiting_for=why, waiting_on=Actor.OPERATOR)


def _try_again_before(row: DnsSetup, why: str) -> None:
    """End this attempt; the next comes after a while, as long as the set-up's deadline has not passed.

    The PTR of a name that was published a minute ago: the vendor's resolver learns of it when what it held runs out.
    """
    age = (now() - row.rendered_at).total_seconds()
    if row.deadline is None or now() < row.deadline:
        wait = min(PTR_LONGEST, max(PTR_SHORTEST, age / 5))
        raise ApplicationError(
            why,
            type="TooEarly",
            category=ApplicationErrorCategory.BENIGN,
            next_retry_delay=dt.timedelta(seconds=wait),
        )


def _split(overrides: Mapping[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The IP's own overrides and its domain's; empty ones are dropped."""
    given = {key: values for key, values in overrides.items() if values}
    ours = {key: values for key, values in given.items() if key in rules.DOMAIN_KEYS}
    return {key: values for key, values in given.items() if key not in ours}, ours


def _signs(row: DnsSetup) -> bool:
    """Whether our key is watched: an imported IP signs with its own, which nobody told us."""
    return not row.records or any(record["key"] == "dkim" for record in row.records)


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
    return [dns.prepare, dns.set_ptr, dns.await_records, dns.check, dns.escalate]
