"""DNS of an IP: the records to enter, their state, and the operator's commands."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from activities import dns_checks
from api import audit
from api.deps import AppSettings, Operator, Store, Temporal, Viewer
from api.idempotency import Keyed
from api.journeys import command, link
from api.names import IpPath
from domain import dns as rules
from domain import dns_findings, mta_sts
from domain.addresses import sort_key
from domain.dns_options import DnsOptions, checked, sts_policy
from domain.lifecycle import DnsDrifted
from domain.refusals import Conflict, NotFound, Refused
from domain.words import Stage
from providers.dns.registry import publisher_name
from store import dns as setups
from store import ips, outbox, runs
from store.tables.dns import DnsSetup
from workflows import search_attributes
from workflows.dns import DnsPropagation
from workflows.ids import dns_id, ip_id

router = APIRouter(prefix="/v1/ips/{address}/dns", tags=["dns"])


class AnswerOut(rules.Answer):
    """What one server or resolver says; ``state`` is what it means for the record."""

    state: rules.RecordState


class Published(BaseModel):
    """What the authoritative servers say."""

    state: rules.RecordState
    servers: list[AnswerOut]


class Visible(BaseModel):
    """What resolvers say; ``state`` is null while they are not asked, because servers do not agree yet."""

    state: rules.RecordState | None
    resolvers: list[AnswerOut]


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


class PolicyOut(BaseModel):
    """The MTA-STS policy to host: the text, where it has to be found, and the id in the record."""

    url: str
    id: str
    text: str


class DnsOut(BaseModel):
    """The DNS set-up of an IP."""

    address: str
    state: rules.SetupState
    reason: str
    deadline: dt.datetime | None
    checked_at: dt.datetime | None
    verified_at: dt.datetime | None
    next_look_at: dt.datetime | None = Field(
        description="When the servers are asked next, about; by the sweep once it was verified. Null while nobody asks."
    )
    records: list[RecordOut]
    checks: list[rules.Check]
    publisher: str = Field(description="Who enters the records: `manual`, `rfc2136` or `route53`.")
    domain: str
    siblings: list[str] = Field(description="Other IPs of the domain; they share all but address, PTR.")
    options: DnsOptions
    mta_sts: PolicyOut | None = Field(description="The policy to host, where MTA-STS is asked for.")
    workflow: dict[str, str | None]


class SupportIn(BaseModel, extra="forbid"):
    """What to tell support."""

    message: str = Field("", max_length=2_000)


class ChangeIn(BaseModel, extra="forbid"):
    """New expected values by record key, an empty list goes back to the default; options of the domain, null drops one.

    Of ``options`` only what is named changes.
    """

    values: dict[str, list[str]] = {}
    options: DnsOptions | None = None
    reason: audit.Reason = ""


async def _shown(db: Store, settings: AppSettings, address: str) -> DnsOut:
    async with db.read() as session:
        ip = await ips.get(session, address)
        row = await setups.find(session, address)
        domain = ip.domain.lower().rstrip(".")
        shared = await setups.domain(session, domain)
        run = await runs.of(session, dns_id(address))
        others = await setups.siblings(session, domain, address)
    row = row or _none(address, Stage(ip.stage))
    views = {view["record"]["key"]: rules.RecordView.model_validate(view) for view in row.views}
    records = [rules.Record.model_validate(item) for item in row.records]
    options = DnsOptions.model_validate(shared.options if shared else {})
    return DnsOut(
        address=row.address,
        state=rules.SetupState(row.state),
        reason=row.reason,
        deadline=row.deadline,
        checked_at=row.checked_at,
        verified_at=row.verified_at,
        next_look_at=None if ip.stage == Stage.RETIRED else _next_look(row, list(views.values()), settings),
        records=[_record_out(record, views.get(record.key), settings.dns_quorum) for record in records],
        checks=[rules.Check.model_validate(item) for item in row.checks],
        publisher=publisher_name(settings, domain),
        domain=domain,
        siblings=sorted((other.address for other in others), key=sort_key),
        options=options,
        mta_sts=_policy_out(domain, options, records),
        workflow=link(settings, dns_id(address), run),
    )


def _none(address: str, stage: Stage) -> DnsSetup:
    """What stands for a set-up that is not there: it is still to begin, or the IP came with its DNS in place."""
    if stage in rules.BEFORE_ACTIVE:
        return DnsSetup(address=address, reason="The set-up has not begun yet.")
    why = "Imported with its DNS in place, so its records are not watched here; verify it to have them watched."
    return DnsSetup(address=address, state=rules.SetupState.NONE, reason=why)


def _next_look(row: DnsSetup, views: list[rules.RecordView], settings: AppSettings) -> dt.datetime | None:
    if row.checked_at is None or row.state == rules.SetupState.REFUSED:
        return None
    if row.verified_at or row.deadline is None:  # Without a deadline no journey looks, only the sweep.
        return row.checked_at + dt.timedelta(minutes=settings.dns_sweep_minutes)
    waited = (row.checked_at - row.rendered_at).total_seconds()
    return row.checked_at + dt.timedelta(seconds=dns_findings.until_next_look(views, waited))


def _policy_out(domain: str, options: DnsOptions, records: list[rules.Record]) -> PolicyOut | None:
    mx = next((record.expected for record in records if record.key == "mx"), None)
    policy = sts_policy(options, mx) if mx is not None else None
    return None if policy is None else PolicyOut(url=mta_sts.url(domain), id=policy.id(), text=policy.text())


def _record_out(record: rules.Record, view: rules.RecordView | None, quorum: float) -> RecordOut:
    if view is not None and view.record.name != record.name:
        view = None
    seen = view or rules.RecordView(record=record)
    if seen.record != record:
        # Another value is expected now; the answers that are kept say how it stands.
        seen = seen.model_copy(update={"record": record})
        seen.published = dns_findings.published_state(record, seen.servers)
        seen.visible = None
        if seen.published is rules.RecordState.PUBLISHED and seen.resolvers:
            seen.visible = dns_findings.visible_state(record, seen.resolvers, quorum)
    found = dns_findings.findings(seen) if view else []
    blocking = [finding.fix for finding in found if finding.blocking]
    return RecordOut(
        **record.model_dump(include={"key", "name", "type", "expected", "required", "ttl"}),
        published=Published(state=seen.published, servers=_judged(record, seen.servers, rules.RecordState.PUBLISHED)),
        visible=Visible(state=seen.visible, resolvers=_judged(record, seen.resolvers, rules.RecordState.VISIBLE)),
        findings=found,
        fix=" ".join(blocking),
    )


def _judged(record: rules.Record, answers: list[rules.Answer], good: rules.RecordState) -> list[AnswerOut]:
    """Every answer with what it means; ``good`` is the word for the right one."""
    states = [dns_findings.judge(record, answer) for answer in answers]
    return [
        AnswerOut(**answer.model_dump(), state=good if state is rules.RecordState.PUBLISHED else state)
        for answer, state in zip(answers, states, strict=True)
    ]


@router.get("")
async def show(address: IpPath, db: Store, settings: AppSettings, _: Viewer) -> DnsOut:
    """The records to enter and the state of each."""
    return await _shown(db, settings, address)


@router.get("/zonefile", response_class=PlainTextResponse)
async def zone_file(address: IpPath, db: Store, _: Viewer) -> PlainTextResponse:
    """The records as a zone file."""
    async with db.read() as session:
        row = await setups.get(session, address)
    text = rules.zone_file([rules.Record.model_validate(item) for item in row.records])
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(address)}.zone"'}
    return PlainTextResponse(text, headers=headers)


@router.get("/mta-sts.txt", response_class=PlainTextResponse)
async def policy(address: IpPath, db: Store, settings: AppSettings, _: Viewer) -> PlainTextResponse:
    """The MTA-STS policy, ready to host; 404 where the domain has none."""
    shown = await _shown(db, settings, address)
    if shown.mta_sts is None:
        raise NotFound(
            f"{shown.domain or address} has no MTA-STS policy; ask for one by its options.", code="no_policy"
        )
    headers = {"Content-Disposition": 'attachment; filename="mta-sts.txt"'}
    return PlainTextResponse(shown.mta_sts.text, headers=headers)


@router.post("/verify")
async def verify(
    address: IpPath,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    principal: Operator,
    key: Keyed,
    body: audit.Why | None = None,
) -> DnsOut:
    """Ask every server now; answers with what they said."""
    reason = body.reason if body else ""
    before = await _shown(db, settings, address)
    was = {"state": before.state}
    async with audit.asking(db, principal, "dns.verify", address, reason, was, key=key) as asked:
        # Looking does no harm: a request that is sent again looks again.
        try:
            await command(client, dns_id(address), DnsPropagation.reverify, rules.Reverify(reason=reason), key)
        except (Conflict, NotFound):
            # The journey ended when all was verified; looking again needs no journey.
            look = await dns_checks.verify(settings, db, address)
            if look.changed:
                await _tell_drift(db, address, look.findings if look.drifted else [])
        after = await _shown(db, settings, address)
        asked.after = {"state": after.state}
    return after


@router.patch("")
async def change(
    address: IpPath,
    body: ChangeIn,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    principal: Operator,
    key: Keyed,
) -> DnsOut:
    """Expect other values, or ask for optional records of the domain; a set-up that was verified opens again."""
    before = await _shown(db, settings, address)
    if not body.values and body.options is None:
        raise Refused("Name at least one record in `values`, or one of `options`.", field="values")
    options = None
    if body.options is not None:
        options = before.options.model_copy(
            update={name: getattr(body.options, name) for name in body.options.model_fields_set}
        )
    wanted = rules.ChangeRecords(values=body.values, options=options)
    was: dict[str, Any] = {record.key: record.expected for record in before.records if record.key in body.values}
    now: dict[str, Any] = dict(body.values)
    if options is not None:
        was["options"], now["options"] = before.options.model_dump(mode="json"), options.model_dump(mode="json")
    start = await _opened(db, settings, before, body)
    async with audit.asking(db, principal, "dns.change", address, body.reason, was, now, key) as asked:
        if not asked.done:
            await command(client, dns_id(address), DnsPropagation.change_records, wanted, key, start)
    after = await _shown(db, settings, address)
    if before.state is rules.SetupState.DRIFTED and after.state is not rules.SetupState.DRIFTED:
        # What drifted is expected no more. The sweep sees an open set-up, which is its own journey's to tell of.
        await _tell_drift(db, address, [])
    return after


async def _tell_drift(db: Store, address: str, findings: list[str]) -> None:
    """Tell the life of an IP what has drifted; nothing: it is over."""
    async with db.write() as session:
        drift = DnsDrifted(findings=findings)
        await outbox.put(session, "signal", ip_id(address), "dns_drifted", drift.model_dump())


async def _opened(
    db: Store, settings: AppSettings, before: DnsOut, body: ChangeIn
) -> WithStartWorkflowOperation[DnsPropagation, rules.DnsResult] | None:
    """The start of a journey for a set-up that has ended, or None where one must be open."""
    async with db.read() as session:
        ip = await ips.get(session, before.address)
    if ip.stage in (*rules.BEFORE_ACTIVE, Stage.RETIRED):
        return None
    # A journey that is not open checks nothing by itself; the record set says what may be changed.
    checked(body.options or DnsOptions())
    rules.check_overrides([record.key for record in before.records] or list(rules.DOMAIN_KEYS), body.values)
    return WithStartWorkflowOperation(
        DnsPropagation.run,
        rules.DnsInput(address=before.address, reopened=True, vendor_queue=settings.vendor_task_queue),
        id=dns_id(before.address),
        task_queue=settings.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"DNS of {before.address}, changed",
        search_attributes=search_attributes.of(
            address=before.address, pool=ip.pool, sender=ip.sender, stage=Stage(ip.stage)
        ),
    )


@router.post("/support")
async def support(
    address: IpPath,
    db: Store,
    client: Temporal,
    settings: AppSettings,
    principal: Operator,
    key: Keyed,
    body: SupportIn | None = None,
) -> DnsOut:
    """Hand the set-up to support with its evidence; pressed again it adds to the one case."""
    message = body.message if body else ""
    before = await _shown(db, settings, address)
    async with audit.asking(db, principal, "dns.support", address, message, key=key) as asked:
        if not asked.done:
            try:
                await command(
                    client, dns_id(address), DnsPropagation.contact_support, rules.ContactSupport(message=message), key
                )
            except (Conflict, NotFound):
                # The journey has ended; a case needs none. Before it began there is nothing to hand over.
                if not before.records:
                    raise
                await dns_checks.hand_over(settings, db, address, message)
    return await _shown(db, settings, address)


@router.get("/support/bundle")
async def bundle(address: IpPath, db: Store, settings: AppSettings, _: Viewer) -> JSONResponse:
    """Every kept answer of every server, with times, as a file for support."""
    shown = await _shown(db, settings, address)
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
