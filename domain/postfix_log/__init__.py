"""Postfix's log as a source of events: what its deliveries by the transports of our IPs came to.

Only lines of these transports (``domain/routing.py`` names them) are events: their ``syslog_name`` carries the IP.
Lines of other services tell whose mail a queue id is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.events import MailEvent
from domain.postfix_log.clock import Clock
from domain.postfix_log.lines import Line, of_a_log, read
from domain.postfix_log.mails import SOURCE, Mail, Mails, Wait

__all__ = ["SOURCE", "Clock", "Line", "Mail", "Mails", "Tally", "Wait", "events", "read"]


@dataclass
class Tally:
    """Lines that were read; those that no log has, or about a recipient and not understood; the time of the last."""

    lines: int = 0
    unread: int = 0
    last_ms: int = 0


def events(lines: Iterable[bytes], mails: Mails, clock: Clock, tally: Tally | None = None) -> list[MailEvent]:
    """Events of some lines, in their order; lines that say nothing of a mail are passed over.

    Args:
        mails: what is known of the mails of earlier lines; learns from these.
        tally: counts them.
    """
    found: list[MailEvent] = []
    tally = Tally() if tally is None else tally
    before = mails.unread
    for raw in lines:
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        tally.lines += bool(text)
        line = read(text, clock)
        if line is not None:
            tally.last_ms = line.at_ms
            found += mails.read(line)
        elif text and not of_a_log(text):
            tally.unread += 1
    tally.unread += mails.unread - before
    return found
