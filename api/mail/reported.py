"""From a report to events: whose mail it was, what happened, when, on which day it counts."""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import ipaddress
import re
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from api.webhooks.reading import unreadable
from domain import mailbox, reports
from domain.events import Kind, MailEvent, Sought
from domain.reports import Action, Outcome, Report
from domain.reports.counting import feedback_kind, outcome_kind
from domain.words import MailboxProvider
from store import mailed

SOURCE = "mail"

#: VERP: `anything+user=example.org@bounces.example.com`, or with a minus.
_VERP = re.compile(r"^[^@]*?[+-](?P<user>[^@=]{1,64})=(?P<domain>[a-z0-9.-]{1,255})@", re.IGNORECASE)
_SOURCE_IP = re.compile(r"^\s*(?:ip=)?\[?([0-9a-fA-F.:]{2,45})\]?\s*(?:;|$)")


@dataclass(frozen=True)
class Told:
    """One thing that a report says, before it is known which mail of ours it is about."""

    kind: Kind
    recipients: tuple[str, ...]
    detail: str
    provider: str
    at: str
    event_id: str
    reply_class: str = ""
    local: bool = False
    final: bool = True
    candidates: int = 0


def verp(address: str) -> str:
    """The recipient that a VERP address carries, in lower case; empty when it carries none."""
    found = _VERP.match(address)
    return f"{found['user']}@{found['domain']}".lower() if found else ""


def told(report: Report, raw: bytes, sent_to: str) -> list[Told]:
    """What a report says of each recipient; nothing for what counts as nothing.

    Args:
        raw: the mail, for an id when it has no Message-ID.
        sent_to: the address the report was sent to; may be a VERP address.
    """
    carried = verp(sent_to) or verp(report.to) or verp(report.original.sender)
    own_id = report.message_id or hashlib.sha256(raw).hexdigest()
    found = [_outcome(one, carried, own_id, report.date) for one in report.outcomes]
    if report.feedback is not None and feedback_kind(report.feedback) in tuple(Kind):
        kind, whom = Kind(feedback_kind(report.feedback)), report.recipients
        # One report is one complaint: of several who are listed nobody knows who, but by the address it came to.
        candidates = len(whom) if len(whom) > 1 and carried not in whom else 0
        whom = (carried, *whom) if len(whom) > 1 else (*whom, carried)
        known = tuple(dict.fromkeys(one for one in whom if one))
        detail = f"feedback report: {report.feedback.type}"
        event_id = _event_id(own_id, next(iter(report.recipients), carried))
        found.append(Told(kind, known, detail, "", report.date, event_id, candidates=candidates))
    return [one for one in found if one is not None]


def _outcome(one: Outcome, carried: str, own_id: str, date: str) -> Told | None:
    word = outcome_kind(one)
    if word not in tuple(Kind) or word == Kind.DELIVERED:
        return None
    known = tuple(dict.fromkeys(name for name in (one.original, carried, one.recipient) if name))
    event_id = _event_id(own_id, one.recipient or carried)
    reply_class, local = one.reply.class_.value, not one.reply.remote
    return Told(
        Kind(word),
        known,
        one.text,
        one.reply.provider,
        one.at or date,
        event_id,
        reply_class,
        local,
        one.action is Action.FAILED,
    )


def _event_id(own_id: str, recipient: str) -> str:
    return hashlib.sha256(f"{own_id}\n{recipient}".encode("utf-8", "replace")).hexdigest()


async def events(
    session: AsyncSession, report: Report, raw: bytes, *, sent_to: str = "", now_ms: int, trust: bool
) -> list[MailEvent]:
    """Events of a report.

    The sending IP is that of the mail with the same Message-ID and recipient. Anybody can write a mail that looks
    like a report: the IP that the report itself names is taken only with ``trust``, and without either the event
    has no IP and counts into no sum. Without ``trust`` a refusal of the IP is a failure like any other: a report that
    is known by its Message-ID comes from whoever holds the mail, and must not stop an IP.

    What a Postfix of ours reports, whose log is followed, is in that log, too: it makes no event here.

    Args:
        sent_to: the address the report was sent to.
        now_ms: epoch milliseconds; nothing is booked later than now.
        trust: whether only mail systems of ours can reach this way in.
    """
    found: list[MailEvent] = []
    if await mailed.logged(session, report.original.message_id, report.queue_id):
        return found
    said = told(report, raw, sent_to)
    for one in said:
        mail = await mailed.find(session, report.original.message_id, one.recipients, alone=len(said) == 1)
        event = _event(one, report, mail, now_ms=now_ms, trust=trust)
        if mail is None and event.message_id:
            event.sought = Sought(one.recipients, alone=len(said) == 1, queue_id=report.queue_id)
        found.append(event)
    return found


def normalise(raw: bytes, now: float) -> list[MailEvent]:
    """Events of a mail about mails that nobody knows: what an operator asks about from a shell.

    The IP is the one that the report names, which the way in believes only with ``reports_trusted``.

    Raises:
        Rejected: it is no mail, or a report without its facts.
    """
    report = reports.read(raw)
    if report.reason:
        raise unreadable(f"The body {report.reason}.")
    now_ms = int(now * 1000)
    return [_event(one, report, None, now_ms=now_ms, trust=True) for one in told(report, raw, "")]


def _event(one: Told, report: Report, mail: mailed.Mailed | None, *, now_ms: int, trust: bool) -> MailEvent:
    recipient = mail.recipient if mail else next(iter(one.recipients), "")
    kind, hearsay = one.kind, not trust and one.kind in (Kind.BLOCKED, Kind.DEFERRED)
    if hearsay:
        # Whoever was written to can write such a report: its words are kept, and stop or slow no IP.
        kind = Kind.FAILED if one.final else Kind.DEFERRED
    return MailEvent(
        source=SOURCE,
        event_id=one.event_id,
        kind=kind,
        hearsay=hearsay,
        address=mail.address if mail else (_named_ip(report) if trust else ""),
        sender=mail.sender if mail else "",
        campaign=mail.campaign if mail else "",
        provider=_provider(recipient, one.provider),
        at_ms=_moment(one.at, now_ms) or now_ms,
        sent_ms=mail.sent_ms if mail else _sent(report, now_ms),
        recipient=recipient,
        message_id=mail.message_id if mail else report.original.message_id,
        detail=one.detail,
        reply_class=one.reply_class,
        local=one.local,
        candidates=one.candidates,
    )


def _sent(report: Report, now_ms: int) -> int | None:
    """When the mail was sent, as far as the report knows: reporters that leave its date out tell when it arrived."""
    arrived = report.feedback.arrival if report.feedback else ""
    return _moment(report.original.date, now_ms) or _moment(arrived, now_ms)


def _provider(recipient: str, spoken: str) -> MailboxProvider:
    by_domain = mailbox.by_recipient(recipient)
    if by_domain is MailboxProvider.OTHER and spoken in tuple(MailboxProvider):
        return MailboxProvider(spoken)
    return by_domain


def _named_ip(report: Report) -> str:
    """The IP that the report or the returned mail names: X-Warmpath-Source, then Source-IP."""
    written = _SOURCE_IP.match(report.original.source)
    for value in (written[1] if written else "", report.feedback.source_ip if report.feedback else ""):
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            continue
    return ""


def _moment(written: str, now_ms: int) -> int | None:
    """Epoch milliseconds of a date header, at most now; None when it is no date."""
    try:
        moment = email.utils.parsedate_to_datetime(written)
        at = int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(at, now_ms) if at > 0 else None
