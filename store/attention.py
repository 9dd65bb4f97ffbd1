"""What waits for a person, read from the read model, worst first."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.addresses import sort_key
from domain.purchase import AGAIN
from domain.words import WORST_FIRST, Actor, OrderStatus, Severity, Stage, source_named
from store.instants import now
from store.paging import no_cursor
from store.tables.incidents import Incident
from store.tables.ips import Ip
from store.tables.purchase import Order

#: More than this does not help anybody at three in the night.
MOST = 20
#: How long a failed order is worth a person's look; its page tells of it for ever.
FAILED_LATELY = dt.timedelta(days=1)
#: How long events that nobody understood are.
STRAY_LATELY = dt.timedelta(days=1)


@dataclass
class Item:
    """One thing to do."""

    severity: Severity
    text: str
    page: str
    ip: str | None
    who: Actor
    since: dt.datetime | None
    order: str | None = None
    part: str = ""
    """Part of the page where it is, by the words on its tab; empty for the whole page."""


class _Kind(IntEnum):
    """Where a thing is read from; of two that are as bad and as old the lower one comes first."""

    INCIDENT = 0
    WAITING = 1
    ORDER = 2
    STRAY = 3


_RANK = {severity: rank for rank, severity in enumerate(WORST_FIRST)}
#: Of what waits and nobody knows since when: it comes last.
_NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class _Place(NamedTuple):
    """Where a thing stands in the list, also when it is no longer there."""

    rank: int
    since: dt.datetime
    kind: _Kind
    key: str

    def cursor(self) -> str:
        """As a cursor spells it."""
        return f"{self.rank}.{(self.since - _EPOCH) // _MICROSECOND}.{self.kind:d}.{self.key}"

    @classmethod
    def read(cls, cursor: str) -> _Place:
        """The place that a cursor names.

        Raises:
            Refused: it names none.
        """
        found = _CURSOR.fullmatch(cursor)
        try:
            if found is None:
                raise OverflowError
            rank, since, kind, key = found.groups()
            return cls(int(rank), _EPOCH + int(since) * _MICROSECOND, _Kind(int(kind)), key)
        except OverflowError:
            raise no_cursor() from None


_CURSOR = re.compile(r"([0-2])\.([0-9]{1,18})\.([0-3])\.(.{1,200})")


async def page(session: AsyncSession, *, after: str | None = None, limit: int = MOST) -> tuple[list[Item], str | None]:
    """A page of the things, worst and oldest first, and the cursor of the next; an IP in an incident is named once.

    Raises:
        Refused: the cursor is none.
    """
    beyond = _Place.read(after) if after else None
    found = [
        *await _open(session, beyond, limit + 1),
        *await _waiting(session, beyond, limit + 1),
        *await _orders(session, beyond, limit + 1),
        *await _strays(session, beyond),
    ]
    # Stable: of one kind, as bad and as old, the database said which comes first.
    found.sort(key=lambda one: one[0][:3])
    following = found[limit - 1][0].cursor() if len(found) > limit else None
    return [item for _, item in found[:limit]], following


_Found = tuple[_Place, Item]


def _placed(kind: _Kind, key: str, item: Item) -> _Found:
    return _Place(_RANK[item.severity], item.since or _NEVER, kind, key), item


def _beyond(
    place: _Place | None,
    kind: _Kind,
    rank: sa.SQLColumnExpression[Any],
    since: sa.SQLColumnExpression[Any],
    key: sa.SQLColumnExpression[Any],
) -> sa.ColumnElement[bool]:
    """What of a kind comes after a place."""
    if place is None:
        return sa.true()
    tied = key > place.key if kind is place.kind else sa.literal(kind > place.kind)
    return sa.or_(
        rank > place.rank,
        sa.and_(rank == place.rank, sa.or_(since > place.since, sa.and_(since == place.since, tied))),
    )


async def total(session: AsyncSession) -> int:
    """How many things there are, also past :data:`MOST`; reads the address of each, so ask only when there are many."""
    opened = (await session.exec(select(Incident.address, Incident.causes).where(_IS_OPEN))).all()
    troubled = {one for address, causes in opened for one in (address, *causes)}
    waiting = set((await session.exec(select(Ip.address).where(*_WAITS))).all()) - troubled
    orders = (await session.exec(select(sa.func.count()).select_from(Order).where(_asks()))).one()
    odd = sa.text(f"SELECT COUNT(*) FROM (SELECT 1 FROM stray_event WHERE {_LATELY} GROUP BY source, why) AS odd")
    strays = (await (await session.connection()).execute(odd, {"since": _since_ms()})).scalar_one()
    return len(opened) + len(waiting) + int(orders) + int(strays)


_IS_OPEN = col(Incident.closed_at).is_(None)
_WAITS = (
    col(Ip.waiting_on).in_((Actor.OPERATOR, Actor.REGISTRAR)),
    col(Ip.waiting_for) != "",
    col(Ip.stage) != Stage.RETIRED,
)


async def _open(session: AsyncSession, place: _Place | None, most: int) -> list[_Found]:
    # The worst first also among more than fit: twenty old warnings must not hide a new critical one.
    worst = sa.case({one.value: rank for one, rank in _RANK.items()}, value=col(Incident.severity))
    order = (worst, col(Incident.opened_at), col(Incident.id))
    query = select(Incident).where(_IS_OPEN, _beyond(place, _Kind.INCIDENT, *order)).order_by(*order).limit(most)
    return [_placed(_Kind.INCIDENT, row.id, _incident(row)) for row in (await session.exec(query)).all()]


def _incident(row: Incident) -> Item:
    of_dns = row.kind.startswith("dns")
    # A trouble of a domain is looked at on one of the IPs that see it.
    seen_by = [one for one in row.causes if of_dns and one != row.kind]
    return Item(
        Severity(row.severity),
        _titled(row),
        "DNS Configuration" if of_dns else "Reputation Dashboard",
        seen_by[0] if seen_by else row.address,
        Actor.OPERATOR,
        row.opened_at,
    )


def _titled(row: Incident) -> str:
    """The title with the address it is about in front, where it does not name it."""
    title = row.title[:1].upper() + row.title[1:]
    return title if row.address in title else f"{row.address}: {title}"


async def _waiting(session: AsyncSession, place: _Place | None, most: int) -> list[_Found]:
    # Without those that an incident names: many of them would fill the limit, and hide the others. An incident of a
    # domain names its IPs as causes, which no query reads: as many more are taken as may fall away.
    named = select(Incident.address).where(_IS_OPEN)
    causes = {one for found in (await session.exec(select(Incident.causes).where(_IS_OPEN))).all() for one in found}
    worst = sa.case((col(Ip.stage) == Stage.AT_RISK, _RANK[Severity.CRITICAL]), else_=_RANK[Severity.INFO])
    order = (worst, sa.func.coalesce(col(Ip.waiting_since), _NEVER), col(Ip.sort_key))
    query = (
        select(Ip)
        .where(*_WAITS, col(Ip.address).not_in(named), _beyond(place, _Kind.WAITING, *order))
        .order_by(*order)
        .limit(most + len(causes))
    )
    rows = [row for row in (await session.exec(query)).all() if row.address not in causes][:most]
    return [_placed(_Kind.WAITING, sort_key(row.address), _ip(row)) for row in rows]


_PAGES = {Stage.AWAITING_DNS: "DNS Management Portal", Stage.AT_RISK: "Reputation Dashboard"}


def _ip(row: Ip) -> Item:
    return Item(
        Severity.CRITICAL if row.stage == Stage.AT_RISK else Severity.INFO,
        _waits(row.address, row.waiting_for),
        _PAGES.get(Stage(row.stage), "Warmup Dashboard"),
        row.address,
        Actor(row.waiting_on),
        row.waiting_since,
    )


def _waits(address: str, waiting_for: str) -> str:
    """The journey's words after the address; some are a sentence of their own, some name what is waited for."""
    told = waiting_for.startswith(("Paused", "Warm-up stopped"))
    return f"{address}: {waiting_for}" if told else f"{address} waits for {waiting_for}"


