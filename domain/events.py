"""One model for what every source reports about mail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain.replies import Class, Reply, classify
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
    FEEDBACK = "feedback"
    DROPPED = "dropped"
    AUTOREPLY = "autoreply"
    OPENED = "opened"
    REPLIED = "replied"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIBED = "subscribed"
    ALERT = "alert"
    RESOLVED = "resolved"

    @property
    def acts(self) -> bool:
        """Whether an event of this kind may stop mail."""
        return self is Kind.BLOCKED or self is Kind.ALERT


#: Which sum a kind adds to. Dropped before sending, auto-replies and reports that are no complaints
#: (``feedback``) add to none (POLICY).
COUNTED = {
    Kind.SENT: "attempted",
    Kind.DELIVERED: "delivered",
    Kind.BOUNCED: "bounced",
    Kind.BLOCKED: "blocked",
    Kind.FAILED: "failed",
    Kind.DEFERRED: "deferred",
    Kind.COMPLAINED: "complained",
    Kind.OPENED: "opened",
    Kind.REPLIED: "replied",
}

#: The class of a reply that the sending mail system made up itself: no word of a receiver, counted nowhere.
LOCAL = "local"

#: What went well needs no reply kept: these are nearly all of the mail.
WITHOUT_DETAIL = frozenset({Kind.SENT, Kind.DELIVERED, Kind.OPENED, Kind.CLICKED})

#: Kinds that count once a recipient of a message, however often they are told.
_ONCE_A_MAIL = frozenset({Kind.DEFERRED, Kind.COMPLAINED, Kind.OPENED, Kind.REPLIED})
#: Kinds booked when they happen: reading mail is measured against the mail of the same days.
_BOOKED_AS_SEEN = frozenset({Kind.OPENED, Kind.REPLIED, Kind.CLICKED, Kind.UNSUBSCRIBED, Kind.ALERT})

#: End of the year 9999, the last instant a calendar can show.
MAX_MS = 253_402_300_799_000


@dataclass(slots=True, kw_only=True)
class MailEvent:
    """One thing that happened to one recipient of a mail, or an alert about an IP.

    A plain class, not a validated model: sources check what they read, and this is the hot way in.

    Attributes:
        event_id: the source's own id; the same twice counts once.
        address: sending IP in canonical form, empty if the source does not say.
        at_ms: when it happened, epoch milliseconds.
        sent_ms: when the mail was sent, for complaints; None when the source does not say.
        detail: reply or alert in the source's words.
        reply_class: what the reply was read as; :data:`LOCAL` when no receiver said it.
        once: key that replaces ``event_id`` where the source's id changes between two tries.
    """

    source: str
    event_id: str
    kind: Kind
    at_ms: int
    address: str = ""
    provider: MailboxProvider = MailboxProvider.OTHER
    sender: str = ""
    campaign: str = ""
    sent_ms: int | None = None
    recipient: str = ""
    message_id: str = ""
    detail: str = ""
    reply_class: str = ""
    severity: Severity = Severity.INFO
    once: str = ""

    def once_key(self) -> str:
        """The key that duplicates share: deferrals, complaints, opens count once a recipient of a message."""
        kind = self.kind
        if kind in _ONCE_A_MAIL and self.message_id and self.recipient:
            # A wait that the mail system made up must not hide the receiver's own later one.
            told = f"{LOCAL} {kind}" if self.reply_class == LOCAL else kind
            return f"{told}:{self.message_id}:{self.recipient}"
        return self.once or self.event_id

    @property
    def counted(self) -> str | None:
        """The sum this adds to, None for none."""
        return None if self.reply_class == LOCAL else COUNTED.get(self.kind)

    @property
    def booked_ms(self) -> int:
        """The instant whose day this counts on: the sending of the mail where the source says it.

        A day's cap counts attempts of that day, so their outcomes are of that day too, whenever they come.
        """
        return self.at_ms if self.sent_ms is None or self.kind in _BOOKED_AS_SEEN else self.sent_ms

    @property
    def limits_rate(self) -> bool:
        """Whether a deferral is about the rate or the standing of the sending IP, not of the message or domain."""
        return self.kind is Kind.DEFERRED and bool(self.detail) and classify(self.detail, self.provider).ip_event

    @property
    def stops_mail(self) -> bool:
        """Whether the IP must stop at once: a critical alert, or a reply that blocks the IP."""
        critical = self.kind is Kind.ALERT and self.severity is Severity.CRITICAL
        blocked = self.kind is Kind.BLOCKED and self.reply_class != LOCAL
        return bool(self.address) and (critical or blocked)


def storable(value: str) -> str:
    """Text without what no database can store: NUL and halves of surrogate pairs."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def failure(text: str, provider: str | None = None) -> tuple[Kind, str]:
    """Kind and reply class of a permanent failure: a dead address, a blocked IP, or neither.

    Never from another system's label alone: of permanent failures most are blocks, full mailboxes and policy.
    What the sending mail system made up is a failure that counts nowhere.
    """
    reply = classify(text, provider)
    if not reply.remote:
        return Kind.FAILED, LOCAL
    if reply.class_ is Class.IP_BLOCKED:
        return Kind.BLOCKED, _class(reply, text)
    return Kind.BOUNCED if reply.hard else Kind.FAILED, _class(reply, text)


def deferral(text: str, provider: str | None = None) -> tuple[Kind, str]:
    """Kind and reply class of a temporary failure: a block of the IP can come with a 4xx (Yahoo TS03)."""
    reply = classify(text, provider)
    if not reply.remote:
        return Kind.DEFERRED, LOCAL
    return Kind.BLOCKED if reply.class_ is Class.IP_BLOCKED else Kind.DEFERRED, _class(reply, text)


def _class(reply: Reply, text: str) -> str:
    return reply.class_.value if text else ""
