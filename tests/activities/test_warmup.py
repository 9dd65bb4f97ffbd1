"""Days of a warm-up as activity, ledger and figures see them: no day's cap is counted twice."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from activities.warmup import WarmupActivities
from activities.warmup_messages import Tick
from domain.events import Kind, MailEvent
from domain.lifecycle import WarmupTold
from domain.warmup import Progress, WarmupPlan, WarmupState, slice_ms
from domain.words import MailboxProvider, Stage
from settings import Settings
from store import events, ips, leases, ledger, warmup
from store.database import Database
from store.tables.ips import Ip
from tests.spending import spend

IP = "203.0.113.9"
GMAIL, YAHOO = MailboxProvider.GMAIL, MailboxProvider.YAHOO
START = dt.datetime(2026, 3, 2, 9, 31, 7, 123_000, tzinfo=dt.UTC)
SENDER = {GMAIL: 0.5, MailboxProvider.MICROSOFT: 0.3, YAHOO: 0.2}


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    """An empty store on SQLite; the ledger's own tests run on PostgreSQL too."""
    database = Database.open(settings.database_url, synchronous="normal")
    await database.create_all()
    yield database
    await database.close()


@dataclass
class Simulation:
    """A sender that asks before it sends, in simulated time, and ticks that come as late as one likes."""

    db: Database
    now: Progress
    at_ms: int = 0
    serial: int = 0
    granted: list[tuple[int, int]] = field(default_factory=list)

    @property
    def day_ms(self) -> int:
        return round(self.now.plan.day_seconds * 1000)

    async def begin(self) -> None:
        self.at_ms = round(self.now.started.timestamp() * 1000)
        await self.tick(close=False)

    async def tick(self, *, close: bool = True) -> None:
        tick = Tick(address=IP, run="r", progress=self.now, now=dt.datetime.now(dt.UTC), close=close)
        self.now = (await WarmupActivities(self.db).day(tick)).progress

    async def send_until(self, until_ms: int, *, turns: int) -> None:
        """Ask for more than there is, all the time; each mail is delivered the moment it was granted."""
        step = max(1, (until_ms - self.at_ms) // turns)
        while self.at_ms < until_ms:
            async with self.db.write() as session:
                batch = []
                for provider in SENDER:
                    got, _ = await spend(session, IP, provider, 40, self.at_ms)
                    if got:
                        self.granted.append((self.at_ms, got))
                    for _ in range(got):
                        self.serial += 1
                        batch.append(
                            MailEvent(
                                source="t", event_id=str(self.serial), kind=Kind.DELIVERED, address=IP,
                                provider=provider, at_ms=self.at_ms,
                            )
                        )  # fmt: skip
                await events.record(session, batch, day_seconds=self.now.plan.day_seconds)
            self.at_ms = min(self.at_ms + step, until_ms)

    async def rows(self) -> list[warmup.WarmupDay]:
        async with self.db.read() as session:
            return list(await warmup.history(session, IP, limit=400))


async def begun(db: Database, **plan: object) -> Simulation:
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.ACTIVE))
    simulation = Simulation(db, Progress(plan=WarmupPlan().model_copy(update=plan).checked(), started=START))
    await simulation.begin()
    return simulation