_LATELY = "last_ms >= :since"


async def _strays(session: AsyncSession, place: _Place | None) -> list[_Found]:
    """What came lately that nobody could make anything of, an item a source and cause."""
    query = sa.text(
        "SELECT source, why, MIN(name), COUNT(*), SUM(count), MIN(first_ms) FROM stray_event "
        f"WHERE {_LATELY} GROUP BY source, why ORDER BY source, why"
    )
    rows = (await (await session.connection()).execute(query, {"since": _since_ms()})).all()
    found = [_placed(_Kind.STRAY, f"{row[0]}:{row[1]}", _stray(*row)) for row in rows]
    return [one for one in sorted(found, key=lambda one: one[0]) if place is None or one[0] > place]


def _stray(source: str, why: str, name: str, kinds: int, count: int, first_ms: int) -> Item:
    named = name if kinds == 1 else f"{name} and {kinds - 1:,} more"
    return Item(
        Severity.INFO if why == "type" else Severity.WARNING,
        _STRAY[why].format(source=source_named(source), name=named, count=count),
        "Reply Explorer",
        None,
        Actor.OPERATOR,
        dt.datetime.fromtimestamp(first_ms / 1000, dt.UTC),
        part="Dead letters",
    )


def _since_ms() -> int:
    return int((now() - STRAY_LATELY).timestamp() * 1000)


