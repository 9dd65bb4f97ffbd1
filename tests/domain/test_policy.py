"""The numbers of the rules are settings of the same name, default and source."""

from __future__ import annotations

import pytest

from domain.policy import DecisionPolicy, RampPolicy, RiskPolicy
from settings import Settings

MODELS = (RampPolicy, DecisionPolicy, RiskPolicy)


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_the_settings_and_each_setting_reaches_its_rule(
    model: type[RampPolicy] | type[DecisionPolicy] | type[RiskPolicy], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.of(Settings()) == model()
    for name, default in model().model_dump().items():
        changed = default + 1 if isinstance(default, int) else default / 2
        if name in ("decision_complaint_days", "decision_days", "decision_clean_days"):
            changed = default - 1
        monkeypatch.setenv(f"WARMPATH_{name.upper()}", str(changed))
        assert getattr(model.of(Settings()), name) == changed


@pytest.mark.parametrize("name", sorted({name for model in MODELS for name in model.model_fields}))
def test_every_number_says_where_it_comes_from(name: str) -> None:
    said = Settings.model_fields[name].description or ""
    assert "source" in said or "a choice of this project" in said


#: Written out a second time: a default that is changed by mistake is seen.
POLICY = {
    "warmup_initial": 50, "warmup_initial_least": 20, "warmup_initial_most": 50, "warmup_growth": 0.25,
    "warmup_growth_least": 0.20, "warmup_growth_most": 0.30, "warmup_step_days": 1, "warmup_hourly_part": 5,
    "warmup_enough_sent": 0.90, "warmup_idle_restart_days": 30, "decision_bounce_hold": 0.03,
    "decision_bounce_back": 0.05, "decision_bounce_stop": 0.08, "decision_bounce_stop_days": 3,
    "decision_bounce_stop_day": 0.10, "decision_complaint_hold": 0.001, "decision_complaint_back": 0.002,
    "decision_complaint_stop": 0.005, "decision_complaint_days": 30, "decision_deferral_hold": 0.05,
    "decision_deferral_back": 0.15, "decision_days": 7, "decision_clean_days": 7, "evidence_sample": 100,
    "evidence_events": 3, "evidence_complaints": 2, "evidence_z_warn": 1.96, "evidence_z_stop": 2.58,
    "risk_bounce": 0.08, "risk_complaint": 0.002, "risk_engagement_drop": 0.50,
}  # fmt: skip


@pytest.mark.parametrize("name", POLICY)
def test_defaults_are_these(name: str) -> None:
    assert getattr(Settings(), name) == POLICY[name]
