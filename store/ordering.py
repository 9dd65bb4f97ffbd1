"""In which order a list of IPs comes; every order falls back on the address, so that pages never overlap."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from domain.words import Band, Stage
from store.instants import UtcDateTime
from store.tables.ips import Ip
from store.tables.ledger import LedgerWindow


class Order(StrEnum):
    """What a list of IPs is sorted by; what wants a look comes first."""

    ADDRESS = "address"
    REPUTATION = "reputation"
    STAGE = "stage"
    WAITING = "waiting"
    LOAD = "load"


#: An unknown reputation stands before a good one, because nobody knows that it is good.
_BANDS = {Band.RED: 0, Band.YELLOW: 1, Band.UNKNOWN: 2, Band.GREEN: 3}
_STAGES = {stage: number for number, stage in enumerate(Stage)}
#: Sorts behind every time; as a type of its own, since a time as text sorts by the time zone of the database's session.
_NEVER = sa.type_coerce(dt.datetime.max.replace(tzinfo=dt.UTC), UtcDateTime)


def key(order: Order, at_ms: int) -> sa.ColumnElement[Any] | None:
    """What the list is sorted by before the address, smallest first; None for the address alone."""
    match order:
        case Order.REPUTATION:
            return sa.case(_BANDS, value=col(Ip.band), else_=2) * 1000 + sa.func.coalesce(col(Ip.score), 0)
        case Order.STAGE:
            return sa.case(_STAGES, value=col(Ip.stage), else_=len(_STAGES))
        case Order.WAITING:
            return sa.case((col(Ip.waiting_for) == "", _NEVER), else_=sa.func.coalesce(col(Ip.waiting_since), _NEVER))
        case Order.LOAD:
            return sa.func.coalesce(_load(at_ms), 1)
        case _:
            return None


def _load(at_ms: int) -> sa.ScalarSelect[Any]:
    """Thousandths of the present cap that are spent, negative so that the fullest comes first."""
    spent = col(LedgerWindow.granted) * 1000 // sa.func.nullif(col(LedgerWindow.cap), 0)
    return (
        sa.select(-spent)
        .where(
            col(LedgerWindow.address) == col(Ip.address),
            col(Ip.stage) != Stage.RETIRED,
            col(LedgerWindow.starts_ms) <= at_ms,
            col(LedgerWindow.ends_ms) > at_ms,
        )
        # The newest counts, and the key of the table finds it first.
        .order_by(col(LedgerWindow.starts_ms).desc())
        .limit(1)
        .correlate(Ip)
        .scalar_subquery()
    )
