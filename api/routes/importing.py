"""Import of IPs already owned, each at the stage where it stands."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import audit, domains
from api.deps import AppSettings, Operator, Store
from api.idempotency import Keyed, claim
from domain.importing import Line, parse_csv, parse_json
from domain.lifecycle import LifecycleInput, imported
from domain.refusals import Refused
from settings import Profile
from store import ips, outbox, senders
from store.tables.ips import Ip
from workflows.ids import ip_id

router = APIRouter(prefix="/v1", tags=["purchase"])


class Imported(BaseModel):
    """What an import added."""

    items: list[str]
    next: str | None = None


@router.post(
    "/ips/import",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
                "text/csv": {"schema": {"type": "string"}},
            },
        }
    },
)
async def import_owned(
    request: Request, db: Store, settings: AppSettings, principal: Operator, key: Keyed, reason: audit.ReasonQuery = ""
) -> Imported:
    """Add IPs already owned, each at its stage: all, or none when a line is wrong; the same key adds once."""
    raw = await request.body()
    live = settings.profile is Profile.LIVE
    as_json = "json" in request.headers.get("content-type", "json")
    owned = parse_json(raw, live=live) if as_json else parse_csv(raw, live=live)
    gone = await domains.missing((one.row.domain for one in owned if one.row.domain), settings)
    for one in owned:
        if one.row.domain in gone:
            raise _on(one, gone[one.row.domain])
    addresses = [one.row.address for one in owned]
    async with db.write() as session:
        before = await claim(session, key, addresses)
        if before is not None:
            return Imported(items=before.made)
        known: set[tuple[str, str | None]] = set()
        for one in owned:
            try:
                if (uses := (one.row.pool, one.row.sender)) not in known:
                    await senders.check_known(session, pool=one.row.pool, sender=one.row.sender)
                    known.add(uses)
                waits = imported(one.row.stage)
                limit = one.row.safe_limit or settings.safe_limits[one.row.type]
                given = {**one.row.model_dump(), **waits.model_dump(), "safe_limit": limit}
                await ips.insert(session, Ip(**given, vendor="inventory"))
            except Refused as refusal:
                raise _on(one, refusal) from None
            life = LifecycleInput(
                address=one.row.address, type=one.row.type, pool=one.row.pool, sender=one.row.sender,
                stage=one.row.stage, safe_limit=limit, day_seconds=settings.day_seconds,
                vendor_queue=settings.vendor_task_queue,
            )  # fmt: skip
            await outbox.put(session, "start", ip_id(life.address), "IpLifecycle", life.model_dump(mode="json"))
        said = {"count": len(addresses)}
        await audit.write(session, principal, "ip.import", ",".join(addresses[:20]), reason, None, said)
    return Imported(items=addresses)


def _on(line: Line, refusal: Refused) -> Refused:
    """The refusal with the place where its cause stands in the input."""
    field = f"{line.where}.{refusal.field}" if refusal.field else line.where
    return type(refusal)(f"{line.where}: {refusal.detail}", field=field, code=refusal.code)
