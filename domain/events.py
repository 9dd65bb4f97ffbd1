"""One model for what every source reports about mail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
    UNKNOWN = "unknown"


#: Which sum a kind adds to. Dropped before sending, auto-replies and reports that are no complaints
#: (``feedback``) add to none: this project's rule.
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

#: Kinds that may stop mail.
ACTING = frozenset({Kind.BLOCKED, Kind.ALERT})
#: Kinds of a monitor: they are about an IP, not about a mail.
ALERTS = frozenset({Kind.ALERT, Kind.RESOLVED})

#: Kinds whose words are a mail server's reply.
REPLIES = frozenset({Kind.BOUNCED, Kind.BLOCKED, Kind.FAILED, Kind.DEFERRED})

#: What went well needs no reply kept: these are nearly all of the mail.
WITHOUT_DETAIL = frozenset({Kind.SENT, Kind.DELIVERED, Kind.OPENED, Kind.CLICKED})

#: Kinds that count once a recipient of a message, however often they are told.
_ONCE_A_MAIL = frozenset({Kind.DEFERRED, Kind.COMPLAINED, Kind.OPENED, Kind.REPLIED})
#: Kinds booked when they happen: reading mail is measured against the mail of the same days.
_BOOKED_AS_SEEN = frozenset({Kind.OPENED, Kind.REPLIED, Kind.CLICKED, Kind.UNSUBSCRIBED, Kind.ALERT})

#: End of the year 9999, the last instant a calendar can show.
MAX_MS = 253_402_300_799_000


@dataclass(slots=True, frozen=True)
class Sought:
    """What a report by mail tells of the mail it is about, as long as no source has told of that mail.

    Attributes:
        names: that the recipient may have, the likeliest first.
        alone: the report is about nobody else.
        queue_id: of the mail at the Postfix that reports.
    """

    names: tuple[str, ...]
    alone: bool
    queue_id: str = ""


@dataclass(slots=True)
class MailEvent:
    """One thing that happened to one recipient of a mail, or an alert about an IP.

    A plain class, not a validated model: sources check what they read, and this is the hot way in. Name the fields of
    a new one, but for where ten thousand a second are made: names take twice the time of the rest.

    Attributes:
        event_id: the source's own id; the same twice counts once.
        address: sending IP in canonical form, empty if the source does not say.
        at_ms: when it happened, epoch milliseconds.
        sent_ms: when the mail was sent, for complaints; None when the source does not say.
        detail: reply or alert in the source's words.
        reply_class: what the reply was read as.
        local: the sending mail system made it up, no receiver said it: counted nowhere.
        hearsay: anybody could have told it: it stops no mail and slows no IP by itself.
        bound_address: address that the mail system bound to, where that is all it knows; behind NAT it is
            not the public one.
        once: key that replaces ``event_id`` where the source's id changes between two tries.
        candidates: how many recipients a complaint may be of, where nobody knows of whom: it counts once a report, and
            all reports together no more often than there are candidates.
        sought: the mail it is about, where that is sought among those of all sources and not found yet.
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
    local: bool = False
    bound_address: str = ""
    severity: Severity = Severity.INFO
    once: str = ""
    hearsay: bool = False
    candidates: int = 0
    sought: Sought | None = None

    def once_key(self) -> str:
        """The key that duplicates share: deferrals, complaints, opens count once a recipient of a message."""
        kind = self.kind
        if kind in _ONCE_A_MAIL and self.message_id and self.recipient and not self.candidates:
            # A wait that the mail system made up must not hide the receiver's own later one.
            told = f"local {kind}" if self.local else kind
            return f"{told}:{self.message_id}:{self.recipient}"
        return self.once or self.event_id

    @property
    def counted(self) -> str | None:
        """The sum this adds to, None for none."""
        return None if self.local else COUNTED.get(self.kind)

    @property
    def booked_ms(self) -> int:
        """The instant whose day this counts on: the sending of the mail where the source says it.

        A day's cap counts attempts of that day, so their outcomes are of that day too, whenever they come.
        """
        return self.at_ms if self.sent_ms is None or self.kind in _BOOKED_AS_SEEN else self.sent_ms

    @property
    def limits_rate(self) -> bool:
        """Whether a deferral is about the rate or the standing of the sending IP, not of the message or domain."""
        if self.kind is not Kind.DEFERRED or self.hearsay or not self.detail:
            return False
        return classify(self.detail, self.provider).ip_event

    @property
    def stops_mail(self) -> bool:
        """Whether the IP must stop at once: a critical alert, or a reply that blocks the IP."""
        if self.kind not in ACTING:
            return False
        critical = self.kind is Kind.ALERT and self.severity is Severity.CRITICAL
        blocked = self.kind is Kind.BLOCKED and not self.local and not self.hearsay
        return bool(self.address) and (critical or blocked)


def storable(value: str) -> str:
    """Text without what no database can store: NUL and halves of surrogate pairs."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()


@dataclass(slots=True, frozen=True)
class Judged:
    """What a failure is, by its reply."""

    kind: Kind
    reply_class: str = ""
    local: bool = False


def failure(text: str, provider: str | None = None, *, local: bool = False) -> Judged:
    """A permanent failure: a dead address, a blocked IP, or neither.

    Never from another system's label alone: of permanent failures most are blocks, full mailboxes and policy.

    Args:
        local: the source says that its own mail system made the words up.
    """
    if local:
        return Judged(Kind.FAILED, Class.LOCAL.value, True)
    reply = classify(text, provider)
    kind = Kind.BOUNCED if reply.hard else Kind.FAILED
    if not reply.remote:
        kind = Kind.FAILED
    elif reply.class_ is Class.IP_BLOCKED:
        kind = Kind.BLOCKED
    return Judged(kind, reply.class_.value if text else "", not reply.remote)


def deferral(text: str, provider: str | None = None, *, local: bool = False) -> Judged:
    """A temporary failure: a block of the IP can come with a 4xx (Yahoo TS03), all others are deferrals."""
    if local:
        return Judged(Kind.DEFERRED, Class.LOCAL.value, True)
    reply = classify(text, provider)
    blocked = reply.remote and reply.class_ is Class.IP_BLOCKED
    return Judged(Kind.BLOCKED if blocked else Kind.DEFERRED, reply.class_.value if text else "", not reply.remote)
