"""Secrets at rest: AES-256-GCM, by reference, with keys that can be rotated.

The reference is part of what is authenticated, so a ciphertext that was moved to another row
does not decrypt.
"""

from __future__ import annotations

import base64
import os
import secrets as random
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.refusals import NotFound
from store.database import Database, now
from store.tables.accounts import Secret

NONCE_BYTES = 12


class Keyring:
    """AES-256-GCM keys by id; the first encrypts, all decrypt."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise ValueError("WARMPATH_SECRET_KEYS: no key; make one with `warmpath secrets new-key`.")
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self.current = next(iter(keys))

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Keyring:
        """Read ``ID:BASE64`` entries.

        Raises:
            ValueError: an entry is malformed; the key itself is never in the message.
        """
        keys: dict[str, bytes] = {}
        for line in lines:
            name, separator, encoded = line.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:
                key = b""
            if not separator or not name or len(key) != 32:
                raise ValueError("WARMPATH_SECRET_KEYS: each key is ID:BASE64 of 32 bytes.")
            keys[name] = key
        return cls(keys)

    def encrypt(self, clear: bytes, bound_to: bytes) -> tuple[str, bytes]:
        """The key id and nonce + ciphertext, authenticated together with ``bound_to``."""
        nonce = os.urandom(NONCE_BYTES)
        return self.current, nonce + self._keys[self.current].encrypt(nonce, clear, bound_to)

    def decrypt(self, key_id: str, sealed: bytes, bound_to: bytes) -> bytes:
        """The clear bytes.

        Raises:
            ValueError: the key is unknown, or the ciphertext was changed or moved.
        """
        cipher = self._keys.get(key_id)
        if cipher is None:
            raise ValueError(f"no secret key {key_id!r}; put it back into WARMPATH_SECRET_KEYS.")
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
        except InvalidTag:
            raise ValueError(f"a secret does not decrypt with key {key_id!r}.") from None


def new_key(name: str = "k1") -> str:
    """A fresh key as ``ID:BASE64``."""
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


class Secrets:
    """The only place that turns a reference into a clear secret."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def put(self, purpose: str, clear: str) -> str:
        """Keep a secret; returns its reference, which may be shown and logged."""
        ref = f"sec_{random.token_hex(12)}"
        key_id, sealed = self._keyring.encrypt(clear.encode(), ref.encode())
        async with self._db.write() as session:
            session.add(Secret(ref=ref, purpose=purpose, key_id=key_id, ciphertext=sealed))
        return ref

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

    async def replace(self, ref: str, clear: str) -> None:
        """Rotate a secret in place: everyone who holds the reference gets the new one."""
        key_id, sealed = self._keyring.encrypt(clear.encode(), ref.encode())
        async with self._db.write() as session:
            row = await session.get(Secret, ref)
            if row is None:
                raise NotFound(f"There is no secret {ref}.", code="no_secret")
            row.key_id, row.ciphertext, row.replaced_at = key_id, sealed, now()
            session.add(row)
