"""Counting replies, on a DB-API cursor, in the transaction that stores their events.

Rows are put in the order of their keys, after those of the events: two writers never wait for each other.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from domain.events import REPLIES, MailEvent, storable
from domain.performance import By
from domain.replies import masked, template

#: Characters of a reply that are kept as its example.
EXAMPLE_LENGTH = 500
DAY_MS = 86_400_000

_TEXT = ("id", "template", "example", "first_ms", "last_day")
_COUNT = ("reply", "day", "address", "provider", "sender", "campaign", "count", "first_ms", "last_ms")
_PART = ("part", "reply", "day", "name", "count", "last_ms")
#: Parts that counts are summed up by, and where their name stands in the key of a count; None: nowhere, all of them.
PARTS = (("", None), (By.IP.value, 2), (By.PROVIDER.value, 3), (By.SENDER.value, 4), (By.CAMPAIGN.value, 5))
#: Columns of these tables that are numbers.
NUMBERS = frozenset({"day", "last_day", "count", "first_ms", "last_ms"})

Row = tuple[Any, ...]
#: Puts rows: table, columns, rows, what to do about those that are there.
Put = Callable[[str, Sequence[str], Sequence[Row], str], int]


def count(put: Put, dialect: str, new: Iterable[MailEvent], today: int, gone: Iterable[MailEvent] = ()) -> set[Row]:
    """Add the replies among new events, take away those of events that are counted elsewhere now.

    Args:
        put: inserts rows.
        today: days since 1970; an event of a later day counts on this one.

    Returns:
        Reply and day of the counts that something was taken from.
    """
    texts: dict[str, Row] = {}
    counts: dict[Row, tuple[int, int, int]] = {}
    less: set[Row] = set()
    for one, by in itertools.chain(zip(new, itertools.repeat(1)), zip(gone, itertools.repeat(-1))):
        if one.kind not in REPLIES or not one.detail:
            continue
        day = min(one.at_ms // DAY_MS, today)
        words = storable(template(one.detail, one.recipient))
        reply = hashlib.sha256(words.encode()).hexdigest()[:32]
        known = texts.get(reply)
        if known is None:
            example = storable(masked(one.detail, one.recipient))[:EXAMPLE_LENGTH]
            texts[reply] = (reply, words, example, one.at_ms, day)
        else:
            texts[reply] = (*known[:3], min(known[3], one.at_ms), max(known[4], day))
        key = (reply, day, one.address, one.provider._value_, storable(one.sender), storable(one.campaign))
        seen, first, last = counts.get(key, (0, one.at_ms, one.at_ms))
        counts[key] = (seen + by, min(first, one.at_ms), max(last, one.at_ms))
        if by < 0:
            less.add(key[:2])
    if not texts:
        return less
    least, most = ("MIN", "MAX") if dialect == "sqlite" else ("LEAST", "GREATEST")

    def outermost(table: str, first: str, last: str) -> str:
        return f"{first} = {least}({table}.{first}, excluded.{first}), {last} = {most}({table}.{last}, excluded.{last})"

    put(
        "reply_text", _TEXT, [texts[name] for name in sorted(texts)],
        f" ON CONFLICT (id) DO UPDATE SET {outermost('reply_text', 'first_ms', 'last_day')} "
        "WHERE reply_text.last_day < excluded.last_day OR reply_text.first_ms > excluded.first_ms",
    )  # fmt: skip
    put(
        "reply_count", _COUNT, [(*key, *seen) for key, seen in sorted(counts.items())],
        f" ON CONFLICT ({', '.join(_COUNT[:6])}) DO UPDATE SET count = reply_count.count + excluded.count, "
        f"{outermost('reply_count', 'first_ms', 'last_ms')}",
    )  # fmt: skip
    parts: dict[Row, tuple[int, int]] = {}
    for key, (seen, _, last) in counts.items():
        for part, at in PARTS:
            name = (part, *key[:2], "" if at is None else key[at])
            before, latest = parts.get(name, (0, last))
            parts[name] = (before + seen, max(latest, last))
    put(
        "reply_part", _PART, [(*name, *seen) for name, seen in sorted(parts.items())],
        f" ON CONFLICT ({', '.join(_PART[:4])}) DO UPDATE SET count = reply_part.count + excluded.count, "
        f"last_ms = {most}(reply_part.last_ms, excluded.last_ms)",
    )  # fmt: skip
    return less
