"""Payloads of workflows are sealed with AES-256-GCM before they leave the process.

What is sealed by an unknown encoding passes through, so that a client without the codec (the
Temporal UI's own health checks, say) still works beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from store.keys import Keyring

ENCODING = b"binary/warmpath-aes256gcm"
BOUND_TO = b"temporal-payload"


class SealedPayloads(PayloadCodec):
    """Encrypts every payload with the current key; decrypts with any key of the ring."""

    def __init__(self, keyring: Keyring) -> None:
        super().__init__()
        self._keyring = keyring

    async def encode(self, payloads: Iterable[Payload]) -> list[Payload]:
        """Seal payloads; the key id travels in the clear."""
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Iterable[Payload]) -> list[Payload]:
        """Open payloads sealed by us; others pass."""
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        key_id, sealed = self._keyring.encrypt(payload.SerializeToString(), BOUND_TO)
        return Payload(metadata={"encoding": ENCODING, "key-id": key_id.encode()}, data=sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        clear = self._keyring.decrypt(payload.metadata["key-id"].decode(), payload.data, BOUND_TO)
        return Payload.FromString(clear)
