"""Postfix's log as a source of events: what its deliveries by the transports of our IPs came to.

Only lines of these transports (``domain/routing.py`` names them) are events: their ``syslog_name`` carries the IP.
Lines of other services tell whose mail a queue id is.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.events import MailEvent
from domain.postfix_log.clock import Clock
from domain.postfix_log.lines import Line, read
from domain.postfix_log.mails import SOURCE, Mail, Mails, Wait

__all__ = ["SOURCE", "Clock", "Line", "Mail", "Mails", "Wait", "events", "read"]


def events(lines: Iterable[bytes], mails: Mails, clock: Clock) -> list[MailEvent]:
    """Events of some lines, in their order; lines that say nothing of a mail are passed over.

    Args:
        mails: what is known of the mails of earlier lines; learns from these.
    """
    found: list[MailEvent] = []
    for raw in lines:
        line = read(raw.decode("utf-8", "replace").rstrip("\r\n"), clock)
        if line is not None:
            found += mails.read(line)
    return found
