"""Whose mail an event is about that only names its mail: found among the earlier events of its source."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import NamedTuple

from domain.events import Kind, MailEvent, storable
from store.rows import ROWS, TEXT_LENGTH, Cursor, Row

#: Asked of each event: looking a member up in its enumeration takes ten times as long.
_COMPLAINED = Kind.COMPLAINED
_MAILED = frozenset({Kind.SENT, Kind.DELIVERED})
#: Sources whose events of one mail all name its IP or all do not: there is nothing to wait for.
_ALIKE = frozenset({"postmark"})


class _Mail(NamedTuple):
    """A mail to one recipient; ``first`` when what is known of it holds its first event."""

    address: str
    at_ms: int
    sender: str
    campaign: str
    first: bool


def attribute(cursor: Cursor, dialect: str, given: Collection[MailEvent]) -> dict[int, MailEvent]:
    """Give events that name only their mail the IP that sent it, its sender, and the day it was sent on.

    An attempt asks for no IP: where its source names none, results are the attempts, in whatever order they come.

    Returns:
        By ``id``, those of which other events of their mail may tell more once they come, as their source told them.
    """
    # Nearly all say their IP: one look at each finds the others.
    few = [one for one in given if not one.address or one.kind is _COMPLAINED or one.sought is not None]
    unsettled = {id(one): one for one in few if one.sought is not None}
    asking = [one for one in few if one.sought is None and _asks(one)]
    told = [one for one in given if one.kind in _MAILED and one.message_id] if asking else []
    beside = [(*_mail_key(one), one.kind.value, one.address, one.at_ms, one.sender, one.campaign) for one in told]
    for at in range(0, len(asking), ROWS):
        part = asking[at : at + ROWS]
        names = sorted({storable(one.message_id[:TEXT_LENGTH]) for one in part})
        if dialect == "sqlite":
            among, values = ", ".join("?" * len(names)), names
        else:
            among, values = "SELECT unnest(%s::text[])", [names]  # type: ignore[list-item]
        cursor.execute(
            "SELECT source, message_id, recipient, kind, address, at_ms, sender, campaign FROM mail_event "
            f"WHERE message_id IN ({among}) AND kind IN ('sent', 'delivered') AND message_id <> ''",
            values,
        )
        mails = _mails([*beside, *cursor.fetchall()])
        for one in part:
            mail = mails.get(_mail_key(one))
            if mail is None or not (one.address or mail.address):
                unsettled[id(one)] = one
                continue
            if not mail.first:
                unsettled[id(one)] = copy.copy(one)
            one.address = one.address or mail.address
            one.sender, one.campaign = one.sender or mail.sender, one.campaign or mail.campaign
            if one.sent_ms is None:
                one.sent_ms = mail.at_ms
    return unsettled


def _asks(one: MailEvent) -> bool:
    if not one.address and one.source in _ALIKE:
        return False
    lacks = not one.address or (one.kind is Kind.COMPLAINED and one.sent_ms is None)
    return lacks and bool(one.message_id) and one.counted is not None and one.kind is not Kind.SENT


def _mail_key(one: MailEvent) -> Row:
    return one.source, storable(one.message_id[:TEXT_LENGTH]), storable(one.recipient[:TEXT_LENGTH]).lower()


def _mails(rows: list[Row]) -> dict[Row, _Mail]:
    """Each mail of a recipient, by its key.

    The instant is that of its first event, the rest whatever event says it: most sources name the IP only when the mail
    was delivered.
    """
    found: dict[Row, _Mail] = {}
    for source, message_id, recipient, kind, address, at_ms, sender, campaign in sorted(rows, key=lambda row: -row[5]):
        key = source, message_id, recipient.lower()
        late = found.get(key, _Mail("", 0, "", "", first=False))
        first = late.first or kind == Kind.SENT
        found[key] = _Mail(address or late.address, at_ms, sender or late.sender, campaign or late.campaign, first)
    return found
