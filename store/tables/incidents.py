"""What went wrong, since when, and when it ended."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.words import Severity
from store.instants import UtcDateTime, now


class Incident(SQLModel, table=True):
    """One trouble of one IP (or domain); at most one open of a kind."""

    __tablename__ = "incident"
    __table_args__ = (
        sa.Index("ix_incident_opened", "opened_at", "id"),
        sa.Index(
            "uq_incident_open",
            "kind",
            "address",
            unique=True,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    kind: str
    address: str = Field(index=True)
    severity: str = Field(default=Severity.WARNING)
    title: str
    detail: str = ""
    opened_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    closed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_why: str = ""
    causes: dict[str, Any] = Field(
        default_factory=dict,
        sa_column=sa.Column(sa.JSON, nullable=False),
        description="Who sees the trouble, with severity and reason; it is over when nobody does any more.",
    )
