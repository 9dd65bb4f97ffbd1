"""Orders, vendors, and the SMTP credentials of an IP."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import secrets as random
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from api import audit, domains
from api.deps import AppSettings, Operator, Secrets, Store, Temporal, Viewer
from api.idempotency import Key, Keyed, claim
from api.journeys import command, link
from api.names import IpPath
from domain import purchase as rules
from domain.refusals import Conflict, NotFound, Refused
from domain.words import IpType, OrderStatus
from providers.ip_vendors.port import IpVendor, VendorError
from providers.ip_vendors.registry import vendors
from providers.senders import smtp
from settings import Settings
from store import ips, outbox, runs, senders
from store import purchase as orders
from store.database import Database
from store.secrets import Secrets as SecretStore
from store.secrets import forget_login
from store.tables.purchase import Order
from workflows import starts
from workflows.ids import purchase_id
from workflows.purchase import Purchase

router = APIRouter(prefix="/v1", tags=["purchase"])

#: Seconds that a new order waits for its candidates before it answers ``quoting``.
QUOTE_PATIENCE = 15.0


class OrderOut(BaseModel):
    """An order; ``quote`` and ``candidates`` are empty until it is quoted."""

    id: str
    status: OrderStatus
    type: IpType
    vendor: str
    region: str
    count: int
    pool: str
    sender: str | None
    domain: str
    hostname: str
    mx: str | None
    smtp_login: str | None = Field(description="HOST:PORT and user; the password is never shown.")
    candidates: list[rules.Candidate]
    quote: dict[str, Any]
    payment: dict[str, Any] = Field(description="Its `status` is `none` until there is one.")
    ips: list[str]
    step: str
    reason: str
    waiting_for: str
    deadline: dt.datetime | None = Field(description="End of the waitlist.")
    expires_at: dt.datetime | None = Field(description="End of the quote.")
    created_at: dt.datetime
    workflow: dict[str, str | None]


class OrderPage(BaseModel):
    """Orders, newest first."""

    items: list[OrderOut]
    next: str | None


class RegionOut(BaseModel):
    """A region; ``stock`` is null where the vendor does not tell."""

    name: str
    monthly_cost: rules.Money
    monthly_price: rules.Money
    stock: int | None


class VendorOut(BaseModel):
    """A vendor; ``trouble`` says why its regions are not known now."""

    name: str
    regions: list[RegionOut]
    trouble: str = ""


class VendorPage(BaseModel):
    """Every vendor of this installation."""

    items: list[VendorOut]
    next: str | None = None


class OrderIn(rules.OrderInput):
    """What an operator orders, and why."""

    reason: audit.Reason = ""


class CompleteIn(BaseModel, extra="forbid"):
    """Pay and buy; without candidates the first recommended ones."""

    payment_method: str = Field(min_length=1, max_length=255, description="A token of the payment provider.")
    candidates: list[str] = Field([], max_length=rules.MOST_AT_ONCE)
    reason: audit.Reason = ""


class CancelIn(rules.Cancel, extra="forbid"):
    """The message to the journey, where a misspelt field is refused."""

    reason: audit.Reason = rules.Cancel().reason


class SmtpIn(rules.SmtpInput):
    """New credentials, and why."""

    reason: audit.Reason = ""


class SmtpOut(BaseModel):
    """Credentials as far as they are ever shown."""

    address: str
    smtp_login: str


async def _shown(db: Database, settings: Settings, row: Order) -> OrderOut:
    """An order as it is answered."""
    async with db.read() as session:
        return _out(row, settings, await runs.of(session, purchase_id(row.id)))


def _out(row: Order, settings: Settings, run: str | None) -> OrderOut:
    return OrderOut.model_validate(
        {
            **row.model_dump(exclude={"waitlist_until", "smtp_secret", "updated_at", "payment_ref"}),
            "payment": row.payment or {"status": "none"},
            "quote": {**row.quote, "expires_at": row.expires_at} if row.quote else {},
            "deadline": row.waitlist_until,
            "workflow": link(settings, purchase_id(row.id), run),
        }
    )


async def _start(client: Client, settings: Settings, row: Order) -> str | None:
    """Start the purchase and answer its run; None when Temporal does not answer and the outbox must do it."""
    start = _input(row, settings)
    try:
        handle = await client.start_workflow(
            Purchase.run,
            start,
            id=purchase_id(row.id),
            task_queue=settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            **starts.of_order(start, f"from {row.vendor} for {row.hostname}"),
        )
    except WorkflowAlreadyStartedError as error:
        return error.run_id
    except RPCError:
        return None
    return handle.first_execution_run_id


def _input(row: Order, settings: Settings) -> rules.PurchaseInput:
    return rules.PurchaseInput(
        order_id=row.id,
        count=row.count,
        pool=row.pool,
        sender=row.sender,
        type=IpType(row.type),
        quote_seconds=settings.quote_minutes * 60,
        vendor_queue=settings.vendor_task_queue,
    )


async def _get(db: Database, order_id: str) -> Order:
    async with db.read() as session:
        return await orders.get(session, order_id)


async def _quoted(db: Database, order_id: str) -> Order:
    until = time.monotonic() + QUOTE_PATIENCE
    row = await _get(db, order_id)
    while row.status == OrderStatus.QUOTING and time.monotonic() < until:
        await asyncio.sleep(0.1)
        row = await _get(db, order_id)
    return row


def _vendors(settings: Settings) -> dict[str, IpVendor]:
    """The vendors of this installation; one that is set up wrongly is for its administrator to mend."""
    try:
        return vendors(settings)
    except (ValueError, OSError) as error:
        raise HTTPException(503, f"The vendors cannot be used as they are set up: {error}") from error


@router.get("/vendors")
async def list_vendors(settings: AppSettings, _: Viewer) -> VendorPage:
    """Vendors with regions and prices."""
    items: list[VendorOut] = []
    for name, vendor in _vendors(settings).items():
        try:
            regions = [
                RegionOut(
                    name=one.name,
                    monthly_cost=rules.Money.of(one.monthly),
                    monthly_price=rules.Money.of(settings.extra_ip_monthly_price),
                    stock=one.stock,
                )
                for one in await vendor.regions()
            ]
            items.append(VendorOut(name=name, regions=regions))
        except VendorError as error:
            items.append(VendorOut(name=name, regions=[], trouble=error.detail))
    return VendorPage(items=items)


@router.post("/orders", status_code=201)
async def create(
    body: OrderIn,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    secrets: Secrets,
    principal: Operator,
    key: Keyed,
) -> OrderOut:
    """Check, verify the credentials, vet candidates and quote; the same key answers the same order."""
    if key is not None and key.before is not None:
        return await _shown(db, settings, await _quoted(db, key.before.made[0]))
    async with db.read() as session:
        await senders.check_known(session, pool=body.pool, sender=body.sender)
    checked = await _checked(body, settings)
    login = await _verified(checked.smtp, settings)
    row = Order(
        id=f"ord_{time.time_ns() // 1_000_000:012x}{random.token_hex(4)}",
        smtp_login=login.shown if login else None,
        **checked.model_dump(include=set(rules.OrderInput.model_fields) - {"smtp"}),
    )
    async with db.write() as session:
        before = await claim(session, key, [row.id])
        if before is None:
            # Again, and held: what was there before the checks may have been deleted meanwhile.
            await senders.check_known(session, pool=body.pool, sender=body.sender)
            row.smtp_secret = secrets.add(session, "smtp", login.clear) if login else None
            session.add(row)
            start = _input(row, settings).model_dump(mode="json")
            queued = await outbox.put(session, "start", purchase_id(row.id), "Purchase", start)
            said = {"vendor": row.vendor, "count": row.count}
            await audit.write(session, principal, "order.create", row.id, body.reason, after=said)
    if before is not None:
        return await _shown(db, settings, await _quoted(db, before.made[0]))
    if run := await _start(client, settings, row):
        async with db.write() as session:
            await outbox.done(session, queued)
            await runs.put(session, purchase_id(row.id), run)
    return await _shown(db, settings, await _quoted(db, row.id))


async def _checked(body: rules.OrderInput, settings: Settings) -> rules.OrderInput:
    known = _vendors(settings)
    regions: list[str] = []
    if body.vendor in known:
        try:
            regions = [one.name for one in await known[body.vendor].regions()]
        except VendorError as error:
            raise HTTPException(503, f"{body.vendor} does not answer; try again. {error.detail}") from error
    checked = rules.check_order(body, list(known), regions)
    await domains.check(checked.domain, settings)
    return checked


@dataclass(frozen=True)
class _Login:
    """Credentials that a server took: what is kept sealed, and what may be shown."""

    clear: str = field(repr=False)
    shown: str


async def _verified(given: rules.SmtpInput | None, settings: Settings) -> _Login | None:
    """Sign in at the server."""
    if given is None:
        return None
    clear = given.password.get_secret_value()
    await smtp.verify(
        given.host, given.port, given.username, clear, starttls=given.starttls, trust=smtp.Trust.of(settings)
    )
    kept = given.model_dump(mode="json", include=set(rules.SmtpInput.model_fields)) | {"password": clear}
    return _Login(json.dumps(kept), f"{given.host}:{given.port} {given.username}")


@router.get("/orders")
async def list_orders(
    db: Store,
    settings: AppSettings,
    _: Viewer,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> OrderPage:
    """Orders, newest first."""
    async with db.read() as session:
        rows, following = await orders.list_page(session, after=after, limit=limit)
        begun = await runs.of_many(session, [purchase_id(row.id) for row in rows])
    return OrderPage(items=[_out(row, settings, begun.get(purchase_id(row.id))) for row in rows], next=following)


@router.get("/orders/{order_id}")
async def show(order_id: str, db: Store, settings: AppSettings, _: Viewer) -> OrderOut:
    """One order."""
    return await _shown(db, settings, await _get(db, order_id))


@router.post("/orders/{order_id}/purchase")
async def complete(
    order_id: str,
    body: CompleteIn,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    secrets: Secrets,
    principal: Operator,
    key: Keyed,
) -> OrderOut:
    """Pay and buy; a second press answers the order as it stands."""
    rules.check_payment_method(body.payment_method)
    row = await _get(db, order_id)
    if row.status not in (OrderStatus.PURCHASING, OrderStatus.PURCHASED):
        candidates = [rules.Candidate.model_validate(one) for one in row.candidates]
        if row.status != OrderStatus.QUOTED:
            raise Conflict(f"This order is {row.status} and cannot be bought. {row.reason}".strip())
        rules.choose(candidates, body.candidates, row.count)
        was, chosen = {"status": row.status}, {"candidates": body.candidates}
        async with audit.asking(db, principal, "order.purchase", order_id, body.reason, was, chosen, key) as asked:
            if not asked.done:
                await _pay(db, client, secrets, order_id, body, key)
    return await _shown(db, settings, await _get(db, order_id))


async def _pay(
    db: Database, client: Client, secrets: SecretStore, order_id: str, body: CompleteIn, key: Key | None
) -> None:
    # Kept sealed and passed by reference; the end of the order, or its refusal, ends the keeping.
    ref = await secrets.put(rules.payment_purpose(order_id), body.payment_method)
    wanted = rules.Complete(payment_secret=ref, candidates=body.candidates)
    try:
        await command(client, purchase_id(order_id), Purchase.complete, wanted, key)
    except Refused as refusal:
        await secrets.drop(ref)
        if not isinstance(refusal, Conflict | NotFound):
            raise
        row = await _get(db, order_id)
        if row.status != OrderStatus.PURCHASED:
            raise Conflict(f"This order is {row.status} and cannot be bought. {row.reason}".strip()) from refusal
    if (await _get(db, order_id)).status in rules.ENDED:
        await secrets.drop(ref)


@router.post("/orders/{order_id}/cancel")
async def cancel(
    order_id: str,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    principal: Operator,
    key: Keyed,
    body: CancelIn | None = None,
) -> OrderOut:
    """Stop the order and undo what was done."""
    wanted = body or rules.Cancel()
    row = await _get(db, order_id)
    if row.status == OrderStatus.CANCELLED:
        return await _shown(db, settings, row)
    if row.status in rules.ENDED:
        raise Conflict(f"This order is {row.status} and cannot be cancelled.", code="wrong_stage")
    was = {"status": row.status}
    async with audit.asking(db, principal, "order.cancel", order_id, wanted.reason, was, key=key) as asked:
        if not asked.done:
            await command(client, purchase_id(order_id), Purchase.cancel, wanted, key)
    return await _shown(db, settings, await _get(db, order_id))


@router.put("/ips/{address}/smtp")
async def rotate(
    address: IpPath,
    body: SmtpIn,
    db: Store,
    secrets: Secrets,
    settings: AppSettings,
    principal: Operator,
) -> SmtpOut:
    """Verify new credentials at the server, then replace the old ones, which stay when anything fails."""
    async with db.read() as session:
        await ips.get(session, address)
    login = await _verified(body, settings)
    assert login is not None
    async with db.write() as session:
        row = await ips.get(session, address)
        was, old = {"smtp_login": row.smtp_login}, row.smtp_secret
        row.smtp_secret, row.smtp_login = secrets.add(session, "smtp", login.clear), login.shown
        session.add(row)
        await session.flush()
        await forget_login(session, old)
        await audit.write(session, principal, "ip.smtp", address, body.reason, was, {"smtp_login": login.shown})
    return SmtpOut(address=address, smtp_login=login.shown)
