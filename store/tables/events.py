"""What happened to mail: each event once, and its sums by slice of time."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


class MailEvent(SQLModel, table=True):
    """One event under its source's own id."""

    __tablename__ = "mail_event"
    __table_args__ = (sa.Index("ix_mail_event_address", "address", "at_ms"),)

    source: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    kind: str
    address: str = Field(
        "", description="Sending IP; empty when the source did not name it."
    )
    provider: str
    at_ms: int = Field(sa_type=sa.BigInteger)
    recipient: str = ""
    message_id: str = ""
    detail: str = ""


class Figure(SQLModel, table=True):
    """Sums of one address, provider and slice (a 96th of a day: 15 minutes of a real one)."""

    __tablename__ = "figure"

    address: str = Field(primary_key=True)
    slice_ms: int = Field(primary_key=True, sa_type=sa.BigInteger)
    provider: str = Field(primary_key=True)
    attempted: int = 0
    delivered: int = 0
    bounced: int = 0
    blocked: int = 0
    deferred: int = 0
    complained: int = 0
    limited: int = 0
    opened: int = 0
    replied: int = 0
