"""The life of an IP: which stages follow which, and the messages of its workflow."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, Field

from domain.refusals import Conflict, Refused
from domain.warmup import Progress, WarmupState
from domain.words import DEFAULT_POOL, Actor, IpType, Stage

#: Stages an owned IP may be imported at; the others are results of a journey.
IMPORTABLE = (Stage.AWAITING_DNS, Stage.ACTIVE, Stage.WARMING, Stage.FULL_CAPACITY)

#: From which stages a warm-up may be started. A warm IP may be warmed up again after a rest or a repair.
WARMABLE = (Stage.ACTIVE, Stage.FULL_CAPACITY, Stage.AT_RISK, Stage.QUARANTINED)

#: Stages whose IP gets no new domains. Source: operator's IP guide.
TROUBLED = (Stage.AT_RISK, Stage.RECOVERING, Stage.QUARANTINED, Stage.FAILED_OVER)


class LifecycleInput(BaseModel):
    """What the life of an IP starts from."""

    address: str
    type: IpType = IpType.DEDICATED
    pool: str = DEFAULT_POOL
    sender: str | None = None
    stage: Stage = Stage.AWAITING_DNS
    safe_limit: int = Field(2000, gt=0, description="Mails a day once fully warmed.")
    day_seconds: float = Field(86_400.0, gt=0, description="Length of a day, for an import while warming.")
    vendor_queue: str | None = Field(None, description="Task queue of slow or paid calls; None: the life's own.")
    risk: str = Field("", description="Why it is at risk, of a life whose history was begun anew.")
    drift: str = Field("", description="How its DNS has drifted, likewise.")


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


def disposed(disposal: Disposal, address: str, vendor: str, why: str = "", *, domain: str = "", host: str = "") -> str:
    """What became of a retired address, in words; one that others may get must not stay in the domain's DNS."""
    family = ipaddress.ip_address(address).version
    records = f" Its records stay: take ip{family}:{address} out of the SPF record (TXT) of {domain}" if domain else ""
    if records and host:
        records += f", and delete the {'A' if family == 4 else 'AAAA'} record of {host} that says {address}"
    records += "." if records else ""
    return {
        Disposal.RELEASED: f"{address} is retired and given back to {vendor}.{records}",
        Disposal.KEPT: f"{address} is retired and kept: {vendor} goes on charging for it.",
        Disposal.OWNED: f"{address} is retired; it was imported, not bought here, so it stays yours.",
        Disposal.STUCK: f"{address} is retired, but {vendor} did not take it back: {why}",
    }[disposal]


class Reassign(BaseModel):
    """Move an IP to another pool or sender."""

    pool: str | None = None
    sender: str | None = Field(None, description="Whose own IP it is from now on; an empty text: of all its pool.")
    reason: str = ""


def check_assignable(stage: Stage, address: str, *, anyway: bool) -> None:
    """Whether an IP may get other mail; one at risk gets no new domains unless somebody says so.

    Raises:
        Conflict: says what stands against it, and how to move it all the same.
    """
    if stage in TROUBLED and not anyway:
        raise Conflict(
            f"{address} is {stage.replace('_', ' ')}: no new domains go on it before that is over. "
            "Say `anyway` to move it all the same.",
            field="anyway",
            code="at_risk",
        )


class ReputationChanged(BaseModel):
    """A line was crossed: what was seen, and whether mail must stop; or none holds any more (``recovered``)."""

    reason: str
    critical: bool = False
    source: str = "sweep"
    recovered: bool = False


class WarmupTold(BaseModel):
    """A warm-up ``stopped`` by itself, or mail goes again after trouble; ``risk`` is what puts the IP at risk still."""

    stopped: bool
    risk: str = ""


class DnsDrifted(BaseModel):
    """DNS no longer says what it said when it was verified; no findings: it says so again."""

    findings: list[str] = []


class Life(BaseModel):
    """What the life of an IP knows of itself; ``risk`` is why it is at risk, if it is."""

    start: LifecycleInput
    stage: Stage
    risk: str = ""


class Standing(BaseModel):
    """Where an IP stands and what it waits for, in the words of lists and pages."""

    stage: Stage
    waiting_for: str = ""
    waiting_on: Actor = Actor.NOBODY


#: What stands before why a warm-up stopped by itself.
WARMUP_STOPPED = "Warm-up stopped: "

#: What stands before the record that is left to a person.
BY_HAND = "a record to be entered by hand: "


def awaiting_dns(*, automatic: bool, problems: Sequence[str] = (), refused: str | None = None) -> Standing:
    """While DNS is set up: who must act follows from how the records are published."""
    if refused:
        return Standing(stage=Stage.AWAITING_DNS, waiting_for=refused, waiting_on=Actor.OPERATOR)
    words = "DNS to spread" if automatic else "DNS records to be entered at the registrar"
    if automatic and problems:
        words = f"{BY_HAND}{problems[0]}"
    return Standing(
        stage=Stage.AWAITING_DNS,
        waiting_for=words,
        waiting_on=Actor.TIME if automatic and not problems else Actor.REGISTRAR,
    )


def told_ahead(was: Standing, stands: Standing, reason: str) -> bool:
    """Whether the read model names a record that is left to a person, of which the journey hears a moment later.

    Args:
        was: the read model.
        stands: what the journey says.
        reason: what the set-up could not publish, in its own words.
    """
    named = was.waiting_for.removeprefix(BY_HAND)
    return was.stage is stands.stage is Stage.AWAITING_DNS and named != was.waiting_for and named in reason


def verified() -> Standing:
    """DNS is verified, nothing is sent yet."""
    return Standing(stage=Stage.ACTIVE, waiting_for="an operator to start the warm-up", waiting_on=Actor.OPERATOR)


def imported(stage: Stage) -> Standing:
    """An IP that its owner brings along, at the stage where it stands."""
    if stage is Stage.AWAITING_DNS:
        return Standing(stage=stage, waiting_for="DNS set-up to begin")
    return verified() if stage is Stage.ACTIVE else Standing(stage=stage)


def at_risk(reason: str) -> Standing:
    """Until a person has looked at its incident."""
    return Standing(stage=Stage.AT_RISK, waiting_for=f"an operator to look: {reason}", waiting_on=Actor.OPERATOR)


def in_warmup(progress: Progress) -> Standing:
    """During a warm-up and at its end; a stopped one waits for an operator."""
    if progress.state is WarmupState.STOPPED:
        return Standing(
            stage=Stage.QUARANTINED,
            waiting_for=f"{WARMUP_STOPPED}{progress.reason}",
            waiting_on=Actor.OPERATOR,
        )
    if progress.state in (WarmupState.GRADUATED, WarmupState.COMPLETED):
        return Standing(stage=Stage.FULL_CAPACITY)
    if progress.state is WarmupState.PAUSED:
        return Standing(stage=Stage.WARMING, waiting_for="Paused; resume the warm-up.", waiting_on=Actor.OPERATOR)
    return Standing(
        stage=Stage.WARMING, waiting_for=f"Day {progress.day + 1}, cap {progress.cap:,}", waiting_on=Actor.TIME
    )


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
