"""One look at the DNS of an IP: ask, check what receivers check, write it down."""

from __future__ import annotations

from typing import Any

from activities.dns_messages import Outcome
from domain import dns as rules
from domain import dns_checks as receivers
from domain import dns_findings, fcrdns, mta_sts, spf
from domain.dns_options import DnsOptions, sts_policy
from domain.lifecycle import verified as active
from domain.refusals import Conflict, NotFound, Refused
from domain.words import Actor, Stage
from providers.dns.observer import Observer
from providers.dns.policy_host import PolicyHost, PolicyNotServed
from providers.dns.zones import Zone, ZoneNotFound
from settings import Settings
from store import dns as setups
from store import dns_troubles, ips
from store.database import Database
from store.instants import now
from store.tables.dns import DnsSetup
from store.tables.ips import Ip


class DnsChecks:
    """Looks at DNS and keeps the read model and the incidents true."""

    def __init__(self, db: Database, observer: Observer, policies: PolicyHost | None = None) -> None:
        self._db = db
        self._observer = observer
        self._policies = policies or PolicyHost()

    async def check_now(self, address: str) -> Outcome:
        """Ask every server, check what receivers check, and write it down.

        Opens the incident ``dns_drift`` when what was verified no longer holds, and closes it when it does.
        """
        async with self._db.read() as session:
            row, ip = await setups.get(session, address), await ips.get(session, address)
            shared = await setups.domain(session, _name(ip.domain))
        if ip.stage == Stage.RETIRED:
            return Outcome(verified=False, retired=True)
        records = [rules.Record.model_validate(item) for item in row.records]
        zones = await self._zones(records)
        views = await self._observer.look(records, zones)
        complete = bool(views) and dns_findings.ready(views)
        options = DnsOptions.model_validate(shared.options if shared else {})
        checks = await self._checks(ip, views, options) if complete else []
        checks += [
            rules.Check(
                name="delegation",
                ok=False,
                detail=f"{z.apex}: parent {', '.join(z.parent_ns)}; zone {', '.join(z.own_ns)}",
                fix="Give the registrar the same name servers as the zone's NS set.",
                shared=_name(ip.domain) == z.apex or _name(ip.domain).endswith(f".{z.apex}"),
            )
            for z in {zone.apex: zone for zone in zones.values()}.values()
            if not z.delegation_ok
        ]
        verified = complete and all(check.ok for check in checks if check.blocking)
        return await self._write(address, views, checks, verified)

    async def watch(self, address: str) -> Outcome:
        """Look at an IP that came with its DNS in place: what it should publish is rendered, and nothing published.

        The DKIM key is left out, since the IP signs with one that nobody told us.

        Raises:
            NotFound: the IP is unknown. Conflict: its own set-up has not begun, or it is retired.
            Refused: it has no sending domain or hostname, or the domain does not exist.
        """
        async with self._db.read() as session:
            ip = await ips.get(session, address)
        if ip.stage == Stage.RETIRED:
            raise Conflict(f"{address} is retired; its DNS is not looked at any more.", code="retired")
        if ip.stage in rules.BEFORE_ACTIVE:
            raise Conflict(f"The DNS set-up of {address} has not begun; it begins once the IP is bought.", code="stage")
        domain, host = _name(ip.domain), _name(ip.hostname)
        if not domain or not host:
            raise Refused(f"{address} has no sending domain or hostname yet.", field="domain", code="no_domain")
        try:
            existing = await self.existing(domain, await self._observer.zone(domain))
        except ZoneNotFound as error:
            raise Conflict(f"DNS does not answer now: {error}. Try again in a moment.", code="dns") from error
        wish = rules.Wish(address=address, hostname=host, domain=domain, dkim_record=None, mx=ip.mx)
        records = rules.render(wish, existing)
        async with self._db.write() as session:
            if await setups.find(session, address) is None:
                rows = [record.model_dump(mode="json") for record in records]
                await setups.save(session, DnsSetup(address=address, records=rows))
        return await self.check_now(address)

    async def existing(self, domain: str, zone: Zone) -> rules.Existing:
        """What a domain publishes before us, by its authoritative servers.

        Raises:
            ZoneNotFound: none answers.
        """
        return rules.Existing(
            txt=await self._observer.values(domain, "TXT", zone),
            mx=await self._observer.values(domain, "MX", zone),
            dmarc=await self._observer.values(f"_dmarc.{domain}", "TXT", zone),
        )

    async def hand_over(self, address: str, message: str, *, past_deadline: bool) -> None:
        """Open the one support case of an IP's DNS, or add to it; every look keeps its evidence already."""
        async with self._db.write() as session:
            row, ip = await setups.find(session, address), await ips.get(session, address)
            verified = row is not None and row.state == rules.SetupState.VERIFIED
            if ip.stage == Stage.RETIRED or (verified and past_deadline):
                return
            if row is not None and row.state not in (rules.SetupState.REFUSED, rules.SetupState.VERIFIED):
                open_ = row.verified_at is None
                row.state = rules.SetupState.ESCALATED if open_ else row.state
                await setups.save(session, row)
            why = "past its deadline" if past_deadline else "handed to support by an operator"
            found = details(row) if row else rules.Wrong()
            if past_deadline:
                await dns_troubles.overdue(session, ip, found)
            else:
                await dns_troubles.asked(session, ip, found, message)
            if ip.stage in rules.BEFORE_ACTIVE:
                await ips.set_stage(
                    session,
                    address,
                    Stage.AWAITING_DNS,
                    waiting_for=f"DNS records; the set-up is {why}, and goes on when they appear",
                    waiting_on=Actor.REGISTRAR,
                )

    async def _zones(self, records: list[rules.Record]) -> dict[str, Zone]:
        zones: dict[str, Zone] = {}
        for hint in dict.fromkeys(record.zone_hint for record in records):
            try:
                zones[hint] = await self._observer.zone(hint)
            except (Refused, ZoneNotFound):
                continue
        return zones

    async def _checks(self, ip: Ip, views: list[rules.RecordView], options: DnsOptions) -> list[rules.Check]:
        """What receivers check, through resolvers; asked only once everything is visible."""
        host, domain = _name(ip.hostname), _name(ip.domain)
        fetch = self._observer.fetch
        forward = await fetch(host, "AAAA" if ":" in ip.address else "A")
        reverse = await fcrdns.evaluate(ip.address, fetch)
        verdict = await spf.evaluate(domain, ip.address, fetch)
        seen = {view.record.key: [v for a in view.servers for v in a.values] for view in views}
        expected = {view.record.key: view.record.expected for view in views}
        found = [
            receivers.fcrdns_check(host, reverse),
            receivers.helo_check(ip.address, host, forward),
            receivers.spf_check(ip.address, domain, verdict),
        ]
        if "dkim" in expected:
            found.append(receivers.dkim_check(expected["dkim"][0], seen["dkim"]))
        found.append(receivers.dmarc_check(seen["dmarc"]))
        policy = sts_policy(options, expected["mx"])
        if policy is not None and "mta_sts" in expected:
            found.append(await self._sts_check(domain, policy, seen["mx"]))
        if "bimi" in expected:
            found.append(receivers.bimi_check(seen["dmarc"]))
        return found

    async def _sts_check(self, domain: str, wanted: mta_sts.Policy, mx: list[str]) -> rules.Check:
        """Whether the hosted policy is the one that the record announces; optional, so it never blocks."""
        host = mta_sts.host(domain)
        try:
            addresses = await self._observer.fetch(host, "A") or await self._observer.fetch(host, "AAAA") or []
            hosted = await self._policies.fetch(domain, addresses)
        except PolicyNotServed as error:
            return receivers.sts_check(domain, wanted, None, mx, str(error))
        return receivers.sts_check(domain, wanted, hosted, mx)

    async def _write(
        self, address: str, views: list[rules.RecordView], checks: list[rules.Check], verified: bool
    ) -> Outcome:
        async with self._db.write() as session:
            row, ip = await setups.get(session, address), await ips.get(session, address)
            before = row.verified_at is not None
            drifted, known = before and not verified, row.state == rules.SetupState.DRIFTED
            moment = now()
            row.views = [_view_row(view) for view in views]
            row.checks = [check.model_dump(mode="json") for check in checks]
            row.checked_at = moment
            row.records = _settled(row.records, views)
            found = details(row)
            if verified:
                row.state, row.reason = rules.SetupState.VERIFIED, ""
                row.verified_at = row.verified_at or moment
                ip.dns_verified_at = moment
                session.add(ip)
                if ip.stage in rules.BEFORE_ACTIVE:
                    stands = active()
                    await ips.set_stage(
                        session,
                        address,
                        stands.stage,
                        waiting_for=stands.waiting_for,
                        waiting_on=stands.waiting_on,
                    )
                await dns_troubles.over(session, ip, "every record is verified")
            elif drifted:
                row.state, row.reason = rules.SetupState.DRIFTED, "; ".join(found.lines)
                await dns_troubles.drifted(session, ip, found)
            elif views and all(v.published is rules.RecordState.PUBLISHED for v in views if v.record.required):
                escalated = row.state == rules.SetupState.ESCALATED
                row.state = rules.SetupState.ESCALATED if escalated else rules.SetupState.PUBLISHED
            await setups.save(session, row)
            await setups.add_evidence(session, row)
        wait = dns_findings.until_next_look(views, (moment - row.rendered_at).total_seconds())
        return Outcome(
            verified=verified, drifted=drifted, changed=drifted != known, findings=found.lines, next_seconds=wait
        )


