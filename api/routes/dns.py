"""DNS of an IP: the records to enter, their state, and the operator's commands."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field

from activities.dns_checks import check_now
from api import audit
from api.deps import AppSettings, Keyed, Operator, Store, Temporal, Viewer
from api.journeys import command
from domain import dns as rules
from domain.refusals import Conflict, NotFound
from store import dns as setups
from store import ips
from store.tables.dns import DnsSetup
from workflows.dns import DnsPropagation
from workflows.ids import dns_id

router = APIRouter(prefix="/v1/ips/{address}/dns", tags=["dns"])


class Published(BaseModel):
    """What the authoritative servers say."""

    state: rules.RecordState
    servers: list[rules.Answer]


class Visible(BaseModel):
    """What resolvers say; ``state`` is null while they are not asked, because servers do not agree yet."""

    state: rules.RecordState | None
    resolvers: list[rules.Answer]


class RecordOut(BaseModel):
    """One record with its two facts and what to do."""

    key: str
    name: str
    type: str
    expected: list[str]
    required: bool
    ttl: int
    published: Published
    visible: Visible
    findings: list[rules.Finding]
    fix: str = Field(description="What to do, empty when nothing is.")


class DnsOut(BaseModel):
    """The DNS set-up of an IP."""

    address: str
    state: rules.SetupState
    reason: str
    deadline: dt.datetime | None
    checked_at: dt.datetime | None
    verified_at: dt.datetime | None
    records: list[RecordOut]
    checks: list[rules.Check]


class Why(BaseModel):
    """Why a command is given."""

    reason: str = Field("", max_length=500)


class SupportIn(BaseModel):
    """What to tell support."""

    message: str = Field("", max_length=2_000)


class ChangeIn(BaseModel):
    """New expected values by record key; an empty list goes back to the default."""

    values: dict[str, list[str]]
    reason: str = Field("", max_length=500)


async def _shown(db: Store, address: str) -> DnsOut:
    async with db.read() as session:
        await ips.get(session, address)
        row = await setups.find(session, address)
    if row is None:
        return DnsOut(
            address=address, state=rules.SetupState.WAITING, reason="The set-up has not begun yet.",
            deadline=None, checked_at=None, verified_at=None, records=[], checks=[],
        )  # fmt: skip
    return _out(row)


def _out(row: DnsSetup) -> DnsOut:
    views = {view["record"]["key"]: rules.RecordView.model_validate(view) for view in row.views}
    records = [rules.Record.model_validate(item) for item in row.records]
    return DnsOut(
        address=row.address,
        state=rules.SetupState(row.state),
        reason=row.reason,
        deadline=row.deadline,
        checked_at=row.checked_at,
        verified_at=row.verified_at,
        records=[_record_out(record, views.get(record.key)) for record in records],
        checks=[rules.Check.model_validate(item) for item in row.checks],
    )


def _record_out(record: rules.Record, view: rules.RecordView | None) -> RecordOut:
    seen = view or rules.RecordView(record=record)
    found = rules.findings(seen) if view else []
    blocking = [finding.fix for finding in found if finding.blocking]
    return RecordOut(
        **record.model_dump(include={"key", "name", "type", "expected", "required", "ttl"}),
        published=Published(state=seen.published, servers=seen.servers),
        visible=Visible(state=seen.visible, resolvers=seen.resolvers),
        findings=found,
        fix=" ".join(blocking),
    )


@router.get("")
async def show(address: str, db: Store, _: Viewer) -> DnsOut:
    """The records to enter and the state of each."""
    return await _shown(db, address)


@router.get("/zonefile", response_class=PlainTextResponse)
async def zone_file(address: str, db: Store, _: Viewer) -> PlainTextResponse:
    """The records as a zone file."""
    async with db.read() as session:
        row = await setups.get(session, address)
    text = rules.zone_file([rules.Record.model_validate(item) for item in row.records])
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(address)}.zone"'}
    return PlainTextResponse(text, headers=headers)


@router.post("/verify")
async def verify(
    address: str,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    principal: Operator,
    key: Keyed = None,
    body: Why | None = None,
) -> DnsOut:
    """Ask every server now; answers with what they said."""
    reason = body.reason if body else ""
    before = await _shown(db, address)
    try:
        await command(client, dns_id(address), DnsPropagation.reverify, rules.Reverify(reason=reason), key)
    except (Conflict, NotFound):
        # The journey ended when all was verified; looking again needs no journey.
        await check_now(settings, db, address)
    after = await _shown(db, address)
    await audit.record(
        db, principal, "dns.verify", address, reason, {"state": before.state}, {"state": after.state}
    )
    return after


@router.patch("")
async def change(
    address: str, body: ChangeIn, db: Store, client: Temporal, principal: Operator, key: Keyed = None
) -> DnsOut:
    """Expect other values."""
    before = await _shown(db, address)
    await command(
        client, dns_id(address), DnsPropagation.change_records, rules.ChangeRecords(values=body.values), key
    )
    was = {record.key: record.expected for record in before.records if record.key in body.values}
    await audit.record(db, principal, "dns.change", address, body.reason, was, dict(body.values))
    return await _shown(db, address)


@router.post("/support")
async def support(
    address: str,
    db: Store,
    client: Temporal,
    principal: Operator,
    key: Keyed = None,
    body: SupportIn | None = None,
) -> DnsOut:
    """Hand the set-up to support with its evidence."""
    message = body.message if body else ""
    await _shown(db, address)
    await command(
        client, dns_id(address), DnsPropagation.contact_support, rules.ContactSupport(message=message), key
    )
    await audit.record(db, principal, "dns.support", address, message, None, None)
    return await _shown(db, address)


@router.get("/support/bundle")
async def bundle(address: str, db: Store, _: Viewer) -> JSONResponse:
    """Every kept answer of every server, with times, as a file for support."""
    shown = await _shown(db, address)
    async with db.read() as session:
        looks = await setups.evidence(session, address)
    content: dict[str, Any] = {
        "dns": shown.model_dump(mode="json"),
        "looks": [{"at": look.at.isoformat(), "views": look.views, "checks": look.checks} for look in looks],
    }
    name = f"{_file_name(address)}-dns-evidence.json"
    return JSONResponse(content, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _file_name(address: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in address)
