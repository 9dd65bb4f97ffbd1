"""The keys of this installation: AES-256-GCM, each with an id, so that they can be rotated.

Apart from the store's tables, so that a process that only opens payloads starts without them.
"""

from __future__ import annotations

import base64
import functools
import hmac
import os
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Keyring:
    """AES-256-GCM keys by id; the first encrypts, all decrypt."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise ValueError("WARMPATH_SECRET_KEYS: no key; make one with `warmpath secrets new-key`.")
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        # A key of its own, derived from the one that encrypts.
        self._digests = {name: functools.partial(_hmac, _hmac_key(key)) for name, key in keys.items()}
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

    def digest(self, clear: bytes) -> str:
        """``ID:HEX`` that tells whether something was the same, and tells nobody without the key what it was."""
        return f"{self.current}:{self._digests[self.current](clear)}"

    def is_digest(self, digest: str, clear: bytes) -> bool:
        """Whether a digest is of this; True as well when its key was taken away and nobody can tell."""
        name, _, made = digest.partition(":")
        take = self._digests.get(name)
        return take is None or hmac.compare_digest(take(clear), made)

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


def _hmac_key(key: bytes) -> bytes:
    return hmac.digest(key, b"warmpath digest", "sha256")


def _hmac(key: bytes, clear: bytes) -> str:
    return hmac.digest(key, clear, "sha256").hex()


def new_key(name: str = "k1") -> str:
    """A fresh key as ``ID:BASE64``."""
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"
