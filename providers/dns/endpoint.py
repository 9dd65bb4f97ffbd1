"""ADDRESS[@PORT] of a DNS server, as settings spell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Endpoint:
    """Where a DNS server is asked."""

    address: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int) -> Endpoint:
        """Read ADDRESS or ADDRESS@PORT."""
        address, at, port = text.partition("@")
        return cls(address, int(port) if at else default_port)

    def __str__(self) -> str:
        return self.address if self.port == 53 else f"{self.address}@{self.port}"
