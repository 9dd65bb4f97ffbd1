"""An IP at risk: its one incident, its stage, and the way back.

An IP stands at ``at_risk`` while somebody holds its incident: the sweep as long as a line holds, and whoever
stopped its mail until a person lets it go again. Take :func:`store.ips.lock` before.
"""

from __future__ import annotations

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.lifecycle import WARMUP_STOPPED
from domain.words import Actor, Severity, Stage
from store import incidents, ips

KIND = "at_risk"
_MAIL_STOPPED = "an operator to look, mail is stopped"
#: Who holds the incident: the sweep (a ``reputation.Line`` holds), or stopped mail (only a person ends that).
SWEEP, MAIL = "sweep", "mail"
#: Stages that trouble takes an IP from, and gives back.
_IN_SERVICE = (Stage.ACTIVE, Stage.WARMING, Stage.FULL_CAPACITY)


async def see(
    session: AsyncSession,
    address: str,
    by: str,
    severity: Severity,
    reason: str,
    detail: str = "",
    *,
    stage: Stage = Stage.AT_RISK,
) -> None:
    """Hold the incident of an IP and put it at risk; one that is not in service keeps its stage.

    Args:
        stage: ``quarantined`` for a warm-up that stopped by itself; never lifts ``at_risk``.
    """
    await incidents.hold(session, KIND, address, by, severity, reason, detail)
    row = await ips.get(session, address)
    if row.stage in _IN_SERVICE:
        row.stage_before = row.stage
    elif row.stage not in (Stage.AT_RISK, Stage.QUARANTINED):
        return
    stage = Stage.AT_RISK if row.stage == Stage.AT_RISK else stage
    if by == MAIL:
        why = reason.removeprefix(WARMUP_STOPPED)
        words = f"{_MAIL_STOPPED}. {why[:1].upper()}{why[1:]}"
    elif row.waiting_for.startswith(_MAIL_STOPPED):
        words = row.waiting_for
    else:
        words = f"an operator to look: {reason}"
    await ips.set_stage(session, address, stage, waiting_for=words, waiting_on=Actor.OPERATOR)


async def over(session: AsyncSession, address: str, by: str, why: str) -> bool:
    """Somebody sees no trouble any more; the last one gives the IP its stage back. True when it is closed."""
    if not await incidents.release(session, KIND, address, [by], why):
        return False
    row = await ips.get(session, address)
    if row.stage in (Stage.AT_RISK, Stage.QUARANTINED) and row.stage_before:
        back, row.stage_before = Stage(row.stage_before), ""
        await ips.set_stage(session, address, back)
    return True


async def reach(
    session: AsyncSession, address: str, stage: Stage, *, waiting_for: str = "", waiting_on: Actor = Actor.NOBODY
) -> None:
    """Move an IP on; one at risk is remembered to be there, and stays at risk until that is over."""
    row = await ips.get(session, address)
    if await incidents.find_open(session, KIND, address) is None:
        row.stage_before = ""
        await ips.set_stage(session, address, stage, waiting_for=waiting_for, waiting_on=waiting_on)
        return
    row.stage_before = stage
    words = waiting_for if waiting_on is Actor.OPERATOR else f"an operator to look at its incident. {waiting_for}"
    await ips.set_stage(session, address, Stage.AT_RISK, waiting_for=words.strip(), waiting_on=Actor.OPERATOR)
