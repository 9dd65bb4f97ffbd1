"""Tokens, the audit trail, and the settings as seen by this process."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, SecretStr

from api import audit
from api.deps import Admin, After, AppSettings, Limit, Store, Viewer
from api.idempotency import Keyed, claim
from domain import tokens
from domain.refusals import Conflict, NotFound
from domain.words import Outcome, Role
from store import accounts

router = APIRouter(prefix="/v1", tags=["account"])


class AuditOut(BaseModel):
    """One command."""

    id: int
    at: dt.datetime
    who: str
    role: str
    what: str
    target: str
    why: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: Outcome = Field(description="A command that is only `asked` may have been done: look at what it was on.")
    answer: str = Field(description="Why it was refused.")


class AuditPage(BaseModel):
    """A page of the trail, newest first."""

    items: list[AuditOut]
    next: str | None


class Me(BaseModel):
    """Who calls."""

    name: str
    role: Role


@router.get("/me")
async def me(who: Viewer) -> Me:
    """The name and the role of the token that asks."""
    return Me(name=who.name, role=who.role)


@router.get("/audit")
async def list_audit(
    _: Viewer,
    db: Store,
    target: str | None = None,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> AuditPage:
    """Who did what, on what, when and why."""
    async with db.read() as session:
        rows, following = await accounts.audit_page(session, target=target, before_id=after, limit=limit)
    items = [AuditOut.model_validate(row, from_attributes=True) for row in rows]
    return AuditPage(items=items, next=str(following) if following else None)


class TokenOut(BaseModel):
    """A token without its secret."""

    id: str
    name: str
    role: Role
    created_at: dt.datetime
    revoked_at: dt.datetime | None


class TokenPage(BaseModel):
    """A page of tokens."""

    items: list[TokenOut]
    next: str | None


class TokenMade(BaseModel):
    """A new token; the text is shown this once."""

    id: str
    token: str


class NewToken(BaseModel, extra="forbid"):
    """A token to make."""

    name: str = Field(min_length=1, max_length=tokens.LONGEST_NAME)
    role: Role
    reason: audit.Reason = ""


@router.get("/tokens")
async def list_tokens(_: Admin, db: Store, after: After = None, limit: Limit = 50) -> TokenPage:
    """Tokens without their secrets, oldest first."""
    async with db.read() as session:
        rows, following = await accounts.list_tokens(session, after=after, limit=limit)
    return TokenPage(items=[TokenOut.model_validate(row, from_attributes=True) for row in rows], next=following)


@router.post("/tokens", status_code=201)
async def create_token(body: NewToken, who: Admin, db: Store, key: Keyed) -> TokenMade:
    """Make a token; its text is in this answer and nowhere else, so a request sent again is told which it made."""
    async with db.write() as session:
        text = await accounts.create_token(session, body.name, body.role)
        identity = accounts.identity_of(text)
        before = await claim(session, key, [identity])
        if before is not None:
            # The one just made goes with the transaction.
            raise Conflict(
                f"Idempotency-Key: this request made the token {before.made[0]} before. Its text was in that answer "
                f"and is not kept: where it was lost, revoke it with DELETE /v1/tokens/{before.made[0]} and make "
                "another with a new key.",
                field="Idempotency-Key",
                code="told_once",
            )
        made = {"role": body.role, "id": identity}
        await audit.write(session, who, "token.create", body.name, body.reason, after=made)
    return TokenMade(id=identity, token=text)


@router.delete("/tokens/{identity}", status_code=204, response_class=Response)
async def revoke_token(identity: str, who: Admin, db: Store, reason: audit.ReasonQuery = "") -> None:
    """Make a token useless; the last administrator's cannot be."""
    async with db.write() as session:
        revoked = await accounts.revoke_token(session, identity)
        if revoked is None:
            raise NotFound(f"There is no token {identity}.", code="no_token")
        was = {"name": revoked.name, "role": revoked.role}
        await audit.write(session, who, "token.revoke", identity, reason, was)


@router.get("/settings")
async def seen_settings(_: Admin, settings: AppSettings) -> dict[str, Any]:
    """The settings of the API process; secrets show only whether they are set."""
    return {name: _masked(getattr(settings, name)) for name in type(settings).model_fields}


def _masked(value: object) -> object:
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, tuple):
        return [_masked(part) for part in value]
    text = value if value is None or isinstance(value, bool | int | float) else str(value)
    # A database URL carries a password.
    return "set" if isinstance(text, str) and "@" in text and "://" in text else text
