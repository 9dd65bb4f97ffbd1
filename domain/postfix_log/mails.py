"""Whose mail a queue id is, and what the lines about its recipients mean.

An event's id is made of the host, the queue id, the recipient and what happened: a log that is read twice, in part or
as a whole, makes the same events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from domain import mailbox
from domain.events import Judged, Kind, MailEvent, deferral, failure
from domain.postfix_log.lines import Line
from domain.replies import Class
from domain.routing import Routes
from domain.words import MailboxProvider

SOURCE = "postfix"

#: An address as Postfix writes it: what stands in quotes may hold anything.
_ANGLE = r"<((?:\"(?:\\.|[^\"\\])*+\"|[^\"<>])*+)>"
_DELIVERY = re.compile(
    rf"to={_ANGLE}, (?:orig_to={_ANGLE}, )?relay=([^,]*), (?:conn_use=\d+, )?delay=([\d.]{{1,15}}), delays=[\d./]+, "
    r"dsn=[\d.]+, status=(\w+)(?: \((.*?)\)?)?$"
)
_ACTIVE = re.compile(rf"from={_ANGLE}, size=(?:\d+, nrcpt=(\d{{1,9}}) )?")
#: What a host said before the next one was tried: the line names no recipient.
_REFUSED = re.compile(r"host ([A-Za-z0-9.-]{1,255})\[[^\]]*\] (?:said|refused to talk to me): ")
#: Hosts that one delivery tries: Postfix's `smtp_mx_address_limit`.
_HOSTS = 5
_EXPIRED = re.compile(rf"from={_ANGLE}, status=(?:force-)?expired, ")
_PICKED_UP = re.compile(rf"uid=\d+ from={_ANGLE}(?: orig_id=([0-9A-Za-z]+))?")
_LOGIN = re.compile(r", sasl_username=([^,\s]{1,320})")
_MESSAGE_ID = re.compile(r"message-id=(.{0,998})")
#: What `header_checks` log with INFO or WARN.
_HEADER = re.compile(r"(?:info|warning): header X-Warmpath-(Sender|Campaign): (.{0,100}) from \S+;", re.IGNORECASE)

#: How a text starts that quotes the other side; all others are Postfix's own words.
_QUOTES = re.compile(r"host \S+ (?:said|refused to talk to me): |SASL authentication failed; server \S+ said: ")
#: The host that a delivery failed at, when `relay=` names none.
_HOST = re.compile(r"(?:host|to|with|server) ([A-Za-z0-9.-]{1,255})\[")

#: Status to whether it is for good; `SOFTBOUNCE` is a refusal that `soft_bounce` keeps in the queue.
_FINAL = {"sent": True, "bounced": True, "deferred": False, "SOFTBOUNCE": False}


@dataclass(slots=True)
class Wait:
    """A recipient that is tried again: by which IP it was tried last (empty for none), since when it counts there."""

    address: str
    since_ms: int


@dataclass(slots=True)
class Mail:
    """A message in the queue.

    Attributes:
        sender, campaign: what its own headers name, where Postfix logs them.
        waiting: by recipient.
        recipients: how many it has; 0 when that was not told.
        refused: what hosts said before another one was tried: IP, when, the words.
        seen_ms: its last line.
    """

    login: str = ""
    mail_from: str = ""
    message_id: str = ""
    sender: str = ""
    campaign: str = ""
    waiting: dict[str, Wait] = field(default_factory=dict)
    recipients: int = 0
    refused: list[tuple[str, int, str]] = field(default_factory=list)
    seen_ms: int = 0


class Mails:
    """Messages in the queue by host and queue id, as far as the log told of them.

    Attributes:
        routes: tell whose mail it is, as they tell the gate.
        changed: keys of mails whose entry is another one than when this was last emptied.
        unread: lines about a recipient that were not understood.
    """

    def __init__(self, open_: dict[str, Mail] | None = None) -> None:
        self.open = {} if open_ is None else open_
        self.routes = Routes()
        self.changed: set[str] = set()
        self.unread = 0

    def read(self, line: Line) -> list[MailEvent]:
        """Events of one line; mostly none."""
        if line.address:
            return self._delivered(line) if line.service == "smtp" else []
        match line.service:
            case "smtpd":
                self._accepted(line)
            case "pickup":
                self._picked_up(line)
            case "cleanup":
                self._described(line)
            case "qmgr":
                return self._queued(line)
            case "error":
                self._kept(line)
        return []

    def forget(self, before_ms: int) -> None:
        """Forget mails whose last line is older: that they left the queue was not seen."""
        for key in [key for key, mail in self.open.items() if mail.seen_ms < before_ms]:
            self._remove(key)

    def _accepted(self, line: Line) -> None:
        if line.said.startswith("client=") and line.queue_id != "NOQUEUE":
            login = _LOGIN.search(line.said)
            self._put(line, Mail(login=login[1] if login else ""))

    def _picked_up(self, line: Line) -> None:
        found = _PICKED_UP.match(line.said)
        if found is None:
            return
        before = self._remove(f"{found[2]}@{line.host}") if found[2] else None
        mail = before or Mail()
        mail.mail_from = found[1]
        # Put back to be resolved anew, it is granted anew: what comes of it counts from its next try on.
        for wait in mail.waiting.values():
            wait.address = ""
        self._put(line, mail)

    def _described(self, line: Line) -> None:
        told, header = _MESSAGE_ID.match(line.said), _HEADER.match(line.said)
        if told:
            self._known(line).message_id = told[1].strip("<> ")
        elif header and header[1].lower() == "sender":
            self._known(line).sender = header[2].strip()
        elif header:
            self._known(line).campaign = header[2].strip()

    def _queued(self, line: Line) -> list[MailEvent]:
        if line.said == "removed":
            self._remove(_key(line))
        elif active := _ACTIVE.match(line.said):
            mail = self._known(line)
            mail.mail_from, mail.recipients = active[1], int(active[2] or 0)
        elif _EXPIRED.match(line.said):
            mail = self._known(line)
            waiting, mail.waiting = mail.waiting, {}
            return [self._expired(line, mail, *one) for one in waiting.items()]
        return []

    def _expired(self, line: Line, mail: Mail, recipient: str, wait: Wait) -> MailEvent:
        text = "expired: returned to sender"
        provider = mailbox.by_recipient(recipient)
        return self._event(line, mail, recipient, wait, provider, failure(text, local=True), text)

    def _kept(self, line: Line) -> None:
        """Postfix did not even try, for a pause or a cap: no IP has sent, and the next try counts from then on."""
        if found := _DELIVERY.match(line.said):
            self._known(line).waiting[found[1]] = Wait("", line.at_ms)

    def _delivered(self, line: Line) -> list[MailEvent]:
        if _REFUSED.match(line.said):
            mail = self._known(line)
            mail.refused = [*mail.refused, (line.address, line.at_ms, line.said)][-_HOSTS:]
            return []
        found = _DELIVERY.match(line.said)
        if found is None or found[5] not in _FINAL:
            self.unread += found is None and line.said.startswith("to=")
            return []
        recipient, relay, status, text = found[1], found[3], found[5], found[6] or ""
        host = relay.partition("[")[0]
        if host == "none":
            named = _HOST.search(text)
            host = named[1] if named else ""
        provider = mailbox.by_mx([host])
        if provider is MailboxProvider.OTHER:
            provider = mailbox.by_recipient(recipient)
        mail = self._known(line)
        before = mail.waiting.pop(recipient, None)
        again = before is not None and before.address == line.address
        wait = before if before is not None and again else self._first_try(line, before, found[4])
        if not _FINAL[status]:
            mail.waiting[recipient] = wait
        outcome = self._event(line, mail, recipient, wait, provider, _judged(status, text, provider), text)
        before_it = self._refused(line, mail, recipient, wait, outcome.kind)
        if again:
            return [*before_it, outcome]
        return [self._event(line, mail, recipient, wait, provider, Judged(Kind.SENT), ""), *before_it, outcome]

    def _refused(self, line: Line, mail: Mail, recipient: str, wait: Wait, outcome: Kind) -> list[MailEvent]:
        """What hosts said that were tried before, where the mail has one recipient: then it was about him.

        A deferral counts once a recipient, and then the last word stands for all.
        """
        refused, mail.refused = mail.refused, []
        if mail.recipients != 1:
            return []
        found = []
        for address, at_ms, said in refused:
            host = _REFUSED.match(said)
            provider = mailbox.by_mx([host[1] if host else ""])
            if provider is MailboxProvider.OTHER:
                provider = mailbox.by_recipient(recipient)
            judged = _judged("deferred", said, provider)
            if address == line.address and (judged.kind is Kind.BLOCKED or outcome is not Kind.DEFERRED):
                at = replace(line, at_ms=at_ms)
                found.append(self._event(at, mail, recipient, wait, provider, judged, said))
        return found

    @staticmethod
    def _first_try(line: Line, before: Wait | None, delay: str) -> Wait:
        """Since when the mail counts for the IP: its arrival, when the gate granted it; after another IP, this try.

        A stamp without a fraction is taken for the end of its second. At its start, what the first moment of a day was
        granted would count on the day before, whose cap may be used up.
        """
        if before is not None:
            return Wait(line.address, line.at_ms)
        try:
            waited_ms = int(float(delay) * 1000)
        except ValueError:
            waited_ms = 0
        return Wait(line.address, max(0, line.at_ms + 999 * line.whole - waited_ms))

    def _event(
        self, line: Line, mail: Mail, recipient: str, wait: Wait, provider: MailboxProvider, judged: Judged, text: str
    ) -> MailEvent:
        party = self.routes.party(mail.login, mail.mail_from)
        return MailEvent(
            source=SOURCE,
            event_id=" ".join((_key(line), *_what(judged, wait), recipient)),
            kind=judged.kind,
            at_ms=wait.since_ms if judged.kind is Kind.SENT else max(line.at_ms, wait.since_ms),
            sent_ms=wait.since_ms,
            address=wait.address,
            provider=provider,
            sender=mail.sender or (party.sender if party else None) or "",
            campaign=mail.campaign or (party.campaign if party else None) or "",
            recipient=recipient,
            message_id=mail.message_id,
            detail=text,
            reply_class=judged.reply_class,
            local=judged.local,
        )

    def _known(self, line: Line) -> Mail:
        """The entry of a line's mail, which is about to change."""
        mail = self.open.get(_key(line))
        if mail is None:
            return self._put(line, Mail())
        mail.seen_ms = line.at_ms
        self.changed.add(_key(line))
        return mail

    def _put(self, line: Line, mail: Mail) -> Mail:
        mail.seen_ms = line.at_ms
        self.open[_key(line)] = mail
        self.changed.add(_key(line))
        return mail

    def _remove(self, key: str) -> Mail | None:
        self.changed.add(key)
        return self.open.pop(key, None)


def _key(line: Line) -> str:
    return f"{line.queue_id}@{line.host}"


def _what(judged: Judged, wait: Wait) -> tuple[str, ...]:
    """What happens to a recipient of a message at most once, whatever is told how often."""
    if judged.kind is Kind.SENT or (judged.kind is Kind.BLOCKED and not judged.local):
        return (judged.kind, wait.address)
    if judged.kind is Kind.BOUNCED:
        return (Kind.FAILED,)
    return ("local", judged.kind) if judged.local else (judged.kind,)


def _judged(status: str, text: str, provider: MailboxProvider) -> Judged:
    if status == "sent":
        return Judged(Kind.DELIVERED)
    judge = failure if _FINAL[status] else deferral
    judged = judge(text, provider)
    # That a domain is not there is its owner's word, from DNS.
    remote = _QUOTES.match(text) or judged.reply_class == Class.UNKNOWN_DOMAIN
    return judged if judged.local or remote else judge(text, provider, local=True)
