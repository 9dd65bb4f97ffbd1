"""The daily decision: rare false alarms, quick true ones."""

from __future__ import annotations

import datetime as dt

from bench.decisions import simulate
from domain.decisions import Decision, decide
from domain.figures import Figures
from domain.warmup import Progress, WarmupPlan
from domain.words import MailboxProvider

OTHER = MailboxProvider.OTHER


def progress(**given: object) -> Progress:
    return Progress(plan=WarmupPlan(), started=dt.datetime(2026, 1, 5, tzinfo=dt.UTC)).model_copy(update=given)


def test_a_healthy_sender_is_left_alone_and_a_poor_one_is_stopped() -> None:
    assert sum(simulate(0.02, seed, 20).acted(20) for seed in range(30)) == 0
    assert all(simulate(0.10, seed, 10).acted(10) for seed in range(30))
    assert all(simulate(0.20, seed, 7).stop for seed in range(30))


def test_a_shortfall_holds() -> None:
    assert decide(progress(), [{OTHER: Figures(attempted=44, delivered=44)}]).decision is Decision.HOLD
    assert decide(progress(), [{OTHER: Figures(attempted=45, delivered=45)}]).decision is Decision.GROW


def test_a_block_reply_stops_at_once() -> None:
    verdict = decide(progress(), [{OTHER: Figures(attempted=50, delivered=49, blocked=1)}])
    assert verdict.decision is Decision.STOP
    assert "blocked" in verdict.reason


def test_missing_data_keeps_the_state_then_decays_then_starts_again() -> None:
    now = progress(step=5)
    seen = []
    for day in range(30):
        verdict = decide(now.model_copy(update={"day": day}), [{}])
        now = verdict.progress
        seen.append(verdict.decision)
    assert seen[:6] == [Decision.HOLD] * 6
    assert seen[6] is Decision.DECAY
    assert seen[29] is Decision.RESTART
    assert now.step == 0
