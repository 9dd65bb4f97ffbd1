"""Effects of the life of an IP on the read model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, Field
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError, RPCStatusCode

from activities.context import Context
from domain.lifecycle import Disposal, disposed
from domain.refusals import Refused
from domain.words import Actor, Severity, Stage
from providers.ip_vendors.port import IpVendor, VendorError, VendorFault
from store import dns_troubles, incidents, ips, ledger, risk, secrets, senders
from store import purchase as orders

#: Seconds that one attempt follows a workflow of somebody else, and from one sign of life to the next.
FOLLOW_SECONDS, FOLLOW_LOOK = 3_000.0, 20.0


class StageReached(BaseModel):
    """An IP stands at a stage and waits for something."""

    address: str
    stage: Stage
    waiting_for: str = ""
    waiting_on: Actor = Actor.NOBODY


class Trouble(BaseModel):
    """Something about an IP needs a person; of kind ``at_risk`` it also stops its mail."""

    address: str
    reason: str
    source: str
    recovered: bool = Field(False, description="The trouble is over; one of kind `at_risk` is ended by a person.")
    kind: str = risk.KIND


class Assignment(BaseModel):
    """Which pool and sender an IP belongs to from now on; None leaves it, an empty sender gives the IP to its pool."""

    address: str
    pool: str | None = None
    sender: str | None = None


class GiveBack(BaseModel):
    """A retired IP whose address goes back to its vendor, unless it is kept."""

    address: str
    keep: bool = False


class Follow(BaseModel):
    """A workflow that runs under the id of a child, started by somebody else."""

    workflow_id: str


class Followed(BaseModel):
    """How it ended: ``outcome`` as its result says, or why it ``failed``."""

    outcome: str = ""
    failed: str = ""


class LifecycleActivities:
    """Effects of the life of an IP: its read model, and its address at the vendor."""

    def __init__(self, context: Context, vendors: Mapping[str, IpVendor] | None = None) -> None:
        self._db = context.db
        self._vendors = vendors or {}

    @activity.defn(name="lifecycle_reach")
    async def reach(self, reached: StageReached) -> None:
        """Write where the IP stands; a retired IP also sends no more."""
        async with self._db.write() as session:
            await ips.set_stage(
                session,
                reached.address,
                reached.stage,
                waiting_for=reached.waiting_for,
                waiting_on=reached.waiting_on,
            )
            if reached.stage is Stage.RETIRED:
                await ledger.set_paused(session, reached.address, True, "retired")
                # Nobody looks at its DNS any more, so nobody else would let go.
                ip = await ips.get(session, reached.address)
                await dns_troubles.over(session, ip, "the IP is retired")
                await secrets.forget_login(session, ip.smtp_secret)

    @activity.defn(name="lifecycle_give_back")
    async def give_back(self, wanted: GiveBack) -> str:
        """Give a bought address back to its vendor, then end our hold; answers what became of it, in words.

        Repeatable: a vendor answers a second release like the first, and the row says when it is done. A vendor
        that refuses for good opens an incident; one that does not answer is asked again.
        """
        async with self._db.read() as session:
            ip = await ips.get(session, wanted.address)
        vendor = self._vendors.get(ip.vendor)
        why = ""
        if ip.order_id is None:
            disposal = Disposal.OWNED
        elif wanted.keep:
            disposal = Disposal.KEPT
        else:
            disposal = Disposal.RELEASED
            try:
                if vendor is None:
                    raise VendorError(VendorFault.REFUSED, "this installation no longer buys there.")
                await vendor.release(ip.address, ip.order_id)
            except VendorError as error:
                if error.kind is VendorFault.RETRYABLE:
                    raise
                disposal, why = Disposal.STUCK, error.detail
        said = disposed(disposal, ip.address, ip.vendor, why, domain=ip.domain, host=ip.hostname)
        async with self._db.write() as session:
            await ips.dispose(session, ip.address, disposal, said)
            if disposal is Disposal.RELEASED and ip.order_id is not None:
                await orders.release(session, ip.address, ip.order_id)
            if disposal is Disposal.STUCK:
                await incidents.open_incident(
                    session, "retirement", ip.address, Severity.WARNING, "A retired IP was not given back", said
                )
        return said

    @activity.defn(name="lifecycle_follow")
    async def follow(self, wanted: Follow) -> Followed:
        """Wait for a workflow that is not our child; fails benignly before its time is up, to be asked again."""
        handle = activity.client().get_workflow_handle(wanted.workflow_id)
        began = time.monotonic()
        while time.monotonic() - began < FOLLOW_SECONDS:
            activity.heartbeat()
            try:
                result = await asyncio.wait_for(handle.result(), FOLLOW_LOOK)
            except TimeoutError:
                continue
            except WorkflowFailureError as error:
                return Followed(failed=str(error.cause))
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return Followed(failed=f"{wanted.workflow_id} is gone")
            return Followed(outcome=str(result.get("outcome", "")) if isinstance(result, dict) else "")
        raise ApplicationError(
            f"{wanted.workflow_id} runs still.", type="Running", category=ApplicationErrorCategory.BENIGN
        )

    @activity.defn(name="lifecycle_trouble")
    async def trouble(self, trouble: Trouble) -> None:
        """Open the incident of a trouble, or close it; one that puts the IP at risk stops its mail."""
        async with self._db.write() as session:
            await ips.lock(session, trouble.address)
            if trouble.recovered:
                await incidents.close_incident(session, trouble.kind, trouble.address, trouble.reason)
                return
            if trouble.kind != risk.KIND:
                await incidents.open_incident(
                    session, trouble.kind, trouble.address, Severity.WARNING, trouble.reason,
                    f"Reported by {trouble.source}.",
                )  # fmt: skip
                return
            await risk.see(
                session, trouble.address, risk.MAIL, Severity.CRITICAL, trouble.reason,
                f"Reported by {trouble.source}.",
            )  # fmt: skip
            await ledger.set_paused(session, trouble.address, True, trouble.reason)

    @activity.defn(name="lifecycle_assign")
    async def assign(self, assignment: Assignment) -> None:
        """Write the pool and sender, while nobody can delete them.

        Raises:
            Refused: one of them was deleted since somebody asked for it.
        """
        async with self._db.write() as session:
            try:
                await senders.check_known(session, pool=assignment.pool, sender=assignment.sender or None)
            except Refused as refusal:
                raise Refused(refusal.detail, field=refusal.field) from refusal
            row = await ips.get(session, assignment.address)
            row.pool = assignment.pool or row.pool
            row.sender = row.sender if assignment.sender is None else assignment.sender or None
            session.add(row)


def activities(context: Context) -> list[Callable[..., Any]]:
    """The activities of this journey, bound to a worker's context."""
    from providers.ip_vendors.registry import vendors

    bound = LifecycleActivities(context, vendors(context.settings))
    return [bound.reach, bound.give_back, bound.follow, bound.trouble, bound.assign]
