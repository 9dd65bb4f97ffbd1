"""Idempotency keys: the same request is answered alike, another request with a used key is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import Principal, Store, principal
from domain.refusals import Conflict, Refused
from store import requests
from store.secrets import Secrets
from store.tables.accounts import RequestKey

#: Characters of a key that a message repeats.
SHOWN = 60


@dataclass(frozen=True)
class Key:
    """The key of this request.

    Attributes:
        text: what the client sent; also the id of the update that a command sends.
        request: method and path.
        body: the body in one spelling.
        before: the same request as it was answered before; None the first time.
    """

    text: str
    request: str
    body: bytes
    secrets: Secrets
    before: RequestKey | None = None

    def check(self, used: RequestKey) -> RequestKey:
        """The earlier use, if it was of the same request.

        Raises:
            Refused: it was not.
        """
        if used.request == self.request and self.secrets.is_digest(used.digest, self.body):
            return used
        what = "with another body" if used.request == self.request else f"for {used.request}"
        raise Refused(
            f"Idempotency-Key: {self.text[:SHOWN]!r} was used before, {what}. Use a new key for a new request, or "
            "send the first one unchanged.",
            field="Idempotency-Key",
            code="key_reused",
        )

    def gone(self, what: str) -> Conflict:
        """The refusal of a request whose result was there and was deleted."""
        return Conflict(
            f"Idempotency-Key: {self.text[:SHOWN]!r} made {what}, which was deleted since. Use a new key to make it "
            "again.",
            field="Idempotency-Key",
            code="deleted",
        )


async def claim(session: AsyncSession, key: Key | None, made: Sequence[str] = ()) -> RequestKey | None:
    """Take the key in the transaction of what the request makes; answers an earlier use of the same request.

    Raises:
        Refused: the key was used for another request.
    """
    if key is None:
        return None
    row, new = await requests.claim(session, key.text, key.request, key.secrets.digest(key.body), made)
    return None if new else key.check(row)


async def _keyed(
    request: Request,
    db: Store,
    _: Annotated[Principal, Depends(principal)],
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            description="The same key, the same resource; a used key with another body is refused (422).",
        ),
    ] = None,
) -> Key | None:
    if key is None:
        return None
    given = Key(
        key, f"{request.method} {request.url.path}", _one_spelling(await request.body()), request.app.state.secrets
    )
    async with db.read() as session:
        used = await requests.find(session, key)
    return given if used is None else Key(given.text, given.request, given.body, given.secrets, given.check(used))


def _one_spelling(body: bytes) -> bytes:
    """The same JSON is the same request, however it is spaced and ordered."""
    try:
        return json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return body


Keyed = Annotated[Key | None, Depends(_keyed)]
