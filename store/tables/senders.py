"""Pools of IPs and the senders that use them."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from domain.words import DEFAULT_POOL
from store.instants import UtcDateTime, now


class Pool(SQLModel, table=True):
    """A named set of IPs, and where its mail goes when they are spent."""

    __tablename__ = "pool"

    name: str = Field(primary_key=True)
    overflow: str | None = Field(default=None, description="Pool that takes what this one cannot.")
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


@sa.event.listens_for(SQLModel.metadata.tables["pool"], "after_create")
def _make_default(table: sa.Table, connection: sa.Connection, **_: object) -> None:
    connection.execute(table.insert().values(name=DEFAULT_POOL, created_at=now()))


class Sender(SQLModel, table=True):
    """Somebody who sends, through one pool."""

    __tablename__ = "sender"

    name: str = Field(primary_key=True)
    pool: str = Field(index=True)
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class SenderMatch(SQLModel, table=True):
    """How mail is known to be of a sender: a login, an address or a domain, lower case."""

    __tablename__ = "sender_match"

    match: str = Field(primary_key=True)
    sender: str = Field(index=True)


class Campaign(SQLModel, table=True):
    """A campaign of a sender; its mail names it as the extension of the sender's address."""

    __tablename__ = "campaign"

    name: str = Field(primary_key=True)
    sender: str = Field(index=True)
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
    finished_at: dt.datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="When it was declared over; a pause of it holds since then."
    )


class MailPause(SQLModel, table=True):
    """What an operator has paused; the row of all mail has an empty name."""

    __tablename__ = "mail_pause"

    scope: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    reason: str = ""
    who: str = Field(default="", description="Name of the token that paused it for this reason.")
    since: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
