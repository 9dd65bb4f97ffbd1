"""Reads lists and figures of a chunk of IPs, scores them, and says who crossed a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from activities.context import Context
from activities.dns_checks import check_now
from activities.reputation_messages import Chunk, Crossing, ListAddresses, Swept
from domain import reputation as rules
from domain.blocklists import ALLOW_ZONES, MATTERS, ZONES, ZoneAnswer, delisting
from domain.figures import Figures
from domain.policy import RiskPolicy
from domain.refusals import NotFound
from domain.words import Severity, Stage
from providers.blocklists import Blocklists
from store import events, incidents, ips, risk
from store import reputation as scores
from store.database import Database

log = structlog.get_logger()

SWEPT = [stage for stage in Stage if stage not in (Stage.SELECTED, Stage.PURCHASING, Stage.RETIRED)]
DOMAIN_LISTING = "domain_listing"
"""Kind of the incident of a listed sending domain; its address is the domain."""

DNS_SWEPT = [stage for stage in SWEPT if stage is not Stage.AWAITING_DNS]


#: IPs whose DNS a chunk looks at side by side: where many servers are silent each look lasts many seconds, and fifty
#: one after the other would outlast the activity (``workflows/options.py``, ``SWEEP``).
DNS_AT_ONCE = 8
#: Days that figures are read over, from and to so many days ago: week, month, three days, and for engagement
#: the last day, the three days before it, the week before it.
_SPANS = ((7, 0), (30, 0), (3, 0), (1, 0), (4, 1), (8, 1))


class ReputationActivities:
    """What a sweep does in the world; each call may run twice and writes the same."""

    def __init__(self, context: Context, lists: Blocklists, *, gap_seconds: float) -> None:
        self._context = context
        self._db: Database = context.db
        self._lists = lists
        self._gap = gap_seconds
        self._policy = RiskPolicy.of(context.settings)

    @activity.defn(name="sweep_list")
    async def addresses(self, wanted: ListAddresses) -> Chunk:
        """The next IPs in service."""
        stages = DNS_SWEPT if wanted.dns else SWEPT
        async with self._db.read() as session:
            found = await ips.addresses(session, after=wanted.after, limit=wanted.limit, stages=stages)
        return Chunk(addresses=list(found))

    @activity.defn(name="sweep_reputation")
    async def sweep(self, chunk: Chunk) -> Swept:
        """Look at each IP, write its score, and compare with what its journeys were told."""
        async with self._db.read() as session:
            domains = await ips.domains_first_used_by(session, chunk.addresses, SWEPT)
        zones = (*ZONES, *ALLOW_ZONES)
        looks, named = await asyncio.gather(
            asyncio.gather(*(self._lists.check(address, zones) for address in chunk.addresses)),
            asyncio.gather(*(self._lists.check_domain(domain) for domain in domains)),
        )
        swept = Swept()
        for (domain, address), answers in zip(domains.items(), named, strict=True):
            await self._write_domain(domain, address, answers, swept)
        for address, answers in zip(chunk.addresses, looks, strict=True):
            await self._write(address, answers, swept)
        return swept

    @activity.defn(name="sweep_told")
    async def told(self, crossing: Crossing) -> None:
        """Remember what the journeys were told, so that they are told once."""
        async with self._db.write() as session:
            row = await scores.get(session, crossing.address)
            if row is not None:
                row.told = list(crossing.lines)
                session.add(row)

    @activity.defn(name="sweep_dns")
    async def dns(self, chunk: Chunk) -> Swept:
        """Re-verify the DNS of each IP; those that drifted since the last look come back with their findings.

        Those that are right again come back without. A drift that lasts is told once: its incident stands.
        """
        slots = asyncio.Semaphore(DNS_AT_ONCE)

        async def one(address: str) -> Crossing | None:
            async with slots:
                return await self._drift(address)

        looks = [asyncio.create_task(one(address)) for address in chunk.addresses]
        try:
            found = await asyncio.gather(*looks)
        finally:
            # One that fails ends the others: none goes on, and writes, beside the next attempt.
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
        return Swept(crossings=[crossing for crossing in found if crossing is not None])

    async def _drift(self, address: str) -> Crossing | None:
        """One look at an IP's DNS; what changed since the last."""
        try:
            outcome = await check_now(self._context.settings, self._db, address)
        except NotFound:
            return None  # Imported without a DNS set-up, or gone since the list was made.
        except (SQLAlchemyError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - what somebody's DNS says must not keep the others from being looked at
            log.error("sweep.dns_look_failed", address=address, reason=f"{type(error).__name__}: {error}"[:200])
            return None
        if not outcome.changed:
            return None
        reason = "; ".join(outcome.findings) or "DNS no longer says what was verified."
        return Crossing(address=address, reason=reason if outcome.drifted else "")

    async def _write(self, address: str, answers: list[ZoneAnswer], swept: Swept) -> None:
        end = int(time.time() * 1000) + 1
        day_ms = int(self._context.settings.day_seconds * 1000)
        async with self._db.write() as session:
            await ips.lock(session, address)
            confirmed, again = await scores.see(session, address, answers, gap_seconds=self._gap)
            spans = [(end - older * day_ms, end - newer * day_ms) for older, newer in _SPANS]
            week, month, three, today, before, week_before = [
                sum(found.values(), Figures()) for found in await events.sums_of_spans(session, address, spans)
            ]
            until = await scores.figures_until(session, address)
            last = await scores.get(session, address)
            result = rules.score(
                answers,
                confirmed,
                week,
                month,
                three,
                figures_age=None if until is None else max(0.0, (end - until) / 1000),
                standing=last.lines if last is not None else (),
                engagement=rules.Engagement(today=today, before=before, week_before=week_before),
                policy=self._policy,
            )
            row = await scores.write(session, address, answers, result)
            if result.lines:
                severity = Severity.CRITICAL if rules.Line.CRITICAL_LISTING in result.lines else Severity.WARNING
                await risk.see(session, address, risk.SWEEP, severity, result.reason)
            else:
                await risk.over(session, address, risk.SWEEP, "No line is crossed any more.")
            if set(row.told) != set(result.lines):
                swept.crossings.append(
                    Crossing(
                        address=address,
                        lines=list(result.lines),
                        reason=result.reason or "No line is crossed any more.",
                        critical=rules.Line.CRITICAL_LISTING in result.lines,
                    )
                )
        if again is not None:
            swept.second_look.append(address)
            swept.again_seconds = max(swept.again_seconds, again)

    async def _write_domain(self, domain: str, address: str, answers: list[ZoneAnswer], swept: Swept) -> None:
        """A listed domain is a trouble of the domain: it puts no IP at risk, and another IP does not help."""
        async with self._db.write() as session:
            confirmed, again = await scores.see(session, domain, answers, gap_seconds=self._gap)
            acting = [one for one in confirmed if one.acts and one.weight in MATTERS]
            if acting:
                using = ", ".join(await ips.using_domain(session, domain))
                ways = " ".join(dict.fromkeys(delisting(one.zone) for one in acting))
                reason = f"The domain {domain} is listed: " + " ".join(one.reason for one in acting)
                detail = f"Mail for it leaves from {using}. Another IP does not help. {ways}"
                await incidents.hold(session, DOMAIN_LISTING, domain, risk.SWEEP, Severity.WARNING, reason, detail)
            elif not confirmed:
                await incidents.release(
                    session, DOMAIN_LISTING, domain, [risk.SWEEP], "No domain list names it any more."
                )
        if again is not None:
            swept.second_look.append(address)
            swept.again_seconds = max(swept.again_seconds, again)


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities of this journey, for a worker."""
    gap = 0.8 * context.settings.blocklist_second_look_seconds
    bound = ReputationActivities(context, Blocklists(context.settings), gap_seconds=gap)
    return [bound.addresses, bound.sweep, bound.told, bound.dns]
