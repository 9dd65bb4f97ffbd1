"""Repository of tokens and the audit trail."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import tokens
from domain.refusals import Conflict
from domain.routing import Scope
from domain.words import Role
from store.instants import now
from store.paging import no_cursor
from store.tables.accounts import Audit, Token

PREFIX = "wp_"


def digest(secret: str) -> str:
    """What is kept of a token: it has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def create_token(session: AsyncSession, name: str, role: Role) -> str:
    """Make a token; its text is returned once and not kept.

    Raises:
        Refused: nobody could tell whose it is.
    """
    tokens.check_name(name)
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    session.add(Token(id=identity, name=name, role=role, digest=digest(secret)))
    await session.flush()
    return f"{PREFIX}{identity}_{secret}"


def identity_of(text: str) -> str:
    """The id in a token's text."""
    return text.removeprefix(PREFIX).partition("_")[0]


async def find_token(session: AsyncSession, text: str) -> Token | None:
    """The live token of this text, compared in constant time; None when unknown or revoked."""
    identity, _, secret = text.removeprefix(PREFIX).partition("_")
    row = await session.get(Token, identity) if identity and len(identity) <= 32 else None
    # An unknown id costs the same comparison, so that time does not tell ids apart.
    matches = hmac.compare_digest(digest(secret), row.digest if row else digest(""))
    return row if row is not None and matches and row.revoked_at is None else None


async def live_ids(session: AsyncSession) -> frozenset[str]:
    """The ids of the tokens that are not revoked."""
    return frozenset((await session.exec(select(Token.id).where(col(Token.revoked_at).is_(None)))).all())


async def list_tokens(
    session: AsyncSession, *, after: str | None = None, limit: int
) -> tuple[Sequence[Token], str | None]:
    """A page of tokens without their secrets, oldest first, and the cursor of the next.

    Raises:
        Refused: the cursor is none.
    """
    query = select(Token).order_by(col(Token.created_at), col(Token.id)).limit(limit + 1)
    if after:
        last = await session.get(Token, after)
        if last is None:
            raise no_cursor()
        query = query.where(sa.tuple_(col(Token.created_at), col(Token.id)) > sa.tuple_(last.created_at, last.id))
    rows = (await session.exec(query)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


async def revoke_token(session: AsyncSession, identity: str) -> Token | None:
    """Make a token useless; answers it, None when there is none.

    Raises:
        Conflict: it is the last administrator's; nobody could make tokens any more.
    """
    row = await session.get(Token, identity)
    if row is None:
        return None
    if row.role == Role.ADMIN and row.revoked_at is None:
        # Locked, so that two administrators cannot revoke each other in the same moment.
        query = select(Token.id).where(col(Token.role) == Role.ADMIN, col(Token.revoked_at).is_(None))
        if set((await session.exec(query.order_by(col(Token.id)).with_for_update())).all()) == {identity}:
            raise Conflict(
                f"{row.name} is the last administrator's token; make another administrator first.",
                field="identity",
                code="last_admin",
            )
    row.revoked_at = row.revoked_at or now()
    session.add(row)
    return row


async def audit_page(
    session: AsyncSession, *, target: str | None, before_id: int | None, limit: int
) -> tuple[Sequence[Audit], int | None]:
    """A page of the audit trail, newest first, and the cursor of the next."""
    query = select(Audit).order_by(col(Audit.id).desc()).limit(limit + 1)
    if target:
        # A pause names what it covers with its kind: whoever looks for an IP looks for its pauses, too.
        scoped = (f"{scope} {target}" for scope in Scope if scope is not Scope.ALL)
        query = query.where(col(Audit.target).in_([target, *scoped]))
    if before_id is not None:
        query = query.where(col(Audit.id) < before_id)
    rows = (await session.exec(query)).all()
    following = rows[limit - 1].id if len(rows) > limit else None
    return rows[:limit], following
