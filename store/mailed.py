"""Which mail of ours a report is about: found by its Message-ID and recipient among the events of all sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

#: The literals are those of the index on message ids. A message goes to few recipients.
_FIND = sa.text(
    "SELECT address, at_ms, sender, campaign, message_id, recipient FROM mail_event "
    "WHERE message_id IN (:whole, :angled, :left) AND kind IN ('sent', 'delivered') AND message_id <> '' "
    "AND address <> '' ORDER BY at_ms LIMIT 100"
)


@dataclass(frozen=True)
class Mailed:
    """A mail that was sent: from which IP, when (epoch milliseconds), for whom."""

    address: str
    sent_ms: int
    sender: str
    campaign: str
    message_id: str
    recipient: str


#: The same, told by the log of a Postfix under one queue id (`domain/postfix_log/mails.py` makes the event's id).
_LOGGED = sa.text(
    "SELECT 1 FROM mail_event WHERE message_id IN (:whole, :angled, :left) AND kind IN ('sent', 'delivered') "
    "AND message_id <> '' AND source = 'postfix' AND event_id LIKE :under LIMIT 1"
)


async def logged(session: AsyncSession, message_id: str, queue_id: str) -> bool:
    """Whether a log told of a mail under this queue id: then the Postfix that has or had it is ours.

    Args:
        message_id: without angle brackets.
        queue_id: letters and digits.
    """
    if not message_id or not queue_id:
        return False
    values = {**_names(message_id), "under": f"{queue_id}@%"}
    return (await (await session.connection()).execute(_LOGGED, values)).first() is not None


async def find(session: AsyncSession, message_id: str, recipients: Sequence[str], *, alone: bool) -> Mailed | None:
    """The mail of a Message-ID that went to one of the recipients; None when no source told of it.

    Args:
        message_id: without angle brackets.
        recipients: names he may have, in lower case, the likeliest first.
        alone: whether the report is about nobody else: then, when the message went to one recipient, that one is
            meant even if an alias gave him another name.
    """
    if not message_id:
        return None
    rows = (await (await session.connection()).execute(_FIND, _names(message_id))).all()
    mails = [Mailed(*row) for row in rows]
    for recipient in recipients:
        for mail in mails:
            if recipient and mail.recipient.lower() == recipient:
                return mail
    return mails[0] if alone and len({mail.recipient.lower() for mail in mails}) == 1 else None


def _names(message_id: str) -> dict[str, str]:
    """Sources write the id with and without angle brackets, some only its left half."""
    return {"whole": message_id, "angled": f"<{message_id}>", "left": message_id.partition("@")[0]}