@pytest.mark.parametrize("day_seconds", [4.0, 1.009, 86_400.0], ids=["short", "odd", "real"])
async def test_no_day_sends_more_than_its_cap_however_late_the_ticks(db: Database, day_seconds: float) -> None:
    run = await begun(db, day_seconds=day_seconds, target=400, time_zone="Europe/Berlin")
    dice = random.Random(5)
    for late in [0.0, 0.02, 0.3, 0.02, 0.9, 0.0, 1.7, 0.01, 2.4, 0.02, 0.5]:
        ends = round(run.now.plan.day_bounds(run.now.started, run.now.day)[1].timestamp() * 1000)
        await run.send_until(ends + round(late * run.day_ms), turns=30 + dice.randrange(20))
        # A worker that was away closes every day that has passed meanwhile.
        while (
            run.now.state is WarmupState.WARMING
            and run.now.plan.day_bounds(run.now.started, run.now.day)[1].timestamp() * 1000 <= run.at_ms
        ):
            await run.tick()
    rows = await run.rows()
    assert len(rows) >= 12
    for row in rows:
        attempted = sum(one["attempted"] for one in row.figures.values())
        inside = sum(got for at, got in run.granted if row.starts_ms <= at < row.ends_ms)
        assert attempted == inside == row.granted <= row.cap, (row.day, row.cap)
    sent = [sum(one["attempted"] for one in row.figures.values()) for row in rows]
    assert sum(sent) == sum(got for at, got in run.granted if at < rows[-1].ends_ms)
    for before, after in zip(rows, rows[1:], strict=False):
        assert before.ends_ms == after.starts_ms


async def test_a_late_tick_leaves_no_gap_and_a_day_without_decision_stops(db: Database) -> None:
    run = await begun(db, day_seconds=4.0)
    run.now.step = 3
    await run.tick(close=False)
    first_ends = round(run.now.plan.day_bounds(START, 0)[1].timestamp() * 1000)
    async with db.write() as session:
        carried = await ledger.window(session, IP, first_ends)
        got, until = await spend(session, IP, GMAIL, 5, first_ends + 1)
        nothing, _ = await spend(session, IP, GMAIL, 5, first_ends + run.day_ms)
    assert carried is not None
    assert carried.cap == run.now.plan.cap(2) < run.now.cap, "as low as the decision may set it"
    assert (got, until) == (5, first_ends + run.day_ms)
    assert nothing == 0
    run.at_ms = first_ends + 10
    await run.tick()
    async with db.read() as session:
        opened = await ledger.window(session, IP, run.at_ms)
    assert opened is not None
    assert (opened.starts_ms, opened.cap, opened.granted) == (first_ends, run.now.cap, 5)


async def test_an_hour_takes_a_fifth_of_the_day_and_of_each_providers_share(db: Database) -> None:
    run = await begun(db, day_seconds=86_400.0, shares={GMAIL: 0.5})
    async with db.write() as session:
        hour = 3_600_000
        at = run.at_ms - run.at_ms % hour
        assert [(await spend(session, IP, GMAIL, 50, at + n))[0] for n in range(2)] == [5, 0]
        assert [(await spend(session, IP, YAHOO, 50, at + n))[0] for n in range(2)] == [5, 0]
        row = await ledger.window(session, IP, at)
        assert row is not None
        assert "hourly cap of 203.0.113.9 reached, 10 of 10" in ledger.why(IP, YAHOO, row, at)
        again = [(await spend(session, IP, GMAIL, 50, at + n * hour))[0] for n in range(1, 8)]
    assert again == [5, 5, 5, 5, 0, 0, 0], "25 a day for gmail, five an hour"


async def test_a_graduation_and_the_days_after_it_have_one_cap_each(db: Database) -> None:
    run = await begun(db, day_seconds=4.0, target=60, time_zone="Asia/Tokyo")
    while run.now.state is WarmupState.WARMING:
        await run.send_until(
            round(run.now.plan.day_bounds(run.now.started, run.now.day)[1].timestamp() * 1000), turns=60
        )
        await run.tick()
    ends = round(run.now.plan.day_bounds(run.now.started, run.now.day)[1].timestamp() * 1000)
    days: dict[int, int] = {}
    for at in range(run.at_ms, ends + 3 * run.day_ms, 100):
        async with db.write() as session:
            lease = await leases.lease(session, provider=GMAIL, count=60, at_ms=at, ip=IP, day_seconds=4.0)
        day = (at - ends) // run.day_ms
        days[day] = days.get(day, 0) + sum(one.count for one in lease.grants)
    assert days == {day: 60 for day in range(-1, 3)}


