"""Who may do what, what was done, and what must stay secret."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from domain.words import Outcome
from store.instants import UtcDateTime, now


class Token(SQLModel, table=True):
    """A bearer token; only its SHA-256 is kept."""

    __tablename__ = "token"

    id: str = Field(primary_key=True)
    name: str
    role: str
    digest: str
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    revoked_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class Secret(SQLModel, table=True):
    """A ciphertext (AES-256-GCM), reached by reference only."""

    __tablename__ = "secret"

    ref: str = Field(primary_key=True)
    purpose: str
    key_id: str
    ciphertext: bytes
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class Audit(SQLModel, table=True):
    """One command: who, what, on what, when, why, before and after."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    who: str
    role: str
    what: str
    target: str = Field(index=True)
    why: str = ""
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    outcome: str = Field(default=Outcome.DONE, sa_column_kwargs={"server_default": Outcome.DONE})
    answer: str = Field(default="", sa_column_kwargs={"server_default": ""}, description="Why it was refused.")


class RequestKey(SQLModel, table=True):
    """A used idempotency key: which request it came with, and what that made."""

    __tablename__ = "request_key"

    key: str = Field(primary_key=True)
    request: str = Field(description="Method and path.")
    digest: str = Field(description="Of the body, with a key of this installation; empty when it is not known.")
    made: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False), description="Names or ids.")
    line: int | None = Field(default=None, description="Its line in the audit.")
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
