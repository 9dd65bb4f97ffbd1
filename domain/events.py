"""One model for what every source reports about mail."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field, field_validator

from domain.replies import Class, classify
from domain.words import MailboxProvider, Severity


class Kind(StrEnum):
    """What happened. Only some kinds are counted, see :data:`COUNTED`."""

    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    BLOCKED = "blocked"
    FAILED = "failed"
    DEFERRED = "deferred"
    COMPLAINED = "complained"
    DROPPED = "dropped"
    OPENED = "opened"
    REPLIED = "replied"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    ALERT = "alert"


#: Which sum a kind adds to. Dropped before sending and soft failures add to none (POLICY).
COUNTED = {
    Kind.SENT: "attempted",
    Kind.DELIVERED: "delivered",
    Kind.BOUNCED: "bounced",
    Kind.BLOCKED: "blocked",
    Kind.DEFERRED: "deferred",
    Kind.COMPLAINED: "complained",
    Kind.OPENED: "opened",
    Kind.REPLIED: "replied",
}
#: Kinds that count once a recipient of a message, however often they are reported.
_ONCE = frozenset({Kind.DEFERRED, Kind.COMPLAINED, Kind.OPENED, Kind.REPLIED})
#: Kinds booked when they happen: reading mail is measured against the mail of the same days.
_BOOKED_AS_SEEN = frozenset({Kind.OPENED, Kind.REPLIED, Kind.CLICKED, Kind.UNSUBSCRIBED, Kind.ALERT})


#: End of the year 9999, the last instant a calendar can show.
MAX_MS = 253_402_300_799_000


class MailEvent(BaseModel):
    """One thing that happened to one recipient of a mail, or an alert about an IP."""

    source: str
    event_id: str = Field(
        min_length=1, description="The source's own id; the same twice counts once."
    )
    kind: Kind
    address: str = Field(
        "", description="Sending IP, empty if the source does not say."
    )
    provider: MailboxProvider = MailboxProvider.OTHER
    at_ms: int = Field(
        ge=0, le=MAX_MS, description="When it happened, epoch milliseconds."
    )
    sent_ms: int | None = Field(
        None, description="When the mail was sent, for complaints."
    )
    recipient: str = ""
    message_id: str = ""
    detail: str = Field("", description="Reply or alert in the source's words.")
    severity: Severity = Severity.INFO

    @field_validator("event_id", "recipient", "message_id", "detail", mode="after")
    @classmethod
    def storable(cls, value: str) -> str:
        """Without what no database can store as text: NUL and halves of surrogate pairs."""
        return value.replace("\0", "").encode("utf-8", "replace").decode()

    def once_key(self) -> str:
        """The key that duplicates share: deferrals, complaints, opens count once a recipient of a message."""
        if (
            self.kind in _ONCE
            and self.message_id
            and self.recipient
        ):
            return f"{self.kind}:{self.message_id}:{self.recipient}"
        return self.event_id

    @property
    def booked_ms(self) -> int:
        """The instant whose day this counts on: the sending of the mail where the source says it.

        A day's cap counts attempts of that day, so their outcomes are of that day too, whenever they come.
        """
        return self.at_ms if self.kind in _BOOKED_AS_SEEN or self.sent_ms is None else self.sent_ms

    @property
    def limits_rate(self) -> bool:
        """Whether a deferral is about the rate or the standing of the sending IP, not of the message or domain."""
        return self.kind is Kind.DEFERRED and bool(self.detail) and classify(self.detail, self.provider).ip_event

    @property
    def stops_mail(self) -> bool:
        """Whether the IP must stop at once: a critical alert, or a reply that blocks the IP."""
        critical = self.kind is Kind.ALERT and self.severity is Severity.CRITICAL
        return bool(self.address) and (critical or self.kind is Kind.BLOCKED)


def failure_kind(text: str, provider: str | None = None) -> Kind:
    """Kind of a permanent failure from the remote reply: a dead address, a blocked IP, or neither.

    Never from another system's label alone: of permanent failures most are blocks, full mailboxes and policy.
    """
    reply = classify(text, provider)
    if reply.class_ is Class.IP_BLOCKED:
        return Kind.BLOCKED
    return Kind.BOUNCED if reply.hard else Kind.FAILED


def deferral_kind(text: str, provider: str | None = None) -> Kind:
    """Kind of a temporary failure: a block of the IP can come with a 4xx (Yahoo TS03), all others are deferrals."""
    return Kind.BLOCKED if classify(text, provider).class_ is Class.IP_BLOCKED else Kind.DEFERRED
