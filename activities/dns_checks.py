"""One look at the DNS of an IP: ask, check what receivers check, write it down."""

from __future__ import annotations

from typing import Any

from activities.dns_messages import Outcome
from domain import dkim, propagation, spf
from domain import dns as rules
from domain.refusals import Refused
from domain.words import Actor, Severity, Stage
from providers.dns.observer import Observer, Zone, ZoneNotFound
from settings import Settings
from store import dns as setups
from store import incidents, ips
from store.database import Database, now
from store.tables.dns import DnsSetup
from store.tables.ips import Ip

INCIDENT_DRIFT = "dns_drift"
INCIDENT_DEADLINE = "dns_deadline"


class DnsChecks:
    """Looks at DNS and keeps the read model and the incidents true."""

    def __init__(self, db: Database, observer: Observer) -> None:
        self._db = db
        self._observer = observer

    async def check_now(self, address: str) -> Outcome:
        """Ask every server, check what receivers check, and write it down.

        Opens the incident ``dns_drift`` when what was verified no longer holds, and closes it when it does.
        """
        async with self._db.read() as session:
            row, ip = await setups.get(session, address), await ips.get(session, address)
        records = [rules.Record.model_validate(item) for item in row.records]
        zones = await self._zones(records)
        views = await self._observer.look(records, zones)
        complete = bool(views) and rules.ready(views)
        checks = await self._checks(ip, views) if complete else []
        checks += [
            rules.Check(
                name="delegation",
                ok=False,
                detail=f"{z.apex}: parent {', '.join(z.parent_ns)}; zone {', '.join(z.own_ns)}",
            )
            for z in {zone.apex: zone for zone in zones.values()}.values()
            if not z.delegation_ok
        ]
        verified = complete and all(check.ok for check in checks)
        return await self._write(address, views, checks, verified)

    async def _zones(self, records: list[rules.Record]) -> dict[str, Zone]:
        zones: dict[str, Zone] = {}
        for hint in dict.fromkeys(record.zone_hint for record in records):
            try:
                zones[hint] = await self._observer.zone(hint)
            except (Refused, ZoneNotFound):
                continue
        return zones

    async def _checks(self, ip: Ip, views: list[rules.RecordView]) -> list[rules.Check]:
        """What receivers check, through resolvers; asked only once everything is visible."""
        host, domain = ip.hostname.lower().rstrip("."), ip.domain.lower().rstrip(".")
        fetch = self._observer.fetch
        forward = await fetch(host, "A" if ":" not in ip.address else "AAAA") or []
        names = await fetch(rules.reverse_name(ip.address), "PTR") or []
        verdict = await spf.evaluate(domain, ip.address, fetch)
        seen = {view.record.key: [v for a in view.servers for v in a.values] for view in views}
        expected = {view.record.key: view.record.expected for view in views}
        policy = next((t for t in seen["dmarc"] if t.replace(" ", "").lower().startswith("v=dmarc1")), "")
        bad = rules.dmarc_problem(policy)
        key_ok = any(dkim.same_key(expected["dkim"][0], text) for text in seen["dkim"])
        passed = verdict.result == "pass"
        return [
            rules.Check(
                name="fcrdns",
                ok=names == [host] and ip.address in forward,
                detail=f"{ip.address} -> {', '.join(names) or 'no PTR'} -> {', '.join(forward) or 'nothing'}",
            ),
            rules.Check(
                name="helo", ok=ip.address in forward, detail=f"{host} -> {', '.join(forward) or 'nothing'}"
            ),
            rules.Check(
                name="spf",
                ok=passed,
                detail=f"{verdict.result}, {verdict.lookups} look-ups, {verdict.void} void {verdict.detail}",
            ),
            rules.Check(
                name="dkim",
                ok=key_ok,
                detail="The published key is ours." if key_ok else "Another key is published.",
            ),
            rules.Check(name="dmarc", ok=bad is None, detail=bad or policy),
        ]

    async def _write(
        self, address: str, views: list[rules.RecordView], checks: list[rules.Check], verified: bool
    ) -> Outcome:
        async with self._db.write() as session:
            row, ip = await setups.get(session, address), await ips.get(session, address)
            before = row.verified_at is not None
            moment = now()
            row.views = [_view_row(view) for view in views]
            row.checks = [check.model_dump(mode="json") for check in checks]
            row.checked_at = moment
            said = details(row)
            if verified:
                row.state, row.reason = rules.SetupState.VERIFIED, ""
                row.verified_at = row.verified_at or moment
                ip.dns_verified_at = moment
                session.add(ip)
                if ip.stage in (Stage.AWAITING_DNS, Stage.SELECTED, Stage.PURCHASING):
                    await ips.set_stage(
                        session,
                        address,
                        Stage.ACTIVE,
                        waiting_for="an operator to start the warm-up",
                        waiting_on=Actor.OPERATOR,
                    )
                for kind in (INCIDENT_DRIFT, INCIDENT_DEADLINE):
                    await incidents.close_incident(session, kind, address, "every record is verified")
            elif before:
                row.state, row.reason = rules.SetupState.DRIFTED, "; ".join(said)
                await incidents.open_incident(
                    session,
                    INCIDENT_DRIFT,
                    address,
                    Severity.WARNING,
                    f"DNS of {address} changed",
                    "\n".join(said),
                )
            elif views and all(
                v.published is rules.RecordState.PUBLISHED for v in views if v.record.required
            ):
                escalated = row.state == rules.SetupState.ESCALATED
                row.state = rules.SetupState.ESCALATED if escalated else rules.SetupState.PUBLISHED
            await setups.save(session, row)
            await setups.add_evidence(session, row)
        pending = [v for v in views if v.record.required and v.state is not rules.RecordState.VISIBLE]
        published = all(v.published is rules.RecordState.PUBLISHED for v in pending)
        left = [
            a.ttl or 0
            for v in pending
            for a in v.resolvers
            if rules.judge(v.record, a) is not rules.RecordState.PUBLISHED
        ]
        wait = propagation.next_ask(
            published=published and bool(pending),
            remaining_ttls=left,
            waited=(moment - row.rendered_at).total_seconds(),
        )
        return Outcome(verified=verified, drifted=before and not verified, findings=said, next_seconds=wait)


def _view_row(view: rules.RecordView) -> dict[str, Any]:
    dumped = view.model_dump(mode="json")
    dumped["findings"] = [finding.model_dump(mode="json") for finding in rules.findings(view)]
    return dumped


def details(row: DnsSetup) -> list[str]:
    """What is wrong and how to put it right, a line each."""
    found = [f["detail"] + " " + f["fix"] for v in row.views for f in v["findings"] if f["blocking"]]
    return found + [f"{check['name']}: {check['detail']}" for check in row.checks if not check["ok"]]


async def check_now(settings: Settings, db: Database, address: str) -> Outcome:
    """Re-verify one IP's DNS now, with the servers that the settings name; for sweeps and for the API.

    Raises:
        NotFound: the IP is unknown, or its DNS set-up has not begun.
    """
    return await DnsChecks(db, Observer.from_settings(settings)).check_now(address)
