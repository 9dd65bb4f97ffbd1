"""Leases for mail systems that ask over HTTP before they send."""

from __future__ import annotations

import datetime as dt
import time
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse, Response

from api import sign_in, text
from api.deps import AppSettings, Store, _bearer, check_role
from api.leases import Leases, Question
from api.names import Address
from domain.words import MailboxProvider, Role

router = APIRouter(prefix="/v1/gate", tags=["gate"])

#: Seconds a token is believed without asking the store again; a revoked one leases no longer than this.
TOKEN_SECONDS = 2.0


class LeaseIn(BaseModel):
    """A request to send ``count`` mails to one mailbox provider."""

    model_config = ConfigDict(extra="forbid")

    ip: Address | None = None
    pool: str | None = Field(None, min_length=1, max_length=100)
    sender: str | None = Field(None, min_length=1, max_length=100)
    campaign: str | None = Field(None, min_length=1, max_length=100)
    provider: MailboxProvider = MailboxProvider.OTHER
    count: int = Field(gt=0, le=100_000)

    @model_validator(mode="after")
    def one_owner(self) -> LeaseIn:
        """Exactly one says whose allowance is spent."""
        if sum(one is not None for one in (self.ip, self.pool, self.sender, self.campaign)) != 1:
            raise ValueError("give exactly one of pool, sender, campaign and ip")
        return self


class GrantOut(BaseModel):
    """Allowance from one IP; it ends unused at ``expires``."""

    ip: str
    count: int
    lease: str
    expires: dt.datetime


class LeaseOut(BaseModel):
    """What may be sent now, what may not, and why not."""

    grants: list[GrantOut]
    deferred: int
    reason: str


async def operator(
    request: Request,
    db: Store,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """An operator's token; leases are not counted by the rate limit.

    Raises:
        HTTPException: 401, 403, or 429 after too many tokens that nobody has.
        Refused: the question holds text that no field may hold.
    """
    if bearer is None:
        raise HTTPException(
            401,
            "Send a token: `Authorization: Bearer ...`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    known: dict[str, float] = request.app.state.__dict__.setdefault("lease_tokens", {})
    moment = time.monotonic()
    if known.get(bearer.credentials, 0.0) > moment:
        await text.check(request)
        return
    token = await sign_in.holder(request, db, bearer.credentials)
    check_role(token.name, Role(token.role), Role.OPERATOR)
    for stale in [one for one, until in known.items() if until <= moment]:
        del known[stale]
    known[bearer.credentials] = moment + TOKEN_SECONDS
    await text.check(request)


@router.post("/lease", dependencies=[Depends(operator)], response_model=LeaseOut)
async def lease(body: LeaseIn, request: Request, db: Store, settings: AppSettings) -> Response:
    """Ask before sending; attempts are booked here and not given back."""
    leases: Leases | None = getattr(request.app.state, "leases", None)
    if leases is None:
        leases = request.app.state.leases = Leases(db, settings.day_seconds)
    at_ms = int(time.time() * 1000)
    answer = await leases.ask(
        Question(
            body.provider, body.count, at_ms, ip=body.ip, pool=body.pool, sender=body.sender, campaign=body.campaign
        )
    )
    # Written as it is: building and checking a model of what we just made costs more than the spend.
    grants = [
        {"ip": one.ip, "count": one.count, "lease": one.lease, "expires": _instant(one.expires_ms)}
        for one in answer.grants
    ]
    return JSONResponse({"grants": grants, "deferred": answer.deferred, "reason": answer.reason})


def _instant(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat().replace("+00:00", "Z")
