"""Scores, the listings behind them, and how they went over time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlmodel import JSON, Column, Field, SQLModel

from store.instants import UtcDateTime, now


class Reputation(SQLModel, table=True):
    """The present score of an IP; ``told`` are the lines its journeys were last told of."""

    __tablename__ = "reputation"

    address: str = Field(primary_key=True)
    score: int | None = None
    band: str = "unknown"
    reason: str = ""
    components: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    answers: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    lines: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    told: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    checked_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class Listing(SQLModel, table=True):
    """One stay on one list, from the first look that saw it to the first that did not."""

    __tablename__ = "listing"

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(index=True)
    zone: str
    answer: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    first_seen: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    last_seen: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    confirmed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    cleared_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class ReputationPoint(SQLModel, table=True):
    """A score at a time; written when it changes and at least hourly."""

    __tablename__ = "reputation_point"
    __table_args__ = (sa.Index("ix_reputation_point", "address", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    address: str
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    score: int | None = None
    band: str = "unknown"