def _view_row(view: rules.RecordView) -> dict[str, Any]:
    dumped = view.model_dump(mode="json")
    dumped["findings"] = [finding.model_dump(mode="json") for finding in dns_findings.findings(view)]
    return dumped


def details(row: DnsSetup) -> rules.Wrong:
    """What is wrong and how to put it right, by whose it is."""
    found = rules.Wrong()
    for view in row.views:
        lines = found.shared if view["record"]["key"] in rules.DOMAIN_KEYS else found.own
        lines += [f"{one['detail']} {one['fix']}" for one in view["findings"] if one["blocking"]]
    for check in row.checks:
        if not check["ok"] and check.get("blocking", True):
            lines = found.shared if check.get("shared") else found.own
            lines.append(" ".join(filter(None, [f"{check['name']}: {check['detail']}.", check.get("fix", "")])))
    return found


def _settled(held: list[dict[str, Any]], views: list[rules.RecordView]) -> list[dict[str, Any]]:
    """The records as they stand in the row, without an older expectation that the new one has replaced."""
    arrived = {
        view.record.key: view.record.expected
        for view in views
        if view.record.previous
        and view.published is rules.RecordState.PUBLISHED
        and all(dns_findings.judge(_strict(view.record), a) is rules.RecordState.PUBLISHED for a in view.servers)
    }
    return [{**item, "previous": []} if arrived.get(item["key"]) == item["expected"] else item for item in held]


