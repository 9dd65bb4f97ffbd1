"""The numbers that an operator may change, as the pure rules take them.

``settings.py`` holds the same names with the same defaults and the source of each (a test compares them);
activities and routes hand them in, so that no rule reads the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class _Numbers(BaseModel):
    model_config = ConfigDict(frozen=True)

    @classmethod
    def of(cls, settings: object) -> Self:
        """These numbers out of settings, whose names are the same."""
        found: Mapping[str, Any] = {name: getattr(settings, name) for name in cls.model_fields}
        return cls.model_validate(found)


class RampPolicy(_Numbers):
    """Bounds and pace of a plan; a plan carries them, so that its workflow needs no settings."""

    warmup_initial_least: int = 20
    warmup_initial_most: int = 50
    warmup_growth_least: float = 0.20
    warmup_growth_most: float = 0.30
    warmup_hourly_part: int = 5
    warmup_enough_sent: float = 0.90
    warmup_idle_restart_days: int = 30
    warmup_idle_decay_days: int = 7


class DecisionPolicy(_Numbers):
    """Thresholds and evidence of the daily decision; docs/decisions.md shows what they do."""

    decision_bounce_hold: float = 0.03
    decision_bounce_back: float = 0.05
    decision_bounce_stop: float = 0.08
    decision_bounce_stop_days: int = 3
    decision_bounce_stop_day: float = 0.10
    decision_complaint_hold: float = 0.001
    decision_complaint_back: float = 0.002
    decision_complaint_stop: float = 0.005
    decision_complaint_days: int = 30
    decision_deferral_hold: float = 0.05
    decision_deferral_back: float = 0.15
    decision_days: int = 7
    decision_clean_days: int = 7
    evidence_sample: int = 100
    evidence_events: int = 3
    evidence_complaints: int = 2
    evidence_z_warn: float = 1.96
    evidence_z_stop: float = 2.58


class RiskPolicy(_Numbers):
    """Lines that put an IP at risk, and those of the daily decision that its score is measured by."""

    risk_bounce: float = 0.08
    risk_complaint: float = 0.002
    risk_engagement_drop: float = 0.50
    risk_engagement_events: int = 20
    decision_bounce_hold: float = 0.03
    decision_bounce_stop_day: float = 0.10
    decision_complaint_hold: float = 0.001
    decision_complaint_stop: float = 0.005
    decision_deferral_hold: float = 0.05
    evidence_sample: int = 100
    evidence_events: int = 3
    evidence_complaints: int = 2
    evidence_z_warn: float = 1.96
