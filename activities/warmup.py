"""Effects of a warm-up: one activity a day, and one at once when mail must stop or the plan changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.context import Context
from activities.warmup_messages import Tick, Ticked
from domain.decisions import Day, Decision, decide, total
from domain.figures import Figures
from domain.warmup import HOURLY_PART, Progress, WarmupState
from domain.words import Actor, MailboxProvider, Severity, Stage
from store import events, incidents, ips, ledger, warmup
from store.database import Database
from store.tables.warmup import WarmupDay

#: Windows reach past the end of their day by this part of it, so that a late tick does not leave a
#: sender without any cap; the newest window wins.
_GRACE = 0.25


class WarmupActivities:
    """Close days, write caps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name="warmup_day")
    async def day(self, tick: Tick) -> Ticked:
        """Close the day ``progress.day`` if asked, decide, and write state, caps and stage in one step.

        The same day closed twice answers what the first close decided and writes it again.
        """
        async with self._db.write() as session:
            await ips.lock(session, tick.address)
            progress = await self._close(session, tick) if tick.close else tick.progress
            await self._write(session, tick, progress)
        return Ticked(progress=progress)

    async def _close(self, session: AsyncSession, tick: Tick) -> Progress:
        before = tick.progress
        seen = await warmup.closed(session, tick.address, tick.run, before.day)
        if seen is not None:
            return Progress.model_validate(seen.after)
        starts, ends = (_ms(one) for one in before.plan.day_bounds(before.started, before.day))
        figures = await events.sums(session, tick.address, starts, ends)
        past = await warmup.history(session, tick.address, run=tick.run, limit=29)
        days: list[Day] = [
            {MailboxProvider(name): Figures.model_validate(one) for name, one in row.figures.items()}
            for row in past
        ]
        window = await ledger.window(session, tick.address, starts)
        sends = before.plan.sends_on(before.started, before.day)
        verdict = decide(before, [*days, figures], sends)
        after = verdict.progress
        if verdict.decision is Decision.STOP:
            after.state = WarmupState.STOPPED
        elif verdict.decision is Decision.GRADUATE:
            after.state = WarmupState.GRADUATED
        after.day = before.day + 1
        await warmup.add_day(
            session,
            WarmupDay(
                address=tick.address, run=tick.run, day=before.day, starts_ms=starts, ends_ms=ends,
                date=before.plan.date(before.started, before.day).isoformat(), step=before.step,
                cap=before.cap if sends else 0, granted=window.granted if window else 0,
                figures={str(one): sums.model_dump() for one, sums in figures.items()},
                decision=verdict.decision, reason=verdict.reason, after=after.model_dump(mode="json"),
            ),
        )  # fmt: skip
        return after

    async def _write(self, session: AsyncSession, tick: Tick, now: Progress) -> None:
        await warmup.save(session, tick.address, tick.run, now)
        still = now.state in (WarmupState.PAUSED, WarmupState.STOPPED)
        await ledger.set_paused(session, tick.address, still, now.reason)
        starts, ends = now.plan.day_bounds(now.started, now.day)
        sends = now.plan.sends_on(now.started, now.day) or now.state in (
            WarmupState.GRADUATED, WarmupState.COMPLETED,
        )  # fmt: skip
        cap = now.cap if sends else 0
        late = (ends - starts) * _GRACE
        if now.state in (WarmupState.GRADUATED, WarmupState.COMPLETED):
            cap, late = now.plan.target, dt.timedelta(0)
        await ledger.set_window(
            session, tick.address, _ms(starts), _ms(ends + late), cap,
            now.plan.by_provider(now.step, now.behind) if sends else {}, -(-cap // HOURLY_PART),
        )  # fmt: skip
        await self._tell(session, tick.address, now)

    async def _tell(self, session: AsyncSession, address: str, now: Progress) -> None:
        if now.state is WarmupState.STOPPED:
            # An alert that already put the IP at risk says more than a stop.
            row = await ips.get(session, address)
            stage = Stage.AT_RISK if row.stage == Stage.AT_RISK else Stage.QUARANTINED
            await ips.set_stage(
                session, address, stage,
                waiting_for=f"Warm-up stopped: {now.reason}", waiting_on=Actor.OPERATOR,
            )  # fmt: skip
            title = f"Warm-up of {address} stopped"
            await incidents.open_incident(session, "warmup", address, Severity.CRITICAL, title, now.reason)
            return
        await incidents.close_incident(session, "warmup", address, "The warm-up goes on.")
        if now.state in (WarmupState.GRADUATED, WarmupState.COMPLETED):
            await ips.set_stage(session, address, Stage.FULL_CAPACITY)
        elif now.state is WarmupState.PAUSED:
            await ips.set_stage(
                session, address, Stage.WARMING,
                waiting_for="Paused; resume the warm-up.", waiting_on=Actor.OPERATOR,
            )  # fmt: skip
        else:
            await ips.set_stage(
                session, address, Stage.WARMING,
                waiting_for=f"Day {now.day + 1}, cap {now.cap}", waiting_on=Actor.TIME,
            )  # fmt: skip


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def summed(row: WarmupDay) -> Figures:
    """Figures of a closed day over all mailbox providers."""
    return total([{MailboxProvider(name): Figures.model_validate(one) for name, one in row.figures.items()}])


def activities(context: Context) -> list[Callable[..., Any]]:
    """What the worker registers."""
    return [WarmupActivities(context.db).day]
