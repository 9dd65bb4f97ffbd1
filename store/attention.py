"""What waits for a person, read from the read model, worst first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.purchase import AGAIN
from domain.words import Actor, OrderStatus, Severity, Stage, source_named
from store.instants import now
from store.tables.incidents import Incident
from store.tables.ips import Ip
from store.tables.purchase import Order

ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
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


async def items(session: AsyncSession, *, first: int = 0, limit: int = MOST) -> list[Item]:
    """A page of the things, worst and oldest first; an IP in an open incident is named once.

    Args:
        first: how many come before the page.
    """
    last = first + limit
    incidents = [_incident(row) for row in await _open(session, last)]
    found = [*incidents, *await _waiting(session, last), *await _orders(session, last), *await _strays(session)]
    found.sort(key=lambda item: (ORDER.index(item.severity), item.since or dt.datetime.max.replace(tzinfo=dt.UTC)))
    return found[first:last]


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


async def _open(session: AsyncSession, most: int) -> Sequence[Incident]:
    # The worst first also among more than fit: twenty old warnings must not hide a new critical one.
    worst = sa.case({one.value: place for place, one in enumerate(ORDER)}, value=col(Incident.severity))
    query = select(Incident).where(_IS_OPEN).order_by(worst, col(Incident.opened_at), col(Incident.id)).limit(most)
    return (await session.exec(query)).all()


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


async def _waiting(session: AsyncSession, most: int) -> list[Item]:
    # Without those that an incident names: many of them would fill the limit, and hide the others. An incident of a
    # domain names its IPs as causes, which no query reads: as many more are taken as may fall away.
    named = select(Incident.address).where(_IS_OPEN)
    causes = {one for found in (await session.exec(select(Incident.causes).where(_IS_OPEN))).all() for one in found}
    worst = sa.case((col(Ip.stage) == Stage.AT_RISK, 0), else_=1)
    query = (
        select(Ip)
        .where(*_WAITS, col(Ip.address).not_in(named))
        .order_by(worst, col(Ip.waiting_since).nulls_last(), col(Ip.sort_key))
        .limit(most + len(causes))
    )
    pages = {Stage.AWAITING_DNS: "DNS Management Portal", Stage.AT_RISK: "Reputation Dashboard"}
    rows = [row for row in (await session.exec(query)).all() if row.address not in causes][:most]
    return [
        Item(
            Severity.CRITICAL if row.stage == Stage.AT_RISK else Severity.INFO,
            _waits(row.address, row.waiting_for),
            pages.get(Stage(row.stage), "Warmup Dashboard"),
            row.address,
            Actor(row.waiting_on),
            row.waiting_since,
        )
        for row in rows
    ]


def _waits(address: str, waiting_for: str) -> str:
    """The journey's words after the address; some are a sentence of their own, some name what is waited for."""
    told = waiting_for.startswith(("Paused", "Warm-up stopped"))
    return f"{address}: {waiting_for}" if told else f"{address} waits for {waiting_for}"


_LATELY = "last_ms >= :since"


async def _strays(session: AsyncSession) -> list[Item]:
    """What came lately that nobody could make anything of, an item a source and cause."""
    query = sa.text(
        "SELECT source, why, MIN(name), COUNT(*), SUM(count), MIN(first_ms) FROM stray_event "
        f"WHERE {_LATELY} GROUP BY source, why ORDER BY source, why"
    )
    rows = (await (await session.connection()).execute(query, {"since": _since_ms()})).all()
    return [_stray(*row) for row in rows]


def _stray(source: str, why: str, name: str, kinds: int, count: int, first_ms: int) -> Item:
    named = name if kinds == 1 else f"{name} and {kinds - 1} more"
    return Item(
        Severity.INFO if why == "type" else Severity.WARNING,
        _STRAY[why].format(source=source_named(source), name=named, count=count) + _LISTED,
        "Reply Explorer",
        None,
        Actor.OPERATOR,
        dt.datetime.fromtimestamp(first_ms / 1000, dt.UTC),
    )


def _since_ms() -> int:
    return int((now() - STRAY_LATELY).timestamp() * 1000)


#: The page that each links to has them in a part of its own.
_LISTED = " (all under Dead letters)"
_STRAY = {
    "type": "{source}: events of a type that is not known ({name}), {count} in all; they are counted nowhere",
    "ip": "{source}: events about an IP that is not here ({name}), {count} in all; import it, or correct the source",
    "hearsay": "Mail says that an IP is blocked ({name}), {count} in all; anybody could have written it: look yourself",
}


async def _orders(session: AsyncSession, most: int) -> list[Item]:
    trouble = sa.or_(col(Order.status) == OrderStatus.FAILED, col(Order.waiting_for).startswith(AGAIN))
    worst = sa.case((trouble, 0), else_=1)
    since = sa.case((trouble, col(Order.updated_at)), else_=col(Order.created_at))
    query = select(Order).where(_asks()).order_by(worst, since, col(Order.id)).limit(most)
    rows = (await session.exec(query)).all()
    return [_order(row) for row in rows]


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
