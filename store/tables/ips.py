"""The inventory: one row an IP, the read model of its journey."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlmodel import Column, Field, SQLModel

from domain.addresses import sort_key
from domain.words import DEFAULT_POOL, Actor, IpType, Stage
from store.instants import UtcDateTime, now


def _by_number(context: DefaultExecutionContext) -> str:
    row: dict[str, str] = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return sort_key(row["address"])


class Ip(SQLModel, table=True):
    """One sending IP."""

    __tablename__ = "ip"

    address: str = Field(primary_key=True)
    sort_key: str | None = Field(
        default=None,
        sa_column=Column(sa.String, nullable=False, index=True, default=_by_number),
        description="Sorts by number; made when the row is written.",
    )
    bind_address: str | None = Field(default=None, description="What the mail system binds to, where behind NAT.")
    type: str = Field(default=IpType.DEDICATED)
    vendor: str = Field(default="inventory")
    vendor_ref: str = Field(default="", description="The vendor's own id of the address.")
    region: str = Field(default="")
    order_id: str | None = Field(default=None, index=True)
    stage: str = Field(default=Stage.SELECTED, index=True)
    stage_before: str = Field(default="", description="Stage that trouble took it from; it goes back there.")
    pool: str = Field(default=DEFAULT_POOL, index=True)
    sender: str | None = Field(default=None, index=True)
    domain: str = Field(default="")
    hostname: str = Field(default="")
    mx: str | None = Field(default=None, description="Host that receives the domain's mail; None: the hostname.")
    smtp_secret: str | None = Field(default=None, description="Reference of the encrypted credentials.")
    smtp_login: str | None = Field(default=None, description="HOST:PORT and user, for display; never the password.")
    safe_limit: int = Field(default=2000, description="Mails a day once fully warmed.")
    dns_verified_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    waiting_for: str = Field(default="", description="In words, what the journey waits for.")
    waiting_on: str = Field(default=Actor.NOBODY, description="Who must act.")
    waiting_since: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    score: int | None = Field(default=None)
    band: str = Field(default="unknown", index=True)
    scored_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    retired_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    disposal: str = Field(default="", description="Of a retired address: `released`, `kept`, `owned` or `stuck`.")


class JourneyStep(SQLModel, table=True):
    """When an IP reached a stage, for the journey line and the audit of a life."""

    __tablename__ = "journey_step"
    __table_args__ = (sa.Index("ix_journey_step_address", "address", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    address: str
    stage: str
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    note: str = ""


class JourneyRun(SQLModel, table=True):
    """The run of a journey that was last seen at work, for links to the Temporal UI."""

    __tablename__ = "journey_run"

    workflow_id: str = Field(primary_key=True)
    run_id: str