_STRAY = {
    "type": "{source}: events of a type that is not known ({name}), {count:,} in all; they are counted nowhere",
    "ip": "{source}: events about an IP that is not here ({name}), {count:,} in all; import it, or correct the source",
    "hearsay": "Mail says that an IP is blocked ({name}), {count:,} in all; "
    "anybody could have written it: look yourself",
}


async def _orders(session: AsyncSession, place: _Place | None, most: int) -> list[_Found]:
    trouble = sa.or_(col(Order.status) == OrderStatus.FAILED, col(Order.waiting_for).startswith(AGAIN))
    worst = sa.case((trouble, _RANK[Severity.WARNING]), else_=_RANK[Severity.INFO])
    since = sa.case((trouble, col(Order.updated_at)), else_=col(Order.created_at))
    order = (worst, since, col(Order.id))
    query = select(Order).where(_asks(), _beyond(place, _Kind.ORDER, *order)).order_by(*order).limit(most)
    return [_placed(_Kind.ORDER, row.id, _order(row)) for row in (await session.exec(query)).all()]


def _asks() -> sa.ColumnElement[bool]:
    lately = now() - FAILED_LATELY
    return sa.or_(
        col(Order.status).in_((OrderStatus.QUOTED, OrderStatus.WAITLISTED)),
        sa.and_(col(Order.status) == OrderStatus.FAILED, col(Order.updated_at) > lately),
        sa.and_(
            col(Order.status).in_((OrderStatus.QUOTING, OrderStatus.PURCHASING)),
            col(Order.waiting_for).startswith(AGAIN),
        ),
    )


def _order(row: Order) -> Item:
    name = row.hostname or row.domain
    if row.status == OrderStatus.FAILED:
        text = f"The order for {name} failed: {row.reason}"
        return Item(Severity.WARNING, text, "Payment Gateway", None, Actor.OPERATOR, row.updated_at, row.id)
    if row.waiting_for.startswith(AGAIN):
        text = f"The order for {name} waits for {row.waiting_for}"
        return Item(Severity.WARNING, text, "Payment Gateway", None, Actor.OPERATOR, row.updated_at, row.id)
    if row.status == OrderStatus.QUOTED:
        text, actor = f"The order for {name} waits for your payment", Actor.OPERATOR
    else:
        text, actor = f"The order for {name} waits for the vendor's stock", Actor.VENDOR
    return Item(Severity.INFO, text, "Payment Gateway", None, actor, row.created_at, row.id)
