"""The life of an IP: which stages follow which, and the messages of its workflow."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

from domain.refusals import Conflict, Refused
from domain.words import IpType, Stage

#: Stages an owned IP may be imported at; the others are results of a journey.
IMPORTABLE = (Stage.AWAITING_DNS, Stage.ACTIVE, Stage.WARMING, Stage.FULL_CAPACITY)

#: From which stages a warm-up may be started. A warm IP may be warmed up again after a rest or a repair.
WARMABLE = (Stage.ACTIVE, Stage.FULL_CAPACITY, Stage.AT_RISK, Stage.QUARANTINED)


class LifecycleInput(BaseModel):
    """What the life of an IP starts from."""

    address: str
    type: IpType = IpType.DEDICATED
    pool: str = "default"
    sender: str | None = None
    stage: Stage = Stage.AWAITING_DNS
    safe_limit: int = Field(2000, gt=0, description="Mails a day once fully warmed.")
    day_seconds: float = Field(86_400.0, gt=0, description="Length of a day, for an import while warming.")
    vendor_queue: str | None = Field(None, description="Task queue of slow or paid calls; None: the life's own.")


class Retire(BaseModel):
    """Take an IP out of service for good; ``keep`` leaves the address with us instead of giving it back."""

    reason: str
    keep: bool = False


class Disposal(StrEnum):
    """What became of the address of a retired IP."""

    RELEASED = "released"
    KEPT = "kept"
    OWNED = "owned"
    STUCK = "stuck"


def disposed(disposal: Disposal, address: str, vendor: str, why: str = "") -> str:
    """What became of a retired address, in words."""
    return {
        Disposal.RELEASED: f"{address} is retired and given back to {vendor}.",
        Disposal.KEPT: f"{address} is retired and kept: {vendor} goes on charging for it.",
        Disposal.OWNED: f"{address} is retired; it was imported, not bought here, so it stays yours.",
        Disposal.STUCK: f"{address} is retired, but {vendor} did not take it back: {why}",
    }[disposal]


class Reassign(BaseModel):
    """Move an IP to another pool or sender."""

    pool: str | None = None
    sender: str | None = None
    reason: str = ""


class ReputationChanged(BaseModel):
    """A line was crossed: what was seen, and whether mail must stop; or none holds any more (``recovered``)."""

    reason: str
    critical: bool = False
    source: str = "sweep"
    recovered: bool = False


class DnsDrifted(BaseModel):
    """DNS no longer says what it said when it was verified."""

    findings: list[str] = []


def check_startable(stage: Stage, address: str) -> None:
    """Whether a warm-up may start at this stage.

    Raises:
        Conflict: says which step is missing.
    """
    if stage in WARMABLE:
        return
    why = {
        Stage.AWAITING_DNS: "its DNS is not verified yet",
        Stage.WARMING: "it is warming up already",
        Stage.RETIRED: "it is retired",
    }.get(stage, f"its stage is {stage}")
    raise Conflict(f"{address} cannot start a warm-up: {why}.", code="wrong_stage")


def check_importable(stage: str, field: str = "stage") -> Stage:
    """The stage to import an owned IP at.

    Raises:
        Refused: not a stage to start at.
    """
    if stage not in IMPORTABLE:
        allowed = ", ".join(IMPORTABLE)
        raise Refused(f"{stage!r} is no stage to start at; choose one of {allowed}.", field=field, code="stage")
    return Stage(stage)
