"""The DNS set-up of an IP, what it shares with the other IPs of its domain, and the evidence."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from store.instants import UtcDateTime, now


class DnsSetup(SQLModel, table=True):
    """One row an IP, the read model of its DNS journey."""

    __tablename__ = "dns_setup"

    address: str = Field(primary_key=True)
    state: str = Field(default="waiting")
    reason: str = Field(default="", description="Why the set-up is refused or drifted, in words.")
    overrides: dict[str, list[str]] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    records: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    views: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    checks: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    rendered_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    deadline: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    checked_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    verified_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class DnsDomain(SQLModel, table=True):
    """What the IPs of one sending domain share: one key, one SPF, one policy. A domain has one row, in lower case."""

    __tablename__ = "dns_domain"

    domain: str = Field(primary_key=True)
    dkim_selector: str
    dkim_record: str = Field(description="The public key as it is published.")
    dkim_secret: str = Field(description="Reference of the encrypted private key (PEM).")
    overrides: dict[str, list[str]] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    mx: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    updated_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class DnsEvidence(SQLModel, table=True):
    """One look at DNS: every answer of every server, with times."""

    __tablename__ = "dns_evidence"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(index=True)
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    views: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    checks: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
