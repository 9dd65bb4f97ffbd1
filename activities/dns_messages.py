"""Arguments and results of the DNS activities that are no rule of the domain."""

from __future__ import annotations

from pydantic import BaseModel

from domain.dns_options import DnsOptions


class Prepare(BaseModel):
    """Render and publish the records of an IP."""

    address: str
    deadline_hours: float | None = None
    overrides: dict[str, list[str]] | None = None
    options: DnsOptions | None = None
    reopened: bool = False
    parent: tuple[str, str] | None = None
    """Id and run of the life that the set-up is a part of: a life itself may have no activity for long."""


class Prepared(BaseModel):
    """What was handed out; ``refused`` says why nothing was."""

    domain: str = ""
    automatic: bool = False
    records: int = 0
    keys: list[str] = []
    at_vendor: bool = False
    """The vendor of the IP sets its PTR."""
    seconds_left: float = 0.0
    problems: list[str] = []
    refused: str | None = None
    field: str | None = None


class Look(BaseModel):
    """Ask about one IP."""

    address: str


class Escalate(BaseModel):
    """Hand an IP's DNS to support."""

    address: str
    message: str = ""
    past_deadline: bool = True


class Outcome(BaseModel):
    """One look: whether all is verified, whether what was verified no longer is, and why.

    ``changed`` tells a drift, or the end of one, from a look that finds what the look before it found.
    """

    verified: bool
    retired: bool = False
    drifted: bool = False
    changed: bool = False
    findings: list[str] = []
    next_seconds: float = 0.0
