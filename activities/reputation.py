"""Reads lists and figures of a chunk of IPs, scores them, and says who crossed a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.context import Context
from activities.dns_checks import check_now
from activities.reputation_messages import Chunk, Crossing, ListAddresses, Swept
from domain import reputation as rules
from domain.blocklists import ZoneAnswer
from domain.figures import Figures
from domain.refusals import NotFound
from domain.words import Severity, Stage
from providers.blocklists import Blocklists
from store import events, incidents, ips
from store import reputation as scores
from store.database import Database

SWEPT = [stage for stage in Stage if stage not in (Stage.SELECTED, Stage.PURCHASING, Stage.RETIRED)]
DNS_SWEPT = [stage for stage in SWEPT if stage is not Stage.AWAITING_DNS]


class ReputationActivities:
    """What a sweep does in the world; each call may run twice and writes the same."""

    def __init__(self, context: Context, lists: Blocklists, *, gap_seconds: float) -> None:
        self._context = context
        self._db: Database = context.db
        self._lists = lists
        self._gap = gap_seconds

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
        looks = await asyncio.gather(*(self._lists.check(address) for address in chunk.addresses))
        swept = Swept()
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
        """Re-verify the DNS of each IP; those that drifted come back with their findings."""
        swept = Swept()
        for address in chunk.addresses:
            activity.heartbeat(address)
            try:
                outcome = await check_now(self._context.settings, self._db, address)
            except NotFound:
                continue  # Imported without a DNS set-up, or gone since the list was made.
            if outcome.drifted:
                reason = "; ".join(outcome.findings) or "DNS no longer says what was verified."
                swept.crossings.append(Crossing(address=address, reason=reason))
        return swept

    async def _write(self, address: str, answers: list[ZoneAnswer], swept: Swept) -> None:
        end = int(time.time() * 1000) + 1
        day_ms = int(self._context.settings.day_seconds * 1000)
        async with self._db.write() as session:
            confirmed, again = await scores.see(session, address, answers, gap_seconds=self._gap)
            week, month, three = [
                sum((await events.sums(session, address, end - days * day_ms, end)).values(), Figures())
                for days in (7, 30, 3)
            ]
            until = await scores.figures_until(session, address)
            before = await scores.get(session, address)
            result = rules.score(
                answers,
                confirmed,
                week,
                month,
                three,
                figures_age=None if until is None else max(0.0, (end - until) / 1000),
                standing=before.lines if before is not None else (),
            )
            row = await scores.write(session, address, answers, result)
            if result.lines:
                severity = Severity.CRITICAL if rules.Line.CRITICAL_LISTING in result.lines else Severity.WARNING
                await incidents.open_incident(session, "at_risk", address, severity, result.reason)
            else:
                await incidents.close_incident(session, "at_risk", address, "No line is crossed any more.")
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


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities of this journey, for a worker."""
    gap = 0.8 * context.settings.blocklist_second_look_seconds
    bound = ReputationActivities(context, Blocklists(context.settings), gap_seconds=gap)
    return [bound.addresses, bound.sweep, bound.told, bound.dns]