def _strict(record: rules.Record) -> rules.Record:
    return record.model_copy(update={"previous": []})


def _name(text: str) -> str:
    return text.lower().rstrip(".")


async def check_now(settings: Settings, db: Database, address: str) -> Outcome:
    """Re-verify one IP's DNS now, with the servers that the settings name; for sweeps.

    Raises:
        NotFound: the IP is unknown, or its DNS set-up has not begun.
    """
    return await DnsChecks(db, Observer.from_settings(settings)).check_now(address)


async def verify(settings: Settings, db: Database, address: str) -> Outcome:
    """The same for an operator, who may also ask about an IP that was imported with its DNS in place.

    Raises:
        NotFound, Conflict, Refused: see :meth:`DnsChecks.watch`.
    """
    checks = DnsChecks(db, Observer.from_settings(settings))
    try:
        outcome = await checks.check_now(address)
    except NotFound:
        return await checks.watch(address)
    if outcome.retired:
        raise Conflict(f"{address} is retired; its DNS is not looked at any more.", code="retired")
    return outcome


async def hand_over(settings: Settings, db: Database, address: str, message: str) -> None:
    """Open the support case of an IP whose set-up has ended."""
    await DnsChecks(db, Observer.from_settings(settings)).hand_over(address, message, past_deadline=False)
