"""Messages between the sweeps and their activities."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ListAddresses(BaseModel):
    """The next IPs to sweep, after an address."""

    after: str = ""
    limit: int = 1000
    dns: bool = Field(False, description="Only IPs whose DNS set-up was verified.")


class Chunk(BaseModel):
    """IPs of one call."""

    addresses: list[str] = []


class Crossing(BaseModel):
    """An IP that went over a line or came back, and what to tell its journeys."""

    address: str
    lines: list[str] = []
    reason: str = ""
    critical: bool = False


class Swept(BaseModel):
    """What a chunk found."""

    crossings: list[Crossing] = []
    second_look: list[str] = Field([], description="IPs with a new listing that waits for its second look.")
    again_seconds: float = Field(0.0, description="When the last of them can be told from a cache's echo.")
