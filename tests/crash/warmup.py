"""A warm-up of short days under the sandbox's senders, and what must hold of its days and its ledger."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
from sqlmodel import col, select

from sandbox.senders import Reporter, Senders, Switches
from store.tables.ledger import LedgerWindow
from store.tables.warmup import WarmupDay
from tests.crash.system import DAY_SECONDS, System, reached


class Warming:
    """One imported IP that warms up; every lease its senders were answered is written down."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.address = f"198.51.100.{100 + system.number()}"
        self.leased: Counter[int] = Counter()
        """Mails that senders were granted, by the end of the window (epoch milliseconds)."""

    async def begin(self) -> None:
        """Import the IP and start its warm-up."""
        owned = {"address": self.address, "stage": "active", "safe_limit": 50_000}
        await self._system.insist("POST", "/v1/ips/import", [owned])

        async def started() -> bool:
            key = f"warm-{self.address}"
            reply = await self._system.api("POST", f"/v1/ips/{self.address}/warmup", {"initial": 50}, key)
            return reply.status_code == 201

        await reached(started, 30)

    @contextlib.asynccontextmanager
    async def under_senders(self) -> AsyncIterator[None]:
        """Senders take leases over HTTP and report over webhooks, beside the block."""
        settings = self._system.settings
        token = (self._system.folder / "operator.token").read_text().strip()

        async def note(reply: httpx.Response) -> None:
            if reply.request.url.path == "/v1/gate/lease" and reply.is_success:
                await reply.aread()
                for grant in reply.json()["grants"]:
                    if grant["ip"] == self.address:
                        ends = dt.datetime.fromisoformat(grant["expires"])
                        self.leased[round(ends.timestamp() * 1000)] += grant["count"]

        async with httpx.AsyncClient(
            base_url=settings.api_url, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False,
            event_hooks={"response": [note]},
        ) as http:  # fmt: skip
            reporter = Reporter(settings, http)
            senders = Senders(settings, http, Switches(self._system.folder / "no-trouble.json"), reporter)
            working = [asyncio.create_task(senders.run()), asyncio.create_task(reporter.run(0.1))]
            try:
                yield
            finally:
                for one in working:
                    one.cancel()
                await asyncio.gather(*working, return_exceptions=True)

    async def kept(self) -> tuple[list[WarmupDay], list[LedgerWindow]]:
        """Closed days and windows of the ledger as the store holds them at one moment, oldest first."""
        async with self._system.store.read() as session:
            closed = select(WarmupDay).where(col(WarmupDay.address) == self.address).order_by(col(WarmupDay.day))
            windows = (
                select(LedgerWindow)
                # The row at 0 only remembers a pause.
                .where(col(LedgerWindow.address) == self.address, col(LedgerWindow.starts_ms) > 0)
                .order_by(col(LedgerWindow.starts_ms))
            )
            return list((await session.exec(closed)).all()), list((await session.exec(windows)).all())

    async def near_tick(self, offset: float) -> None:
        """Wait until a coming day's end is ``offset`` seconds away (before it, if negative)."""
        # The newest window is tomorrow's: it begins where today ends.
        ends = (await self.kept())[1][-1].starts_ms / 1000
        while ends + offset < time.time():
            ends += DAY_SECONDS
        await asyncio.sleep(ends + offset - time.time())

    async def closed(self, count: int) -> None:
        """Wait for so many closed days."""

        async def so() -> bool:
            return len((await self.kept())[0]) >= count

        await reached(so, 90)

    async def hold(self) -> None:
        """Each day once and none skipped; no cap counted twice; the ramp goes a step a day at most."""
        leased = Counter(self.leased)
        days, windows = await self.kept()
        assert [day.day for day in days] == list(range(len(days)))
        assert len({day.run for day in days}) == 1
        assert {later.starts_ms - earlier.ends_ms for earlier, later in zip(days, days[1:], strict=False)} <= {-1, 0, 1}
        assert all(0 <= window.granted <= window.cap for window in windows)
        assert all(leased[window.ends_ms] <= window.granted for window in windows)
        assert leased.keys() <= {window.ends_ms for window in windows}
        of_day = {window.starts_ms: window for window in windows}
        # Beside the closed days there are today's window and tomorrow's, and none overlaps.
        assert len(windows) == len(days) + 2
        assert all(earlier.ends_ms <= later.starts_ms for earlier, later in zip(windows, windows[1:], strict=False))
        for day in days:
            window = of_day[day.starts_ms]
            assert (day.cap, day.granted) == (window.cap, window.granted), f"day {day.day + 1}"
        assert sum(day.granted for day in days) > 0
        steps = [day.step for day in days]
        assert all(later - earlier <= 1 for earlier, later in zip(steps, steps[1:], strict=False)), steps
        shown = await self._system.insist("GET", f"/v1/ips/{self.address}/warmup")
        told = [one["day"] for one in shown["history"]]
        assert told == list(range(1, len(told) + 1))
        assert len(told) >= len(days)
        attempted = sum(one["attempted"] for one in shown["history"])
        assert attempted <= sum(self.leased.values()), "an outcome was counted twice"
        assert attempted > 0
