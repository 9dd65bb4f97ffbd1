"""Repository of events: each once, with its sums, in the caller's transaction.

A batch goes to the database as one JSON value and two statements, whatever its size: this is the
hot way in (see ``bench/events.py``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import COUNTED, Kind, MailEvent
from domain.figures import Figures
from domain.words import MailboxProvider

#: Slices of sums a day; window edges of whole quarters of an hour fall between slices.
SLICES_A_DAY = 96

_COLUMNS = (
    "source",
    "event_id",
    "kind",
    "address",
    "provider",
    "at_ms",
    "recipient",
    "message_id",
    "detail",
)
_COUNTS = ("attempted", "delivered", "bounced", "blocked", "deferred", "complained")


def _rows_sql(dialect: str, columns: Sequence[str], numbers: Sequence[str]) -> str:
    if dialect == "postgresql":
        typed = ", ".join(
            f"{name} {'bigint' if name in numbers else 'text'}" for name in columns
        )
        return f"SELECT {', '.join(columns)} FROM json_to_recordset(CAST(:rows AS json)) AS given({typed}) WHERE true"
    picked = ", ".join(f"json_extract(value, '$.{name}')" for name in columns)
    return f"SELECT {picked} FROM json_each(:rows) WHERE true"


def _insert_events(dialect: str) -> sa.TextClause:
    return sa.text(
        f"INSERT INTO mail_event ({', '.join(_COLUMNS)}) {_rows_sql(dialect, _COLUMNS, ('at_ms',))} "
        "ON CONFLICT (source, event_id) DO NOTHING RETURNING source, event_id"
    )


def _add_figures(dialect: str) -> sa.TextClause:
    columns = ("address", "slice_ms", "provider", *_COUNTS)
    added = ", ".join(f"{name} = figure.{name} + excluded.{name}" for name in _COUNTS)
    return sa.text(
        f"INSERT INTO figure ({', '.join(columns)}) {_rows_sql(dialect, columns, ('slice_ms', *_COUNTS))} "
        f"ON CONFLICT (address, slice_ms, provider) DO UPDATE SET {added}"
    )


_INSERT = {name: _insert_events(name) for name in ("sqlite", "postgresql")}
_ADD = {name: _add_figures(name) for name in ("sqlite", "postgresql")}


async def record(
    session: AsyncSession, batch: Sequence[MailEvent], *, day_seconds: float = 86_400.0
) -> list[MailEvent]:
    """Store events not seen before and add them to the sums.

    Deferrals and complaints count once a recipient of a message: they are stored under a key made of
    those, so that later ones are duplicates (POLICY, daily figures).

    Args:
        batch: events of one or more sources, in any order, with repeats.
        day_seconds: length of a warm-up day; a slice of the sums is a 96th of it.

    Returns:
        The events that were new, in the order given.
    """
    first: dict[tuple[str, str], MailEvent] = {}
    for event in batch:
        first.setdefault((event.source, event.once_key()), event)
    if not first:
        return []
    dialect = session.get_bind().dialect.name
    rows = [
        {
            "source": source, "event_id": key, "kind": event.kind, "address": event.address,
            "provider": event.provider, "at_ms": event.at_ms, "recipient": event.recipient,
            "message_id": event.message_id, "detail": event.detail[:500],
        }
        for (source, key), event in sorted(first.items())  # one order of locks for every writer
    ]  # fmt: skip
    stored = await (await session.connection()).execute(
        _INSERT[dialect], {"rows": json.dumps(rows)}
    )
    new = {(source, key) for source, key in stored.all()}
    fresh = [event for key, event in first.items() if key in new]
    await _add(session, dialect, fresh, max(1, int(day_seconds * 1000) // SLICES_A_DAY))
    return fresh


async def _add(
    session: AsyncSession, dialect: str, fresh: Sequence[MailEvent], slice_length: int
) -> None:
    sums: dict[tuple[str, int, str], dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(_COUNTS, 0)
    )
    for event in fresh:
        counted = COUNTED.get(event.kind)
        if counted is None or not event.address:
            continue
        booked = (
            event.sent_ms
            if event.kind is Kind.COMPLAINED and event.sent_ms
            else event.at_ms
        )
        sums[(event.address, booked - booked % slice_length, event.provider)][
            counted
        ] += 1
    if not sums:
        return
    rows = [
        {"address": address, "slice_ms": at, "provider": provider, **counts}
        for (address, at, provider), counts in sorted(sums.items())
    ]
    await (await session.connection()).execute(
        _ADD[dialect], {"rows": json.dumps(rows)}
    )


async def sums(
    session: AsyncSession, address: str, from_ms: int, to_ms: int
) -> dict[MailboxProvider, Figures]:
    """Sums of an address by mailbox provider, from ``from_ms`` up to but without ``to_ms``.

    Providers without any event are absent. A source that reports results but no attempts has its
    results counted as attempts.
    """
    picked = ", ".join(f"COALESCE(SUM({name}), 0)" for name in _COUNTS)
    rows = await (await session.connection()).execute(
        sa.text(
            f"SELECT provider, {picked} FROM figure "
            "WHERE address = :address AND slice_ms >= :from_ms AND slice_ms < :to_ms GROUP BY provider"
        ),
        {"address": address, "from_ms": from_ms, "to_ms": to_ms},
    )
    answer: dict[MailboxProvider, Figures] = {}
    for provider, *counts in rows.all():
        figures = Figures(
            **{name: int(count) for name, count in zip(_COUNTS, counts, strict=True)}
        )
        figures.attempted = max(
            figures.attempted, figures.delivered + figures.bounced + figures.blocked
        )
        answer[MailboxProvider(provider)] = figures
    return answer