async def test_a_cap_lowered_in_the_middle_of_a_day_ends_that_day(db: Database) -> None:
    run = await begun(db, day_seconds=4.0)
    run.now.step = 4
    await run.tick(close=False)
    await run.send_until(run.at_ms + run.day_ms * 9 // 10, turns=60)
    run.now.step = 0
    await run.tick(close=False)
    async with db.write() as session:
        assert await spend(session, IP, GMAIL, 5, run.at_ms) == (0, 0)
    await run.tick()
    (row,) = await run.rows()
    assert row.granted == row.cap > 50


async def test_a_day_closed_twice_is_decided_once(db: Database) -> None:
    """The worker died before its answer arrived, and mail that was under way came in meanwhile."""
    run = await begun(db, day_seconds=4.0)
    ends = round(run.now.plan.day_bounds(START, 0)[1].timestamp() * 1000)
    await run.send_until(ends, turns=60)
    before = run.now
    await run.tick()
    first, run.now = run.now, before
    late = [
        MailEvent(source="t", event_id=f"late{n}", kind=Kind.BLOCKED, address=IP, provider=GMAIL, at_ms=ends - 1)
        for n in range(3)
    ]
    async with db.write() as session:
        await events.record(session, late, day_seconds=4.0)
    await run.tick()
    assert run.now == first
    assert run.now.state is WarmupState.WARMING
    assert [(row.day, row.decision) for row in await run.rows()] == [(0, "grow")]


async def test_the_end_of_a_day_frees_no_mail_that_an_alert_stopped_meanwhile(db: Database) -> None:
    run = await begun(db, day_seconds=4.0)
    ends = round(run.now.plan.day_bounds(START, 0)[1].timestamp() * 1000)
    await run.send_until(ends, turns=60)
    async with db.write() as session:
        await ledger.set_paused(session, IP, True, "alert: listed")
    await run.tick()
    assert run.now.decision == "grow", "the warm-up has not heard of it yet"
    async with db.write() as session:
        assert await spend(session, IP, GMAIL, 1, ends + 1) == (0, 0)
        assert await ledger.held(session, IP) == "alert: listed"


async def test_the_life_of_an_ip_hears_of_a_stop_and_of_its_end(db: Database) -> None:
    run = await begun(db, day_seconds=4.0)
    at = round(START.timestamp() * 1000) + 1
    blocked = MailEvent(
        source="t", event_id="b", kind=Kind.BLOCKED, address=IP, provider=GMAIL, at_ms=at, detail="550 5.7.1 blocked"
    )
    async with db.write() as session:
        await events.record(session, [blocked], day_seconds=4.0)

    async def tick(*, close: bool, troubled: bool) -> WarmupTold | None:
        said = Tick(address=IP, run="r", progress=run.now, now=dt.datetime.now(dt.UTC), close=close, troubled=troubled)
        ticked = await WarmupActivities(db).day(said)
        run.now = ticked.progress
        return ticked.told

    told = await tick(close=True, troubled=False)
    assert run.now.state == "stopped"
    assert told is not None
    assert told.stopped
    assert "blocked the IP" in told.risk
    run.now = run.now.model_copy(update={"state": WarmupState.WARMING})
    assert await tick(close=False, troubled=True) == WarmupTold(stopped=False)
    assert await tick(close=False, troubled=False) is None, "there is nothing to tell of a usual day"


async def test_a_new_warm_up_takes_over_the_day_of_an_ip_that_sends_already(db: Database) -> None:
    """In another time zone its day lies across two of the installation's."""
    noon = round(START.timestamp() * 1000)
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.FULL_CAPACITY, safe_limit=2_000))
        await leases.lease(session, provider=GMAIL, count=30, at_ms=noon, ip=IP)
    progress = Progress(plan=WarmupPlan(time_zone="Europe/Berlin").checked(), started=START)
    run = Simulation(db, progress)
    await run.begin()
    async with db.write() as session:
        got = [(await spend(session, IP, YAHOO, 50, noon + n * 3_600_000))[0] for n in range(8)]
    assert sum(got) == 20, "what left at full capacity today counts"


