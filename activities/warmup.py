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
from domain.lifecycle import WARMUP_STOPPED, WarmupTold, in_warmup
from domain.policy import DecisionPolicy
from domain.warmup import Progress, WarmupState
from domain.words import MailboxProvider, Severity, Stage
from store import events, incidents, ips, ledger, risk, warmup
from store.database import Database
from store.tables.warmup import WarmupDay

#: Ends of a warm-up; the IP stays at its target.
_DONE = (WarmupState.GRADUATED, WarmupState.COMPLETED)


class WarmupActivities:
    """Close days, write caps."""

    def __init__(self, db: Database, policy: DecisionPolicy | None = None) -> None:
        self._db = db
        self._policy = policy or DecisionPolicy()

    @activity.defn(name="warmup_day")
    async def day(self, tick: Tick) -> Ticked:
        """Close the day ``progress.day`` if asked, decide, and write state, caps and stage in one step.

        The same day closed twice answers what the first close decided and writes it again.
        """
        async with self._db.write() as session:
            await ips.lock(session, tick.address)
            progress = await self._close(session, tick) if tick.close else tick.progress
            told = await self._write(session, tick, progress)
        return Ticked(progress=progress, told=told)

    async def _close(self, session: AsyncSession, tick: Tick) -> Progress:
        before = tick.progress
        seen = await warmup.closed(session, tick.address, tick.run, before.day)
        if seen is not None:
            return Progress.model_validate(seen.after)
        starts, ends = (_ms(one) for one in before.plan.day_bounds(before.started, before.day))
        figures = await events.sums(session, tick.address, starts, ends)
        days = await self._days_before(session, tick)
        window = await ledger.window(session, tick.address, starts)
        sends = before.plan.sends_on(before.started, before.day)
        verdict = decide(before, [*days, figures], sends, self._policy)
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
                # A cap that a command lowered in the middle of the day stands at what was granted by then.
                cap=max(window.cap, window.granted) if window else before.cap if sends else 0,
                granted=window.granted if window else 0,
                figures={str(one): sums.model_dump() for one, sums in figures.items()},
                decision=verdict.decision, reason=verdict.reason, after=after.model_dump(mode="json"),
            ),
        )  # fmt: skip
        return after

    async def _days_before(self, session: AsyncSession, tick: Tick) -> list[Day]:
        """Figures of the 29 days before, one entry each: what a window counts back over are days, not closed days.

        A day on which mail was paused, and those of the rest after it, were never closed; their mail counts as well.
        """
        before = tick.progress
        closed = {row.day: row.figures for row in await warmup.freshen(session, tick.address, tick.run, limit=29)}
        numbers = range(max(0, before.day - 29), before.day)
        open_ = [number for number in numbers if number not in closed]
        spans = [before.plan.day_bounds(before.started, number) for number in open_]
        found = await events.sums_of_spans(session, tick.address, [(_ms(a), _ms(b)) for a, b in spans])
        summed_up: dict[int, Day] = dict(zip(open_, found, strict=True))
        for number, figures in closed.items():
            summed_up[number] = {MailboxProvider(name): Figures.model_validate(one) for name, one in figures.items()}
        return [summed_up[number] for number in numbers]

    async def _write(self, session: AsyncSession, tick: Tick, now: Progress) -> WarmupTold | None:
        await warmup.save(session, tick.address, tick.run, now)
        still = now.state in (WarmupState.PAUSED, WarmupState.STOPPED)
        if still or not tick.close:
            # The end of a day frees no mail: an alert that came meanwhile has stopped it already.
            await ledger.set_paused(session, tick.address, still, now.reason)
        await self._open_day(session, tick.address, now, now.day, now.step)
        # A decision comes after its day has ended, and late if the worker was away: until then mail flows on
        # the next day's own cap, as low as the decision may set it. After that day it stops.
        ahead = now.step if now.state in _DONE else now.plan.carried_step(now.step, now.idle_days)
        await self._open_day(session, tick.address, now, now.day + 1, ahead)
        if now.state in _DONE:
            # What it was warmed up to is what it may send on all days to come: more would be a jump.
            (await ips.get(session, tick.address)).safe_limit = now.plan.target
        return await self._tell(session, tick, now, freed=not still and not tick.close)

    async def _open_day(self, session: AsyncSession, address: str, now: Progress, day: int, step: int) -> None:
        """Write the window of a day, which is exactly that day, with the caps of a step."""
        starts, ends = now.plan.day_bounds(now.started, day)
        sends = now.plan.sends_on(now.started, day) or now.state in _DONE
        if not sends:
            await ledger.set_window(session, address, _ms(starts), _ms(ends), 0, {}, 0)
        elif now.state in _DONE:
            await ledger.set_window(session, address, _ms(starts), _ms(ends), now.plan.target, {}, 0)
        else:
            await ledger.set_window(
                session, address, _ms(starts), _ms(ends), now.plan.cap(step),
                now.plan.by_provider(step, now.behind), now.plan.hourly_cap(step),
            )  # fmt: skip

    async def _tell(self, session: AsyncSession, tick: Tick, now: Progress, *, freed: bool) -> WarmupTold | None:
        """Write where the IP stands; answers what its life does not know yet."""
        address = tick.address
        if now.state is WarmupState.STOPPED:
            await risk.see(
                session, address, risk.MAIL, Severity.CRITICAL, f"{WARMUP_STOPPED}{now.reason}",
                stage=Stage.QUARANTINED,
            )  # fmt: skip
            # An alert told the life itself.
            return WarmupTold(stopped=True, risk=f"{WARMUP_STOPPED}{now.reason}") if tick.close else None
        if freed:
            await risk.over(session, address, risk.MAIL, "An operator let mail go again.")
        stands = in_warmup(now)
        await risk.reach(session, address, stands.stage, waiting_for=stands.waiting_for, waiting_on=stands.waiting_on)
        if not (freed and tick.troubled):
            return None
        left = await incidents.find_open(session, risk.KIND, address)
        return WarmupTold(stopped=False, risk=left.title if left else "")


def _ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def summed(row: WarmupDay) -> Figures:
    """Figures of a closed day over all mailbox providers."""
    return total([{MailboxProvider(name): Figures.model_validate(one) for name, one in row.figures.items()}])


def activities(context: Context) -> list[Callable[..., Any]]:
    """What the worker registers."""
    return [WarmupActivities(context.db, DecisionPolicy.of(context.settings)).day]
