"""The read model out of the workflows: what lists and pages show, put right where it differs from the journeys.

Workflows own where a journey stands; the store only repeats it. A row that was
written while its journey was asked is left alone: the journey itself wrote it, and later. A step
writes its row a moment before its journey hears of it, so only what differs at two looks is put right.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.dns_messages import Prepared
from domain import lifecycle as lives
from domain import purchase as rules
from domain.purchase import PurchaseState
from domain.words import OrderStatus, Stage
from store import dns as setups
from store import incidents, ips, outbox, risk
from store import purchase as orders
from store.database import Database
from store.tables.ips import Ip
from store.tables.purchase import Order
from workflows.dns import DnsPropagation
from workflows.ids import dns_id, ip_id, purchase_id, subject, warmup_id
from workflows.lifecycle import IpLifecycle
from workflows.purchase import Purchase
from workflows.warmup import Warmup

#: Journeys asked at the same time; each answer costs a worker a look at its history.
AT_ONCE = 16
PATIENCE = dt.timedelta(seconds=20)
#: Seconds between two looks at what differs, and how many looks find two alike before it is left to the journey.
LOOK_AGAIN, LOOKS = 1.0, 4


@dataclass(frozen=True)
class Change:
    """One thing that was put right, or could not be; ``what`` is an address or an order."""

    what: str
    said: str
    fixed: bool = True


async def rebuild(client: Client, db: Database) -> AsyncIterator[Change]:
    """Put every row right; answers each difference as it is found. The second time there is none.

    Raises:
        RPCError: Temporal does not answer.
    """
    for kind, look in (("IpLifecycle", _ip), ("Purchase", _order)):
        batch: list[str] = []
        async for found in client.list_workflows(f"WorkflowType = '{kind}'"):
            if kind == "Purchase" or found.status is WorkflowExecutionStatus.RUNNING:
                batch.append(found.id)
        for first in range(0, len(batch), AT_ONCE):
            part = [_settled(client, db, workflow_id, look) for workflow_id in batch[first : first + AT_ONCE]]
            for change in await asyncio.gather(*part):
                if change is not None:
                    yield change
        if kind == "IpLifecycle":
            async for change in _without_life(client, db, {subject(workflow_id) for workflow_id in batch}):
                yield change


async def _without_life(client: Client, db: Database, alive: set[str]) -> AsyncIterator[Change]:
    after = ""
    stages = [stage for stage in Stage if stage is not Stage.RETIRED]
    while True:
        async with db.read() as session:
            page = await ips.addresses(session, after=after, limit=500, stages=stages)
        for address in page:
            if address not in alive and await _has_no_life(client, db, address):
                yield Change(address, "no life of it is running: retire it by hand, or import it again", fixed=False)
        if not page:
            return
        after = page[-1]


async def _has_no_life(client: Client, db: Database, address: str) -> bool:
    """Whether nothing lives for an IP and nobody is about to begin it: it may have come after the lives were listed."""
    async with db.read() as session:
        if await outbox.starts(session, ip_id(address)):
            return False
        row = await session.get(Ip, address)
    if row is None or row.stage == Stage.RETIRED:
        return False
    # In this order: a purchase begins the life before it ends.
    if row.order_id is not None and await _runs(client.get_workflow_handle(purchase_id(row.order_id))):
        return False
    return not await _runs(client.get_workflow_handle(ip_id(address)))


@dataclass(frozen=True)
class _Differs:
    """A row that is not where its journey stands: in words, as it was written then, and what puts it right."""

    said: str
    seen: dt.datetime | None
    put: Callable[[AsyncSession], Awaitable[bool]] = field(compare=False)


_Look = Callable[[Client, Database, str], Awaitable[_Differs | Change | None]]


async def _settled(client: Client, db: Database, workflow_id: str, look: _Look) -> Change | None:
    """What is found at two looks, one after the other."""
    before: _Differs | None = None
    for _ in range(LOOKS):
        found = await look(client, db, workflow_id)
        if not isinstance(found, _Differs):
            return found
        if found == before:
            async with db.write() as session:
                return Change(subject(workflow_id), found.said) if await found.put(session) else None
        before = found
        await asyncio.sleep(LOOK_AGAIN)
    return None


async def _ip(client: Client, db: Database, workflow_id: str) -> _Differs | Change | None:
    address = subject(workflow_id)
    async with db.read() as session:
        row = await session.get(Ip, address)
        setup = await setups.find(session, address)
        incident = await incidents.find_open(session, risk.KIND, address)
    try:
        life = await client.get_workflow_handle_for(IpLifecycle.run, workflow_id).query(
            IpLifecycle.standing, rpc_timeout=PATIENCE
        )
        stands = await _standing(client, life)
        if incident is not None:
            stands = lives.at_risk(incident.title)
    except RPCError as error:
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise
        return Change(address, f"its journey does not answer ({error.message}); is a worker running?", fixed=False)
    if row is None:
        start = life.start
        new = Ip(
            address=address,
            type=start.type,
            pool=start.pool,
            sender=start.sender,
            safe_limit=start.safe_limit,
            **stands.model_dump(),
        )

        async def put_back(session: AsyncSession) -> bool:
            await ips.insert(session, new)
            return True

        said = f"was missing; it is at {stands.stage}. Its domain and hostname are not known here."
        return _Differs(said, None, put_back)
    was = lives.Standing(stage=Stage(row.stage), waiting_for=row.waiting_for, waiting_on=row.waiting_on)
    # Support, and whoever stopped mail, have words of their own for what is awaited.
    escalated = was.stage is stands.stage is Stage.AWAITING_DNS and setup and setup.state == "escalated"
    ahead = lives.told_ahead(was, stands, setup.reason if setup else "")
    if was == stands or escalated or ahead or (incident and was.stage in (Stage.AT_RISK, Stage.QUARANTINED)):
        return None
    if life.stage is Stage.AT_RISK and incident is None:
        # Its incident is over: where it went back to is known to the store alone.
        return None
    seen = row.updated_at
    return _Differs(
        f"{_words(was)} is now {_words(stands)}",
        seen,
        lambda session: ips.put_right(session, address, stands, seen=seen),
    )


def _words(one: lives.Standing) -> str:
    return f"{one.stage}" + (f", waits for {one.waiting_for}" if one.waiting_for else "")


async def _standing(client: Client, life: lives.Life) -> lives.Standing:
    """Where an IP stands, from its life and whichever child runs."""
    address = life.start.address
    if life.stage is Stage.AWAITING_DNS:
        prepared = await _ask(client.get_workflow_handle_for(DnsPropagation.run, dns_id(address)))
        if prepared is None:
            return lives.Standing(stage=Stage.AWAITING_DNS, waiting_for="DNS set-up to begin")
        return lives.awaiting_dns(automatic=prepared.automatic, problems=prepared.problems, refused=prepared.refused)
    ramp = client.get_workflow_handle_for(Warmup.run, warmup_id(address))
    if life.stage in (Stage.WARMING, Stage.QUARANTINED) and await _runs(ramp):
        return lives.in_warmup(await ramp.query(Warmup.state, rpc_timeout=PATIENCE))
    return lives.verified() if life.stage is Stage.ACTIVE else lives.Standing(stage=life.stage)


async def _runs(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise


async def _ask(handle: WorkflowHandle[DnsPropagation, object]) -> Prepared | None:
    if not await _runs(handle):
        return None
    prepared = await handle.query(DnsPropagation.prepared, rpc_timeout=PATIENCE)
    return prepared if prepared.records or prepared.refused else None


async def _order(client: Client, db: Database, workflow_id: str) -> _Differs | Change | None:
    order_id = subject(workflow_id)
    async with db.read() as session:
        row = await session.get(Order, order_id)
    if row is None:
        return Change(order_id, "is not in the store: what was ordered is not known to its journey", fixed=False)
    handle = client.get_workflow_handle_for(Purchase.run, workflow_id)
    description = await handle.describe()
    try:
        if description.status is WorkflowExecutionStatus.RUNNING:
            state: PurchaseState = await handle.query(Purchase.state, rpc_timeout=PATIENCE)
        else:
            state = await handle.result()
    except WorkflowFailureError:
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise
        return Change(order_id, f"its journey does not answer ({error.message}); is a worker running?", fixed=False)
    status = state.status
    pending = description.raw_description.pending_activities
    if status is OrderStatus.QUOTING and any(
        one.last_failure.application_failure_info.type == "OutOfStock" for one in pending
    ):
        status = OrderStatus.WAITLISTED
    # Why a step is asked again is known to the step alone.
    again = row.status == status and row.waiting_for.startswith(rules.AGAIN)
    waits = row.waiting_for if again else rules.waiting_for(status, row.vendor)
    values: dict[str, object] = {"status": status, "waiting_for": waits}
    if status is OrderStatus.PURCHASED:
        values["ips"] = state.addresses
    elif status in rules.ENDED:
        values["reason"] = state.reason
    different = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not different:
        return None
    said = "; ".join(f"{name} {getattr(row, name)!r} is now {str(value)!r}" for name, value in different.items())
    seen = row.updated_at
    return _Differs(said, seen, lambda session: orders.put_right(session, order_id, different, seen=seen))
