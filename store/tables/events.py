"""What happened to mail: a key for each event seen, the event itself for some time, and sums by slice of time."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

#: A number that the database counts up; SQLite only does so for its own type.
_COUNTED_UP = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class EventKey(SQLModel, table=True):
    """An event that was seen: the same again is refused for as long as this row is kept."""

    __tablename__ = "event_key"
    __table_args__ = ({"sqlite_with_rowid": False},)

    source: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    received_us: int = Field(
        sa_type=sa.BigInteger, description="When it was stored, epoch microseconds; one value a transaction."
    )


class MailEvent(SQLModel, table=True):
    """One event, kept for some days for look-ups."""

    __tablename__ = "mail_event"
    __table_args__ = (
        # A complaint or a late bounce names the mail, not the IP nor the day it was sent on.
        sa.Index(
            "ix_mail_event_message",
            "message_id",
            sqlite_where=sa.text("kind IN ('sent', 'delivered') AND message_id <> ''"),
            postgresql_where=sa.text("kind IN ('sent', 'delivered') AND message_id <> ''"),
        ),
        sa.Index(
            "ix_mail_event_reply",
            "address",
            "at_ms",
            sqlite_where=sa.text("detail <> ''"),
            postgresql_where=sa.text("detail <> ''"),
        ),
        sa.Index("ix_mail_event_received", "received_day"),
    )

    id: int | None = Field(default=None, sa_column=sa.Column(_COUNTED_UP, primary_key=True))
    source: str
    event_id: str
    kind: str
    address: str = Field(default="", description="Sending IP; empty when the source did not name it.")
    provider: str
    sender: str = ""
    campaign: str = ""
    at_ms: int = Field(sa_type=sa.BigInteger)
    received_day: int = Field(default=0, description="Days since 1970 when it was stored.")
    recipient: str = ""
    message_id: str = ""
    detail: str = Field(default="", description="The reply or alert in words; empty for what went well.")
    reply_class: str = Field(default="", description="What the reply was read as.")


class UnplacedEvent(SQLModel, table=True):
    """An event of which more may be known once events of its mail come (``store/events_placing.py``)."""

    __tablename__ = "unplaced_event"
    __table_args__ = ({"sqlite_with_rowid": False},)

    source: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True, description="Its key in ``event_key``.")
    told: str = Field(description="The event as its source told it.")
    booked: str = Field(default="", description="As it is counted now; empty: as it was told.")
    since_ms: int = Field(sa_type=sa.BigInteger, description="When it was stored.")
    due_ms: int = Field(sa_type=sa.BigInteger, index=True, description="When its mail is looked for again.")


class StrayEvent(SQLModel, table=True):
    """A dead letter: what a source told, how often, and what is odd about it (``store/strays.py``)."""

    __tablename__ = "stray_event"
    __table_args__ = ({"sqlite_with_rowid": False},)

    source: str = Field(primary_key=True)
    why: str = Field(primary_key=True)
    name: str = Field(primary_key=True, description="The type of the events, or the IP that they are about.")
    count: int = 0
    first_ms: int = Field(sa_type=sa.BigInteger)
    last_ms: int = Field(sa_type=sa.BigInteger)


class Figure(SQLModel, table=True):
    """Sums of one address, provider, sender and campaign in a slice, or in a day once slices were rolled up.

    A slice is a 96th of a day (15 minutes of a real one); a rolled-up row stands at the start of its day.
    """

    __tablename__ = "figure"
    __table_args__ = ({"sqlite_with_rowid": False},)

    address: str = Field(primary_key=True)
    slice_ms: int = Field(primary_key=True, sa_type=sa.BigInteger)
    provider: str = Field(primary_key=True)
    sender: str = Field(default="", primary_key=True)
    campaign: str = Field(default="", primary_key=True)
    attempted: int = 0
    delivered: int = 0
    bounced: int = 0
    blocked: int = 0
    failed: int = 0
    deferred: int = 0
    complained: int = 0
    limited: int = 0
    opened: int = 0
    replied: int = 0


class ReplyText(SQLModel, table=True):
    """A reply without what differs from mail to mail, and one of those that it stands for."""

    __tablename__ = "reply_text"

    id: str = Field(primary_key=True, description="Digest of the template.")
    template: str
    example: str = Field(
        description="The first one seen, its mail addresses taken out: a template is too short to judge."
    )
    first_ms: int = Field(sa_type=sa.BigInteger, description="When the first one came, whatever is still counted.")
    last_day: int = Field(index=True, description="Days since 1970 of the last one seen.")


class ReplyCount(SQLModel, table=True):
    """How often a reply came on a day, by IP, provider, sender and campaign; it outlives the events."""

    __tablename__ = "reply_count"
    __table_args__ = (sa.Index("ix_reply_count_day", "day"), {"sqlite_with_rowid": False})

    reply: str = Field(primary_key=True, description="Id of the text.")
    day: int = Field(primary_key=True, description="Days since 1970.")
    address: str = Field(default="", primary_key=True)
    provider: str = Field(primary_key=True)
    sender: str = Field(default="", primary_key=True)
    campaign: str = Field(default="", primary_key=True)
    count: int
    first_ms: int = Field(sa_type=sa.BigInteger)
    last_ms: int = Field(sa_type=sa.BigInteger)


class ReplyPart(SQLModel, table=True):
    """Sums of ``ReplyCount`` by a day and one of its columns, so that a month of many IPs is read at once."""

    __tablename__ = "reply_part"
    __table_args__ = (sa.Index("ix_reply_part_day", "day"), {"sqlite_with_rowid": False})

    part: str = Field(
        primary_key=True, description="What the name is: `ip`, `provider`, `sender`, `campaign`; empty: of all."
    )
    reply: str = Field(primary_key=True, description="Id of the text.")
    day: int = Field(primary_key=True, description="Days since 1970.")
    name: str = Field(default="", primary_key=True)
    count: int
    last_ms: int = Field(sa_type=sa.BigInteger)
