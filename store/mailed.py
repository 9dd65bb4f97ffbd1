"""Which mail of ours a report is about: found by its Message-ID and recipient among the events of all sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.tables.events import MailEvent

#: Rows of one message that are looked at; a message goes to few recipients.
_MOST = 100


@dataclass(frozen=True)
class Mailed:
    """A mail that was sent: from which IP, when (epoch milliseconds)."""

    address: str
    sent_ms: int
    message_id: str
    recipient: str


async def find(session: AsyncSession, message_id: str, recipients: Sequence[str]) -> Mailed | None:
    """The mail of a Message-ID that went to one of the recipients; None when no source told of it.

    Sources write the id with and without angle brackets, some only its left half. When the message went to one
    recipient, that one is meant even if an alias gave him another name.

    Args:
        message_id: without angle brackets.
        recipients: names he may have, in lower case, the likeliest first.
    """
    if not message_id:
        return None
    left = message_id.partition("@")[0]
    rows = (
        await session.exec(
            select(MailEvent)
            .where(col(MailEvent.message_id).in_([message_id, f"<{message_id}>", left]))
            .where(col(MailEvent.kind).in_(["sent", "delivered"]))
            .where(col(MailEvent.address) != "")
            .order_by(sa.asc(col(MailEvent.at_ms)))
            .limit(_MOST)
        )
    ).all()
    for recipient in recipients:
        for row in rows:
            if recipient and row.recipient.lower() == recipient:
                return _mailed(row)
    return _mailed(rows[0]) if len({row.recipient.lower() for row in rows}) == 1 else None


def _mailed(row: MailEvent) -> Mailed:
    return Mailed(row.address, row.at_ms, row.message_id, row.recipient)
