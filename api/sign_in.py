"""Whose token a request carries, and how often a client may send one that nobody has."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from time import monotonic

from fastapi import HTTPException, Request

from store import accounts
from store.database import Database
from store.tables.accounts import Token

#: Failed sign-ins of one client in a minute before more are refused unseen.
MOST_FAILURES = 60
#: Clients that are counted, in this process.
MOST_CLIENTS = 10_000
_MINUTE = 60.0
#: Seconds that the ids of the tokens are known for.
_IDS_SECONDS = 1.0


class FailedSignIns:
    """Failed sign-ins by client, each counted for a minute from its first; the client longest unseen is forgotten."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._ids: tuple[float, AbstractSet[str]] = (-math.inf, frozenset())
        self._looking = asyncio.Lock()

    def add(self, client: str) -> None:
        """One more."""
        since, count = self._seen.pop(client, (monotonic(), 0))
        if monotonic() - since >= _MINUTE:
            since, count = monotonic(), 0
        self._seen[client] = (since, count + 1)
        if len(self._seen) > MOST_CLIENTS:
            self._seen.popitem(last=False)

    def wait(self, client: str) -> int:
        """Seconds that this client has to wait; 0 while it may fail again."""
        since, count = self._seen.get(client, (0.0, 0))
        return max(0, math.ceil(since + _MINUTE - monotonic())) if count >= MOST_FAILURES else 0

    async def may_be_a_token(self, db: Database, text: str) -> bool:
        """Whether a token has this text's id, by one look at all of them a second however many ask."""
        async with self._looking:
            if monotonic() - self._ids[0] >= _IDS_SECONDS:
                async with db.read() as session:
                    self._ids = (monotonic(), await accounts.live_ids(session))
        return accounts.identity_of(text) in self._ids[1]


def client_of(request: Request) -> str:
    """Who is counted: an IPv4 address, or the /64 of an IPv6 address, of which one client has many."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))


async def find(failures: FailedSignIns, request: Request, db: Database, text: str) -> Token | None:
    """The live token of this text, None when there is none, which is counted.

    Whoever has failed too often costs no look-up any more, but a token that there is is taken from everywhere: others
    may sit behind the same address.

    Raises:
        HTTPException: 429 after too many that nobody has.
    """
    client = client_of(request)
    if (seconds := failures.wait(client)) and not await failures.may_be_a_token(db, text):
        said = f"Too many tokens from this address that nobody has; wait {seconds} s."
        raise HTTPException(429, said, headers={"Retry-After": str(seconds)})
    async with db.read() as session:
        token = await accounts.find_token(session, text)
    if token is None:
        failures.add(client)
    return token


async def holder(request: Request, db: Database, text: str) -> Token:
    """The live token of this text.

    Raises:
        HTTPException: 401 when there is none, 429 after too many of those.
    """
    failures: FailedSignIns = request.app.state.rate_limit.failures
    token = await find(failures, request, db, text)
    if token is None:
        raise HTTPException(401, "This token is not known or was revoked.", headers={"WWW-Authenticate": "Bearer"})
    return token
