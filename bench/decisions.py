"""How often the daily decision is right: simulated warm-ups, 50 mails on the first day, 45 days.

``python -m bench.decisions`` prints the table; with ``--write`` it becomes ``docs/decisions.md``.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from domain.decisions import Decision, decide
from domain.figures import Figures
from domain.warmup import Progress, WarmupPlan
from domain.words import MailboxProvider

RUNS, DAYS = 400, 45
RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.10, 0.15, 0.20)


class Story(BaseModel):
    """Days (from 1) on which one simulated warm-up first met each decision."""

    hold: int | None = None
    back: int | None = None
    stop: int | None = None

    def acted(self, within: int) -> bool:
        """Stepped back or stopped within so many days."""
        return any(day is not None and day <= within for day in (self.back, self.stop))


def simulate(rate: float, seed: int, days: int = DAYS) -> Story:
    """One warm-up whose every mail bounces with probability ``rate``."""
    chance = random.Random(f"{rate}:{seed}")
    progress = Progress(plan=WarmupPlan(), started=dt.datetime(2026, 1, 5, tzinfo=dt.UTC))
    history: list[dict[MailboxProvider, Figures]] = []
    story = Story()
    for day in range(days):
        progress.day = day
        sent = progress.cap
        bounced = _binomial(chance, sent, rate)
        figures = Figures(attempted=sent, delivered=sent - bounced, bounced=bounced)
        history.append({MailboxProvider.OTHER: figures})
        verdict = decide(progress, history[-30:])
        progress = verdict.progress
        if verdict.decision is Decision.HOLD and progress.holding:
            story.hold = story.hold or day + 1
        if verdict.decision is Decision.STEP_BACK:
            story.back = story.back or day + 1
        if verdict.decision is Decision.STOP:
            story.stop = day + 1
            break
    return story


def _binomial(chance: random.Random, n: int, rate: float) -> int:
    """Successes in ``n`` tries, by the gaps between them; the same on every Python."""
    found, at = 0, 0
    while True:
        at += 1 + int(math.log(1 - chance.random()) / math.log1p(-rate))
        if at > n:
            return found
        found += 1


def table(runs: int = RUNS) -> str:
    """The table as Markdown; the same numbers every time."""
    lines = [
        "| true bounce rate | ever held | ever stepped back | ever stopped | back or stop in 10 days | "
        "stopped in 7 days | back or stop in 45 days |",
        "|---|---|---|---|---|---|---|",
    ]
    with ProcessPoolExecutor() as workers:
        told = [list(workers.map(partial(simulate, rate), range(runs), chunksize=50)) for rate in RATES]
    for rate, stories in zip(RATES, told, strict=True):
        shares = (
            sum(one.hold is not None for one in stories),
            sum(one.back is not None for one in stories),
            sum(one.stop is not None for one in stories),
            sum(one.acted(10) for one in stories),
            sum(one.stop is not None and one.stop <= 7 for one in stories),
            sum(one.acted(DAYS) for one in stories),
        )
        lines.append(f"| {rate:.1%} | " + " | ".join(f"{share / runs:.1%}" for share in shares) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print or write the table."""
    text = (
        "# Decisions by evidence\n\n"
        f"{RUNS} simulated warm-ups a rate, {DAYS} days from 50 mails a day at 25 % growth, fixed seeds. "
        "Made by `make docs`.\n\n"
        "Every mail bounces by itself with the true rate, each day spends its cap, and nobody resumes a warm-up "
        "that stopped. Limits are 3 % (hold), 5 % (step back), 8 % over 3 days or 10 % in a day (stop); a rate that "
        "lies on a limit is by nature undecided.\n\n" + table()
    )
    if "--write" in sys.argv:
        Path("docs/decisions.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
