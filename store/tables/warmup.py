"""The warm-up of an IP: its state, and one row a closed day."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel


class WarmupRow(SQLModel, table=True):
    """One row an IP, the read model of its warm-up; ``progress`` is a `domain.warmup.Progress`."""

    __tablename__ = "warmup"

    address: str = Field(primary_key=True)
    run: str = Field(default="", description="Run of the workflow that wrote it; days of another run are other days.")
    progress: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class WarmupDay(SQLModel, table=True):
    """One closed day: what might be sent, what was, and what followed. Times are epoch milliseconds."""

    __tablename__ = "warmup_day"

    address: str = Field(primary_key=True)
    run: str = Field(primary_key=True)
    day: int = Field(primary_key=True)
    starts_ms: int = Field(sa_type=BigInteger)
    ends_ms: int = Field(sa_type=BigInteger)
    date: str
    step: int
    cap: int
    granted: int = 0
    figures: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSON, nullable=False), description="Figures by mailbox provider."
    )
    decision: str
    reason: str
    after: dict[str, Any] = Field(
        sa_column=Column(JSON, nullable=False), description="Progress that followed, to answer a repeated close."
    )
