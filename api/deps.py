"""What routes ask for: who calls, the store, Temporal, the idempotency key."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from temporalio.client import Client

from api import sign_in, text
from domain.words import Role
from settings import Settings
from store.database import Database
from store.secrets import Secrets as SecretStore

ORDER = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
_bearer = HTTPBearer(auto_error=False, description="A token made by `warmpath token create`.")


@dataclass(frozen=True)
class Principal:
    """Who calls."""

    name: str
    role: Role


class RateLimit:
    """At most so many requests a minute for one token, counted in this process, and who failed to sign in.

    Attributes:
        failures: of the requests without a known token.
    """

    def __init__(self, per_minute: int) -> None:
        self.failures = sign_in.FailedSignIns()
        self._per_minute = per_minute
        self._seen: dict[str, deque[float]] = {}

    def admit(self, who: str) -> bool:
        """Whether this request may go on."""
        moment = time.monotonic()
        seen = self._seen.setdefault(who, deque())
        while seen and seen[0] < moment - 60:
            seen.popleft()
        if len(seen) >= self._per_minute:
            return False
        seen.append(moment)
        return True


# Coroutines, although they wait for nothing: a plain function would be called in a thread of its own, every request.
async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _store(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


async def _secrets(request: Request) -> SecretStore:
    secrets: SecretStore = request.app.state.secrets
    return secrets


async def _temporal(request: Request) -> Client:
    client: Client | None = request.app.state.temporal
    if client is None:
        raise HTTPException(503, "Temporal does not answer yet; try again in a moment.")
    return client


AppSettings = Annotated[Settings, Depends(_settings)]
Store = Annotated[Database, Depends(_store)]
Secrets = Annotated[SecretStore, Depends(_secrets)]
Temporal = Annotated[Client, Depends(_temporal)]


async def principal(
    request: Request,
    db: Store,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    """The holder of the bearer token.

    Raises:
        HTTPException: 401 without a known token, 429 past a rate limit.
        Refused: the request holds text that no field may hold.
    """
    if bearer is None:
        raise HTTPException(401, "Send a token: `Authorization: Bearer ...`.", headers={"WWW-Authenticate": "Bearer"})
    token = await sign_in.holder(request, db, bearer.credentials)
    limit: RateLimit = request.app.state.rate_limit
    if not limit.admit(token.id):
        raise HTTPException(429, "Too many requests for this token; wait a minute.", headers={"Retry-After": "60"})
    await text.check(request)
    return Principal(token.name, Role(token.role))


def check_role(name: str, role: Role, needed: Role) -> None:
    """Let a role and the ones above it pass; ``name`` is the token's.

    Raises:
        HTTPException: 403, names both roles.
    """
    if ORDER.index(role) < ORDER.index(needed):
        raise HTTPException(403, f"The token {name!r} has the role {role}; this needs the role {needed}.")


class Needs:
    """A dependency that lets a role and the ones above it pass."""

    def __init__(self, role: Role) -> None:
        self._role = role

    async def __call__(self, who: Annotated[Principal, Depends(principal)]) -> Principal:
        """The caller, when its role is enough."""
        check_role(who.name, who.role, self._role)
        return who


#: Rows of a page of a list.
Limit = Annotated[int, Query(ge=1, le=500)]
#: The ``next`` of the page before.
After = Annotated[str | None, Query(max_length=254)]
Viewer = Annotated[Principal, Depends(Needs(Role.VIEWER))]
Operator = Annotated[Principal, Depends(Needs(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(Needs(Role.ADMIN))]
