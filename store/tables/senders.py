"""Pools of IPs and the senders that use them."""

from __future__ import annotations

import datetime as dt

from sqlmodel import Field, SQLModel

from store.database import UtcDateTime, now


class Pool(SQLModel, table=True):
    """A named set of IPs, and where its mail goes when they are spent."""

    __tablename__ = "pool"

    name: str = Field(primary_key=True)
    overflow: str | None = Field(default=None, description="Pool that takes what this one cannot.")
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class Sender(SQLModel, table=True):
    """Somebody who sends, through one pool."""

    __tablename__ = "sender"

    name: str = Field(primary_key=True)
    pool: str = Field(index=True)
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
