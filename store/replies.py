"""Repository of replies seen: which, from whom, how often, since when."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.performance import By
from store.database import Database
from store.tables.events import ReplyCount, ReplyPart, ReplyText

#: Rows that one transaction takes away.
CHUNK = 5_000
#: So many days are read by their index.
_FEW_DAYS = 3
#: What goes by its day, and the key of each table.
_DROPPED = {
    "reply_part": "part, reply, day, name",
    "reply_count": "reply, day, address, provider, sender, campaign",
}


class Order(StrEnum):
    """Which replies come first."""

    OFTEN = "often"
    NEWEST = "newest"


#: Where a page ended: the last one's sum (or time), and its id.
Place = tuple[int, str]


@dataclass
class Share:
    """Who a reply is about or comes from: the largest parts, and how many there are in all."""

    parts: list[tuple[str, int]] = field(default_factory=list)
    of: int = 0


@dataclass
class Seen:
    """A reply of a span. Times are epoch milliseconds.

    ``first_ms`` is of the first one that ever came, from anybody; ``count`` and ``last_ms`` are of what was asked for.
    """

    id: str
    template: str
    example: str
    count: int
    first_ms: int
    last_ms: int
    shares: dict[By, Share] = field(default_factory=dict)


_COLUMN = {
    By.IP: col(ReplyCount.address),
    By.PROVIDER: col(ReplyCount.provider),
    By.SENDER: col(ReplyCount.sender),
    By.CAMPAIGN: col(ReplyCount.campaign),
}

_FIELD = {By.IP: "address", By.PROVIDER: "provider", By.SENDER: "sender", By.CAMPAIGN: "campaign"}


def _within(from_day: int, to_day: int, only: dict[By, str]) -> list[sa.ColumnElement[bool]]:
    days = [col(ReplyCount.day) >= from_day, col(ReplyCount.day) <= to_day]
    return [*days, *(_COLUMN[by] == value for by, value in only.items())]


def _parts(by: By | None, from_day: int, to_day: int) -> list[sa.ColumnElement[bool]]:
    """The sums by one column, or of everything."""
    within = [col(ReplyPart.day) >= from_day, col(ReplyPart.day) <= to_day]
    return [col(ReplyPart.part) == (by.value if by else ""), *within]


def _sums(from_day: int, to_day: int, only: dict[By, str], reply: str | None) -> sa.Subquery:
    """How often each reply came, and when it came last: from the sums by one column wherever those can tell."""
    table: type[ReplyCount] | type[ReplyPart]
    if len(only) > 1:
        table, which = ReplyCount, _within(from_day, to_day, only)
        if to_day - from_day > _FEW_DAYS:
            # The index of days leads to one row after the other; over many days all in a row are read sooner.
            which[:2] = col(ReplyCount.day) + 0 >= from_day, col(ReplyCount.day) + 0 <= to_day
    else:
        by, value = next(iter(only.items()), (None, ""))
        table, which = ReplyPart, [*_parts(by, from_day, to_day), col(ReplyPart.name) == value]
    if reply is not None:
        which.append(col(table.reply) == reply)
    total, last = sa.func.sum(col(table.count)).label("total"), sa.func.max(col(table.last_ms)).label("last_ms")
    return sa.select(col(table.reply), total, last).where(*which).group_by(col(table.reply)).subquery()


def _is(reply: str) -> sa.ColumnElement[bool]:
    return col(ReplyCount.reply) == reply


async def page(
    session: AsyncSession,
    from_day: int,
    to_day: int,
    only: dict[By, str],
    *,
    reply: str | None = None,
    words: str = "",
    order: Order = Order.OFTEN,
    after: Place | None = None,
    limit: int = 50,
) -> list[Seen]:
    """Replies of some days, both included, without their shares.

    Args:
        only: values that a column must have.
        reply: id of the only one wanted.
        words: characters that the template or its example must hold, in upper or lower case.
        after: where the page before ended.
    """
    sums = _sums(from_day, to_day, only, reply)
    by = sums.c.total if order is Order.OFTEN else sums.c.last_ms
    query = sa.select(
        col(ReplyText.id),
        col(ReplyText.template),
        col(ReplyText.example),
        sums.c.total,
        col(ReplyText.first_ms),
        sums.c.last_ms,
    ).join(sums, sums.c.reply == col(ReplyText.id))
    if words:
        sought = words.lower()
        query = query.where(
            sa.or_(
                sa.func.lower(col(ReplyText.template)).contains(sought, autoescape=True),
                sa.func.lower(col(ReplyText.example)).contains(sought, autoescape=True),
            )
        )
    if after is not None:
        value, name = after
        query = query.where(sa.or_(by < value, sa.and_(by == value, col(ReplyText.id) > name)))
    rows = await (await session.connection()).execute(query.order_by(by.desc(), col(ReplyText.id)).limit(limit))
    return [Seen(*row[:3], *map(int, row[3:])) for row in rows]


async def fill_shares(
    session: AsyncSession, found: list[Seen], from_day: int, to_day: int, only: dict[By, str], most: int
) -> None:
    """Who each reply comes from and whom it is about: the largest parts, ``most`` of each."""
    known = {one.id: one for one in found}
    for by, value in only.items():
        for one in found:
            one.shares[by] = Share([(value, one.count)], 1)
    left = [by for by in _COLUMN if by not in only]
    counted: list[Any]
    if only:
        # Few rows of many: looked for once and held, not once a column.
        few = sa.select(ReplyCount).where(col(ReplyCount.reply).in_(known), *_within(from_day, to_day, only)).cte("few")
        parts = [
            sa.select(sa.literal(by.value).label("part"), few.c.reply, few.c[_FIELD[by]].label("name"), few.c["count"])
            for by in left
        ]
        counted = [sa.union_all(*parts)] if parts else []
    else:
        columns = col(ReplyPart.part), col(ReplyPart.reply), col(ReplyPart.name), col(ReplyPart.count)
        counted = [
            sa.select(*columns).where(col(ReplyPart.reply).in_(known), *_parts(by, from_day, to_day)) for by in left
        ]
    for one_by_one in counted:
        rows = one_by_one.subquery()
        reply, name, total = rows.c.reply, rows.c.name, sa.func.sum(rows.c["count"])
        # A column that is the same in all rows is not sorted by.
        whose = (rows.c.part, reply) if only else (reply,)
        place = sa.func.row_number().over(partition_by=whose, order_by=(total.desc(), name))
        of = sa.func.count().over(partition_by=whose)
        part = sa.func.min(rows.c.part).label("part")
        ranked = (
            sa.select(part, reply, name, total.label("total"), place.label("place"), of.label("of"))
            .group_by(*whose, name)
            .subquery()
        )
        query = sa.select(ranked).where(ranked.c.place <= most).order_by(*ranked.c[:2], ranked.c.place)
        for part, reply, name, count, _, whole in await (await session.connection()).execute(query):
            share = known[reply].shares.setdefault(By(part), Share())
            share.parts.append((name, int(count)))
            share.of = int(whole)


@dataclass(frozen=True)
class About:
    """How often a reply was about one IP. Times are epoch milliseconds."""

    address: str
    count: int
    first_ms: int
    last_ms: int


async def by_ip(
    session: AsyncSession, reply: str, from_day: int, to_day: int, only: dict[By, str], most: int
) -> list[About]:
    """The IPs that a reply was about, ``most`` of them, the most frequent first; an empty one was not told."""
    total = sa.func.sum(col(ReplyCount.count))
    query = (
        sa.select(
            col(ReplyCount.address), total, sa.func.min(col(ReplyCount.first_ms)), sa.func.max(col(ReplyCount.last_ms))
        )
        .where(_is(reply), *_within(from_day, to_day, only))
        .group_by(col(ReplyCount.address))
        .order_by(total.desc(), col(ReplyCount.address))
        .limit(most)
    )
    rows = await (await session.connection()).execute(query)
    return [About(address, *map(int, counts)) for address, *counts in rows]


async def by_day(
    session: AsyncSession, reply: str, from_day: int, to_day: int, only: dict[By, str]
) -> list[tuple[int, int]]:
    """How often a reply came on each day (since 1970), oldest first; days without one are absent."""
    query = (
        sa.select(col(ReplyCount.day), sa.func.sum(col(ReplyCount.count)))
        .where(_is(reply), *_within(from_day, to_day, only))
        .group_by(col(ReplyCount.day))
        .order_by(col(ReplyCount.day))
    )
    rows = await (await session.connection()).execute(query)
    return [(int(day), int(count)) for day, count in rows]


async def drop(db: Database, *, before_day: int) -> int:
    """Take away one chunk of what was counted before a day (days since 1970); answers how many rows."""
    gone = 0
    for table, key in _DROPPED.items():
        gone = await _drop_chunk(db, table, key, before_day)
        if gone == CHUNK:
            return gone
    # A writer holds the row of its text, and moves its day on: a text never goes before its counts. In a
    # transaction of its own, because writers take a text first and its counts then.
    async with db.write() as session:
        connection = await session.connection()
        await connection.execute(sa.text("DELETE FROM reply_text WHERE last_day < :day"), {"day": before_day})
    return gone


async def _drop_chunk(db: Database, table: str, key: str, before_day: int) -> int:
    # SQLite keeps these rows by their key, without a number of their own to choose them by.
    async with db.write() as session:
        connection = await session.connection()
        gone = await connection.execute(
            sa.text(
                f"DELETE FROM {table} WHERE ({key}) IN "
                f"(SELECT {key} FROM {table} WHERE day < :day ORDER BY day LIMIT :chunk)"
            ),
            {"day": before_day, "chunk": CHUNK},
        )
    return gone.rowcount
