"""One line of Postfix's log, taken apart as far as every service writes it alike."""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.postfix_log.clock import Clock
from domain.routing import address_of

#: Longer lines are cut; Postfix writes none of this length, and no input may cost more.
LONGEST = 20_000

#: What syslog daemons, postlogd and the journal put in front: perhaps a priority, a stamp, host, program and process.
_LINE = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r" (?P<host>\S{1,255}) (?P<service>[^\s\[\]]{1,200})\[\d{1,10}\]:? (?P<queue_id>[0-9A-Za-z]{6,30}): (?P<said>.*)"
)

#: The same as RFC 5424 has it: version, stamp, host, program, process, message id, structured data.
_RFC_5424 = re.compile(
    r"(?:<\d{1,3}>)?[1-9]\d? (?P<stamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) "
    r"(?P<host>\S{1,255}) (?P<service>[^\s\[\]]{1,200}) \S{1,128} \S{1,32} (?:-|(?:\[(?:[^\]\\]|\\.){0,1000}\])+) "
    r"\ufeff?(?P<queue_id>[0-9A-Za-z]{6,30}): (?P<said>.*)"
)

#: Any line of a log with times and processes, about a message or not.
_OF_A_LOG = re.compile(
    r"(?:<\d{1,3}>)?(?:[1-9]\d? )?(?:\d{4}-\d\d-\d\d[T ]|[A-Z][a-z]{2} [ \d]\d )\d\d:\d\d:\d\d\S{0,40} \S{1,255} \S"
)


@dataclass(frozen=True, slots=True)
class Line:
    """What a service says of one message.

    Attributes:
        at_ms: when, epoch milliseconds; the start of the second where the stamp has only seconds (``whole``).
        service: the last part of the program's name: ``smtp``, ``qmgr``, ``cleanup``.
        address: the IP whose transport it is; empty for every other service.
    """

    at_ms: int
    whole: bool
    host: str
    service: str
    address: str
    queue_id: str
    said: str


def read(text: str, clock: Clock) -> Line | None:
    """A line without its end; None for one that is not about a message, or not of a mail system at all."""
    found = _LINE.match(text[:LONGEST]) or _RFC_5424.match(text[:LONGEST])
    if found is None:
        return None
    at_ms = clock.read(found["stamp"])
    if at_ms is None:
        return None
    *before, service = found["service"].split("/")
    address = address_of(before[-1]) if before else ""
    return Line(at_ms, "." not in found["stamp"], found["host"], service, address, found["queue_id"], found["said"])


def of_a_log(text: str) -> bool:
    """Whether a line is one of a log that could be read, whatever it says: it has a time, a host and a program."""
    return _OF_A_LOG.match(text[:LONGEST]) is not None
