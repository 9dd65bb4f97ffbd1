"""The way in for Postfix's log: its file is followed, and what it says becomes the events that webhooks make."""

from __future__ import annotations

from api.webhooks.reading import unreadable
from domain import postfix_log
from domain.events import MailEvent


def normalise(body: bytes, now: float) -> list[MailEvent]:
    """Events of a log or a piece of it; whose mail it is stands in the store and is left out.

    Raises:
        Rejected: it is no log of a mail system.
    """
    clock = postfix_log.Clock(None, int(now * 1000))
    lines = body.splitlines()
    if not any(postfix_log.read(line.decode("utf-8", "replace"), clock) for line in lines):
        raise unreadable("No line is one of a mail system's log: TIME HOST SERVICE[PROCESS]: QUEUE-ID: ...")
    return postfix_log.events(lines, postfix_log.Mails(), postfix_log.Clock(None, int(now * 1000)))
