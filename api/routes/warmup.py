"""Warm-up of an IP: forecast, start, look, and the operator's commands."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from temporalio.service import RPCError

from activities.warmup import summed
from api import audit
from api.deps import AppSettings, Operator, Principal, Store, Temporal, Viewer
from api.idempotency import Key, Keyed
from api.journeys import PATIENCE, UNANSWERED, command, link
from api.names import IpPath
from domain import presets
from domain.forecast import Forecast, forecast
from domain.policy import RampPolicy
from domain.refusals import NotFound
from domain.warmup import MAX_DAYS, Adjust, Complete, Pause, Restart, Resume, WarmupPlan
from domain.words import MailboxProvider
from settings import Settings
from store import ips, ledger, runs, warmup
from workflows.ids import ip_id, warmup_id
from workflows.warmup import Warmup

router = APIRouter(tags=["warmup"])
_ONE = "/v1/ips/{address}/warmup"
#: Longest wait for the first write of a warm-up that has started; a busy worker writes it later.
SEEN_SECONDS = 5.0


def _whole() -> Any:  # noqa: ANN401
    """A whole number within reason; the plan itself names the tighter bounds, in words."""
    return Field(None, ge=-(10**9), le=10**9)


class PlanFields(BaseModel, extra="forbid"):
    """What an operator may set; what is left out keeps its default, or its present value in a PATCH."""

    initial: int | None = _whole()
    growth: float | None = Field(None, allow_inf_nan=False)
    step_days: int | None = _whole()
    target: int | None = _whole()
    sending_days: list[int] | None = Field(None, max_length=7)
    shares: dict[MailboxProvider, float] | None = None
    preset: str | None = None
    time_zone: str | None = Field(None, max_length=64)


class PlanIn(PlanFields):
    """A plan: its fields themselves, or all of them below ``plan``, which wins."""

    plan: PlanFields | None = None

    def given(self) -> dict[str, Any]:
        """The fields that were set."""
        return (self.plan or self).model_dump(exclude_none=True, exclude={"plan", "reason"})


class PlannedIn(PlanIn):
    """A plan that is run, and why; the audit keeps it."""

    reason: audit.Reason = ""


class RestartIn(audit.Why):
    """Where to go on from."""

    step: int = Field(0, ge=0, le=MAX_DAYS)


class Presets(BaseModel):
    """Ladders that peers publish."""

    items: list[presets.Preset]
    next: str | None = None


class HistoryDay(BaseModel):
    """One day that is over; its decision is `rest` where the warm-up stood still when it ended."""

    date: str
    day: int
    step: int
    cap: int
    granted: int
    attempted: int
    delivered: int
    bounced: int
    blocked: int
    deferred: int
    complained: int
    decision: str
    reason: str


class WarmupOut(BaseModel):
    """A warm-up as it stands."""

    address: str
    state: str
    plan: WarmupPlan
    day: int
    step: int
    steps: int
    cap: int
    by_provider: dict[MailboxProvider, int]
    sent_by_provider: dict[MailboxProvider, int] = Field(description="Granted of today's caps; empty before any day.")
    decision: str
    reason: str
    paused: bool
    forecast: Forecast
    history: list[HistoryDay]
    workflow: dict[str, str | None]


@router.get("/v1/warmup/presets")
async def list_presets(who: Viewer) -> Presets:
    """Published ladders to choose from."""
    return Presets(items=list(presets.PRESETS.values()))


@router.post("/v1/warmup/forecast")
async def look_ahead(given: PlanIn, who: Viewer, settings: AppSettings) -> Forecast:
    """Cap per day and finish of a plan; nothing is started."""
    return forecast(_plan(given, _usual(settings)), dt.datetime.now(dt.UTC))


@router.post(_ONE, status_code=201)
async def start(
    address: IpPath, given: PlannedIn, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> WarmupOut:
    """Start a warm-up; answers once its first cap is being written."""
    async with db.read() as session:
        ip = await ips.get(session, address)
    plan = _plan(given, _usual(settings).model_copy(update={"target": ip.safe_limit}))
    wanted = plan.model_dump(mode="json")
    async with audit.asking(db, who, "warmup.start", address, given.reason, after=wanted, key=key) as asked:
        if not asked.done:
            await command(temporal, ip_id(address), "start_warmup", plan, key)
    return await _until_seen(address, db, settings, temporal)


@router.patch(_ONE)
async def adjust(
    address: IpPath, given: PlannedIn, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> WarmupOut:
    """Change the plan; the level is kept as near as the new ladder allows."""
    before = (await _get(address, db, settings)).plan.model_copy(update={"bounds": RampPolicy.of(settings)})
    arg = Adjust(plan=_plan(given, before), reason=given.reason or f"Plan changed by {who.name}.")
    return await _tell(address, "adjust", arg, given.reason, who, db, temporal, settings, key)


@router.get(_ONE)
async def look(address: IpPath, who: Viewer, db: Store, settings: AppSettings) -> WarmupOut:
    """Where the newest warm-up of an IP stands."""
    return await _get(address, db, settings)


@router.post(_ONE + "/pause")
async def pause(
    address: IpPath, why: audit.Why, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> WarmupOut:
    """Stop mail of the IP at the gate; the level stays."""
    return await _tell(address, "pause", Pause(reason=why.reason), why.reason, who, db, temporal, settings, key)


@router.post(_ONE + "/resume")
async def resume(
    address: IpPath, why: audit.Why, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> WarmupOut:
    """Go on after a pause or a stop."""
    return await _tell(address, "resume", Resume(reason=why.reason), why.reason, who, db, temporal, settings, key)


@router.post(_ONE + "/complete")
async def complete(
    address: IpPath, why: audit.Why, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> WarmupOut:
    """Declare the IP warm."""
    return await _tell(address, "complete", Complete(reason=why.reason), why.reason, who, db, temporal, settings, key)


@router.post(_ONE + "/restart")
async def restart(
    address: IpPath, why: RestartIn, who: Operator, db: Store, temporal: Temporal, settings: AppSettings, key: Keyed
) -> WarmupOut:
    """Go on from a step."""
    arg = Restart(step=why.step, reason=why.reason)
    return await _tell(address, "restart", arg, why.reason, who, db, temporal, settings, key)


def _usual(settings: Settings) -> WarmupPlan:
    """The plan of this installation where an operator says nothing else."""
    return WarmupPlan(
        initial=settings.warmup_initial,
        growth=settings.warmup_growth,
        step_days=settings.warmup_step_days,
        day_seconds=settings.day_seconds,
        bounds=RampPolicy.of(settings),
    )


def _plan(given: PlanIn, base: WarmupPlan) -> WarmupPlan:
    plan: WarmupPlan = base.model_copy(update=given.given())
    return plan.checked()


async def _tell(
    address: str, name: str, arg: BaseModel, reason: str, who: Principal, db: Any,  # noqa: ANN401
    temporal: Any, settings: Settings, key: Key | None,  # noqa: ANN401
) -> WarmupOut:  # fmt: skip
    before = _told(await _get(address, db, settings))
    wanted = (
        {"plan": arg.plan.model_dump(mode="json")} if isinstance(arg, Adjust) else arg.model_dump(exclude={"reason"})
    )
    async with audit.asking(db, who, f"warmup.{name}", address, reason, before, wanted, key) as asked:
        if not asked.done:
            await command(temporal, warmup_id(address), name, arg, key)
        now = await _get(address, db, settings)
        asked.after = _told(now)
    return now


def _told(warmup: WarmupOut) -> dict[str, Any]:
    return warmup.model_dump(mode="json", include={"state", "day", "step", "cap", "plan"})


async def _until_seen(address: str, db: Any, settings: Settings, temporal: Any) -> WarmupOut:  # noqa: ANN401
    """The started warm-up, from its own query, once lists and pages show it too: whoever looks next must find it."""
    try:
        now = await temporal.get_workflow_handle(warmup_id(address)).query(Warmup.state, rpc_timeout=PATIENCE)
    except RPCError as error:
        raise HTTPException(503, UNANSWERED) from error
    until = time.monotonic() + SEEN_SECONDS
    while time.monotonic() < until:
        async with db.read() as session:
            found = await warmup.get(session, address)
        if found is not None and found[0].started >= now.started:
            break
        await asyncio.sleep(0.02)
    async with db.read() as session:
        run = await runs.of(session, warmup_id(address))
    return _out(address, now, [], settings, {}, run)


async def _get(address: str, db: Any, settings: Settings) -> WarmupOut:  # noqa: ANN401
    async with db.read() as session:
        await ips.get(session, address)
        found = await warmup.get(session, address)
        rows = await warmup.with_rests(session, address, dt.datetime.now(dt.UTC), limit=400)
        today = await ledger.window(session, address, int(time.time() * 1000))
        run = await runs.of(session, warmup_id(address))
    if found is None:
        raise NotFound(f"{address} has had no warm-up yet.", field="address", code="no_warmup")
    spent = {one: int(getattr(today, f"granted_{one}")) for one in MailboxProvider} if today else {}
    return _out(address, found[0], list(rows), settings, spent, run)


def _out(
    address: str, now: Any, rows: list[Any], settings: Settings,  # noqa: ANN401
    spent: dict[MailboxProvider, int], run: str | None,
) -> WarmupOut:  # fmt: skip
    return WarmupOut(
        address=address, state=now.state, plan=now.plan, day=now.day + 1, step=now.step,
        steps=len(now.plan.ladder()), cap=now.cap, by_provider=now.plan.by_provider(now.step, now.behind),
        sent_by_provider=spent,
        decision=now.decision, reason=now.reason, paused=now.state in ("paused", "stopped"),
        forecast=forecast(now.plan, now.started, now),
        history=[
            HistoryDay(
                date=row.date, day=row.day + 1, step=row.step, cap=row.cap, granted=row.granted,
                decision=row.decision, reason=row.reason, **summed(row).model_dump(),
            )
            for row in rows
        ],
        workflow=link(settings, warmup_id(address), run),
    )  # fmt: skip
