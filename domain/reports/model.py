"""What a report by mail says, whatever format it came in."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from domain.replies import Reply


class Format(StrEnum):
    """What kind of mail it was. Only the first three report on mail that was sent."""

    DSN = "dsn"
    BOUNCE = "bounce"
    ARF = "arf"
    AUTO_REPLY = "autoreply"
    RECEIPT = "receipt"
    OTHER = "other"
    UNREADABLE = "unreadable"


class Action(StrEnum):
    """What happened to a recipient (RFC 3464, 2.3.3). Only ``failed`` is final and bad."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Outcome(BaseModel):
    """What a report says of one recipient."""

    model_config = ConfigDict(frozen=True)

    recipient: str = Field(description="The final recipient, in lower case; empty when the report names none.")
    original: str = Field("", description="The recipient as it was addressed, if told.")
    action: Action
    text: str = Field("", description="The reply in the reporter's words.")
    reply: Reply
    at: str = Field("", description="When it was tried last, as the report writes it.")


class Original(BaseModel):
    """What is known of the mail that the report is about."""

    model_config = ConfigDict(frozen=True)

    message_id: str = ""
    sender: str = Field("", description="Envelope sender, if told.")
    date: str = Field("", description="Date header as written: when it was sent.")
    source: str = Field("", description="Value of X-Warmpath-Source.")
    recipient: str = Field("", description="Whom it was for, as its headers tell; in lower case.")
    received: str = Field("", description="Topmost Received header: how the reporter got it.")


class Feedback(BaseModel):
    """A report of a recipient's opinion (RFC 5965, RFC 6591)."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="Feedback-Type in lower case; empty when missing.")
    complaint: bool = Field(description="Whether it counts as a complaint.")
    source_ip: str = ""
    arrival: str = Field("", description="Arrival-Date or Received-Date: when the mail was taken.")
    reported_domain: str = ""
    sender: str = Field("", description="Envelope sender of the mail; may be a VERP address.")
    message_id: str = Field("", description="Of the mail, where the report tells it beside the mail's own headers.")


class Report(BaseModel):
    """One mail that came back."""

    model_config = ConfigDict(frozen=True)

    format: Format
    message_id: str = Field("", description="Of the report itself.")
    to: str = Field("", description="Where the report was sent: may be a VERP address.")
    date: str = ""
    original: Original = Original()
    queue_id: str = Field("", description="Of the mail that came back, at a Postfix that reports.")
    outcomes: tuple[Outcome, ...] = ()
    feedback: Feedback | None = None
    reason: str = Field("", description="Why it is unreadable.")
    recipients: tuple[str, ...] = Field((), description="Of a feedback report: who complained.")
