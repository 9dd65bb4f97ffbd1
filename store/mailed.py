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


async def find(session: AsyncSession, message_id: str, recipients: Sequence[str], *, alone: bool) -> Mailed | None:
    """The mail of a Message-ID that went to one of the recipients; None when no source told of it.

    Sources write the id with and without angle brackets, some only its left half.

    Args:
        message_id: without angle brackets.
        recipients: names he may have, in lower case, the likeliest first.
        alone: whether the report is about nobody else: then, when the message went to one recipient, that one is
            meant even if an alias gave him another name.
    """
    if not message_id:
        return None
    names = {"whole": message_id, "angled": f"<{message_id}>", "left": message_id.partition("@")[0]}
    rows = (await (await session.connection()).execute(_FIND, names)).all()
    mails = [Mailed(*row) for row in rows]
    for recipient in recipients:
        for mail in mails:
            if recipient and mail.recipient.lower() == recipient:
                return mail
    return mails[0] if alone and len({mail.recipient.lower() for mail in mails}) == 1 else None
