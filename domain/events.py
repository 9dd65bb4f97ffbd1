"""One model for what every source reports about mail."""

from __future__ import annotations

import re
from enum import StrEnum

from pydantic import BaseModel, Field, field_validator

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
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    ALERT = "alert"


#: Which sum a kind adds to. Dropped before sending, soft failures and opens add to none (POLICY).
COUNTED = {
    Kind.SENT: "attempted",
    Kind.DELIVERED: "delivered",
    Kind.BOUNCED: "bounced",
    Kind.BLOCKED: "blocked",
    Kind.DEFERRED: "deferred",
    Kind.COMPLAINED: "complained",
}


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
        """The key that duplicates share: deferrals and complaints count once a recipient of a message."""
        if (
            self.kind in (Kind.DEFERRED, Kind.COMPLAINED)
            and self.message_id
            and self.recipient
        ):
            return f"{self.kind}:{self.message_id}:{self.recipient}"
        return self.event_id

    @property
    def stops_mail(self) -> bool:
        """Whether the IP must stop at once: a critical alert, or a reply that blocks the IP."""
        critical = self.kind is Kind.ALERT and self.severity is Severity.CRITICAL
        return bool(self.address) and (critical or self.kind is Kind.BLOCKED)


#: Replies about the sending IP or its netblock (POLICY, SMTP replies).
_IP_BLOCK = re.compile(
    r"reputation of the sending ip|\b4\.7\.65[01]\b|\bS3140\b|\bS3150\b|\bRP-00\d|\b5\.7\.6(0[6-9]|[1-4]\d)\b|"
    r"\b5\.7\.511\b|\bTSS?0[349]\b|\bTSS11\b|\bBL2[13]\b|"
    r"(client|sending|your) (host|ip( address)?)\b.{0,60}\b(blocked|blacklisted|blocklisted|listed)",
    re.IGNORECASE,
)
#: Replies whose fault is the receiver's own DNS, or set-up of the sender, not the IP's reputation.
_NOT_IP = re.compile(
    r"query refused|open resolver|\b5\.7\.513\b|\b5\.4\.1\b|\bPH01\b|\bCS01\b|\bHM08\b|\bS800[12]\b|"
    r"\b4\.7\.23\b|\b5\.7\.25\b|\b5\.7\.515\b",
    re.IGNORECASE,
)
_DEAD_ADDRESS = re.compile(
    r"\b5\.1\.(1|2|3|6|10)\b|user unknown|unknown (user|recipient)|no such (user|recipient|mailbox)|"
    r"(mailbox|recipient|user|account|address)( address)? (does not exist|not found|unknown|rejected: user)",
    re.IGNORECASE,
)


def failure_kind(text: str) -> Kind:
    """Kind of a permanent failure from the remote reply: a dead address, a blocked IP, or neither.

    Never from another system's label alone: of permanent failures most are blocks, full mailboxes and policy.
    """
    if not _NOT_IP.search(text) and _IP_BLOCK.search(text):
        return Kind.BLOCKED
    return Kind.BOUNCED if _DEAD_ADDRESS.search(text) else Kind.FAILED
