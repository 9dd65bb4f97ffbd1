"""The daily decision: rare false alarms, quick true ones."""

from __future__ import annotations

import datetime as dt

import pytest

from bench.decisions import simulate
from domain.decisions import Decision, above, decide
from domain.figures import Figures
from domain.policy import DecisionPolicy
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


def test_counts_are_grouped_in_what_a_decision_says() -> None:
    large = progress(plan=WarmupPlan(target=100_000), step=20)
    cap = large.cap
    assert cap > 1_000
    grown = decide(large, [{OTHER: Figures(attempted=cap, delivered=cap)}])
    assert grown.reason == f"No rate is shown to be too high; the cap grows to {grown.progress.cap:,}."
    short = decide(large, [{OTHER: Figures(attempted=1_000, delivered=1_000)}])
    assert short.reason.startswith(f"1,000 of {cap:,} were sent;")


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


FULL = {OTHER: Figures(attempted=200, delivered=200)}
POOR = {OTHER: Figures(attempted=200, delivered=120, bounced=80)}


def test_who_resumes_after_a_stop_is_not_stopped_by_the_same_mail_again() -> None:
    stopped = decide(progress(step=6, day=2), [FULL, FULL, POOR])
    assert stopped.decision is Decision.STOP
    resumed = stopped.progress.model_copy(update={"day": 3})
    assert decide(resumed, [FULL, FULL, POOR, FULL]).decision is Decision.GROW
    assert decide(resumed, [FULL, FULL, POOR, POOR]).decision is Decision.STOP, "new mail counts"


def test_a_step_back_hides_no_stop() -> None:
    day = {OTHER: Figures(attempted=400, delivered=358, bounced=42)}
    back = progress(step=5, day=2, fresh_from=2)
    alone = decide(back, [FULL, FULL, day])
    together = decide(back, [day, day, day])
    assert alone.decision is not Decision.STOP
    assert together.decision is Decision.STOP, "over three days, whatever was taken back since"


def test_a_step_back_from_the_first_step_says_that_it_stays() -> None:
    poor = {OTHER: Figures(attempted=1000, delivered=930, bounced=70)}
    assert decide(progress(step=0), [poor]).reason.endswith("It stays on the first step, 50 a day.")
    assert "One step down to 50 a day." in decide(progress(step=1), [poor]).reason


def test_a_reply_that_limits_the_rate_of_the_ip_takes_a_step_back_at_once_and_once() -> None:
    slow = {OTHER: Figures(attempted=200, delivered=199, deferred=1, limited=1)}
    verdict = decide(progress(step=6, day=1), [FULL, slow])
    assert verdict.decision is Decision.STEP_BACK
    assert "limits the rate" in verdict.reason
    following = verdict.progress.model_copy(update={"day": 2})
    assert decide(following, [FULL, slow, FULL]).decision is Decision.GROW


def test_a_provider_in_the_holding_band_stays_at_its_level_while_the_ramp_grows() -> None:
    held = {
        MailboxProvider.GMAIL: Figures(attempted=1_000, delivered=955, bounced=45),
        MailboxProvider.YAHOO: Figures(attempted=9_000, delivered=9_000),
    }
    verdict = decide(progress(step=6), [held])
    assert verdict.decision is Decision.GROW
    assert verdict.progress.behind == {MailboxProvider.GMAIL: 1}
    assert "gmail stays at its level" in verdict.reason


@pytest.mark.parametrize(
    ("figures", "decision"),
    [
        (Figures(attempted=99, delivered=79, bounced=20), Decision.GROW),  # n < 100
        (Figures(attempted=5000, delivered=4998, bounced=2), Decision.GROW),  # k < 3
        (Figures(attempted=1000, delivered=960, bounced=40), Decision.GROW),  # 4 %: luck explains it
        (Figures(attempted=1000, delivered=955, bounced=45), Decision.HOLD),
        (Figures(attempted=1000, delivered=930, bounced=70), Decision.STEP_BACK),
        (Figures(attempted=1000, delivered=902, bounced=98), Decision.STEP_BACK),  # over 8 % by 95 %, not by 99 %
        (Figures(attempted=1000, delivered=895, bounced=105), Decision.STOP),  # over 3 days, not yet in a day
        (Figures(attempted=1000, delivered=870, bounced=130), Decision.STOP),
        (Figures(attempted=1000, delivered=1000, complained=1), Decision.GROW),  # k < 2
        (Figures(attempted=2000, delivered=2000, complained=6), Decision.HOLD),
        (Figures(attempted=2000, delivered=2000, complained=10), Decision.STEP_BACK),
        (Figures(attempted=2000, delivered=2000, complained=24), Decision.STOP),
        (Figures(attempted=1000, delivered=1000, deferred=70), Decision.HOLD),
        (Figures(attempted=1000, delivered=1000, deferred=180), Decision.STEP_BACK),
    ],
)
def test_bands(figures: Figures, decision: Decision) -> None:
    assert decide(progress(), [{OTHER: figures}]).decision is decision


@pytest.mark.parametrize(
    ("rate", "figures", "limit", "shown"),
    [
        ("bounce", Figures(delivered=79, bounced=20), 0.05, False),
        ("bounce", Figures(delivered=80, bounced=20), 0.05, True),  # a hundred with a final answer
        ("bounce", Figures(delivered=98, bounced=2), 0.005, False),
        ("bounce", Figures(delivered=97, bounced=3), 0.005, True),  # three cases
        ("deferral", Figures(attempted=99, deferred=30), 0.15, False),
        ("deferral", Figures(attempted=100, deferred=30), 0.15, True),
        ("complaint", Figures(delivered=99, complained=2), 0.001, False),
        ("complaint", Figures(delivered=100, complained=1), 0.0001, False),
        ("complaint", Figures(delivered=100, complained=2), 0.001, True),  # two are enough where they are rare
    ],
)
def test_evidence_begins_at_a_hundred_and_three(rate: str, figures: Figures, limit: float, shown: bool) -> None:
    assert above(rate, figures, limit, 1.96) is shown


def test_numbers_of_an_installation_are_followed() -> None:
    day = [{OTHER: Figures(attempted=1000, delivered=955, bounced=45)}]
    assert decide(progress(), day, policy=DecisionPolicy(decision_bounce_hold=0.05)).decision is Decision.GROW
    assert decide(progress(), day, policy=DecisionPolicy(decision_bounce_back=0.03)).decision is Decision.STEP_BACK
    assert decide(progress(), day, policy=DecisionPolicy(evidence_events=46)).decision is Decision.GROW


def test_what_led_to_a_step_back_is_not_held_against_the_next_day() -> None:
    slow = {OTHER: Figures(attempted=1_000, delivered=1_000, deferred=180)}
    back = decide(progress(step=6, day=0), [slow])
    assert back.decision is Decision.STEP_BACK
    assert decide(back.progress.model_copy(update={"day": 1}), [slow, FULL]).decision is Decision.GROW


def test_a_hold_ends_by_evidence_or_after_seven_clean_days() -> None:
    held = progress(holding="bounce", day=6)
    unsure = decide(held, [{OTHER: Figures(attempted=60, delivered=59, bounced=1)}])
    assert unsure.decision is Decision.HOLD
    assert "not shown to be under 3.0% yet" in unsure.reason
    few = {OTHER: Figures(attempted=10, delivered=10)}
    assert decide(held, [few] * 6).progress.holding == "bounce"
    assert decide(held, [few] * 7).progress.holding == ""
    assert decide(held, [FULL]).progress.holding == "", "200 mails without a bounce show it"