async def test_a_complaint_that_comes_late_counts_on_the_day_of_its_mail(db: Database) -> None:
    run = await begun(db, day_seconds=4.0)
    first = run.at_ms
    for _ in range(2):
        ends = round(run.now.plan.day_bounds(run.now.started, run.now.day)[1].timestamp() * 1000)
        await run.send_until(ends, turns=60)
        await run.tick()
    async with db.write() as session:
        late = [
            MailEvent(
                source="t", event_id=f"c{n}", kind=Kind.COMPLAINED, address=IP, provider=GMAIL, at_ms=run.at_ms + n,
                sent_ms=first + 1, message_id=str(n), recipient="a@b.test",
            )
            for n in range(3)
        ]  # fmt: skip
        await events.record(session, late, day_seconds=4.0)
    await run.send_until(round(run.now.plan.day_bounds(START, run.now.day)[1].timestamp() * 1000), turns=60)
    await run.tick()
    rows = await run.rows()
    assert [sum(one["complained"] for one in row.figures.values()) for row in rows] == [3, 0, 0]
    assert (rows[-1].decision, "complaint" in rows[-1].reason) == ("step_back", True)


@pytest.mark.parametrize("day_seconds", [0.2, 0.5, 1.009, 4.0, 7.3, 86_400.0])
def test_days_begin_and_end_between_slices_of_figures(day_seconds: float) -> None:
    piece, day = slice_ms(day_seconds), round(day_seconds * 1000)
    assert day % piece == 0
    assert day // piece >= 96
    plan = WarmupPlan(day_seconds=day_seconds)
    for number in range(5):
        begins, ends = plan.day_bounds(START, number)
        assert round(begins.timestamp() * 1000) % piece == 0
        assert plan.day_bounds(START, number + 1)[0] == ends


async def report(run: Simulation, kind: Kind, count: int) -> None:
    """So many outcomes of the day that is open."""
    batch = [
        MailEvent(
            source="t", event_id=f"{kind}-{run.now.day}-{number}", kind=kind, address=IP, provider=GMAIL,
            at_ms=round(run.now.plan.day_bounds(run.now.started, run.now.day)[0].timestamp() * 1000) + 1,
        )
        for number in range(count)
    ]  # fmt: skip
    async with run.db.write() as session:
        await events.record(session, batch, day_seconds=run.now.plan.day_seconds)


async def test_mail_before_a_stop_is_not_held_against_who_resumes_after_some_days_of_rest(db: Database) -> None:
    run = await begun(db, day_seconds=4.0, preset="sparkpost", target=1000)
    await report(run, Kind.DELIVERED, 200)
    await run.tick()
    assert run.now.decision == "grow"
    await report(run, Kind.BOUNCED, 150)
    await report(run, Kind.DELIVERED, 350)
    await run.tick()
    assert run.now.state is WarmupState.STOPPED
    # Resumed after two days, as the workflow does it: the days at rest are never closed.
    run.now = run.now.model_copy(update={"state": WarmupState.WARMING, "day": run.now.day + 2})
    await report(run, Kind.DELIVERED, 500)
    await run.tick()
    assert (run.now.decision, run.now.state) == ("grow", WarmupState.WARMING), run.now.reason


async def test_mail_of_a_day_that_was_paused_is_judged_all_the_same(db: Database) -> None:
    run = await begun(db, day_seconds=4.0, preset="sparkpost", target=1000)
    await report(run, Kind.BOUNCED, 60)
    await report(run, Kind.DELIVERED, 100)
    # Paused on this day and resumed on the next: its window is over before it could be closed.
    run.now = run.now.model_copy(update={"day": run.now.day + 1})
    await report(run, Kind.DELIVERED, 200)
    await run.tick()
    assert run.now.decision == "stop", run.now.reason
    assert "60 of 360" in run.now.reason
