"""Secrets at rest: AES-256-GCM, by reference, with keys that can be rotated.

The reference is part of what is authenticated, so a ciphertext that was moved to another row
does not decrypt.
"""

from __future__ import annotations

import secrets as random

import sqlalchemy as sa
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.purchase import ENDED
from domain.refusals import NotFound
from domain.words import Stage
from store.database import Database
from store.keys import Keyring
from store.tables.accounts import Secret
from store.tables.ips import Ip
from store.tables.purchase import Order


async def forget(session: AsyncSession, purpose: str) -> None:
    """Keep the secrets of a purpose no longer."""
    await session.exec(sa.delete(Secret).where(col(Secret.purpose) == purpose))


async def forget_login(session: AsyncSession, ref: str | None) -> None:
    """Keep SMTP credentials no longer than an IP in service or an open order goes by them."""
    by_ip = sa.exists().where(col(Ip.smtp_secret) == ref, col(Ip.stage) != Stage.RETIRED)
    by_order = sa.exists().where(col(Order.smtp_secret) == ref, col(Order.status).not_in(ENDED))
    await session.exec(sa.delete(Secret).where(col(Secret.ref) == ref, ~by_ip, ~by_order))


class Secrets:
    """The only place that turns a reference into a clear secret."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    def add(self, session: AsyncSession, purpose: str, clear: str) -> str:
        """Keep a secret together with what refers to it; returns its reference, which may be shown and logged."""
        ref = f"sec_{random.token_hex(12)}"
        key_id, sealed = self._keyring.encrypt(clear.encode(), ref.encode())
        session.add(Secret(ref=ref, purpose=purpose, key_id=key_id, ciphertext=sealed))
        return ref

    async def put(self, purpose: str, clear: str) -> str:
        """Keep a secret by itself; returns its reference."""
        async with self._db.write() as session:
            return self.add(session, purpose, clear)

    def digest(self, clear: bytes) -> str:
        """See :meth:`store.keys.Keyring.digest`."""
        return self._keyring.digest(clear)

    def is_digest(self, digest: str, clear: bytes) -> bool:
        """See :meth:`store.keys.Keyring.is_digest`."""
        return self._keyring.is_digest(digest, clear)

    async def get(self, ref: str) -> str:
        """The clear secret.

        Raises:
            NotFound: no such reference.
        """
        async with self._db.read() as session:
            row = await session.get(Secret, ref)
        if row is None:
            raise NotFound(f"There is no secret {ref}.", code="no_secret")
        return self._keyring.decrypt(row.key_id, row.ciphertext, ref.encode()).decode()

    async def drop(self, ref: str) -> None:
        """Keep a secret no longer; one that is gone already is fine."""
        async with self._db.write() as session:
            await session.exec(sa.delete(Secret).where(col(Secret.ref) == ref))
