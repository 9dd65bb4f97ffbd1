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

from domain.events import COUNTED, MailEvent
from domain.figures import Figures
from domain.warmup import slice_ms
from domain.words import MailboxProvider

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
_COUNTS = tuple(Figures.model_fields)


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
        day_seconds: length of a warm-up day; a slice of the sums is at most a 96th of it.

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
    await _add(session, dialect, fresh, slice_ms(day_seconds))
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
        booked = event.booked_ms
        counts = sums[(event.address, booked - booked % slice_length, event.provider)]
        counts[counted] += 1
        if event.limits_rate:
            counts["limited"] += 1
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
    return (await sums_of_spans(session, address, [(from_ms, to_ms)]))[0]


async def sums_of_spans(
    session: AsyncSession, address: str, spans: Sequence[tuple[int, int]]
) -> list[dict[MailboxProvider, Figures]]:
    """Sums as :func:`sums` makes them, of several spans of time in one query; in their order."""
    picked = ", ".join(f"COALESCE(SUM(figure.{name}), 0)" for name in _COUNTS)
    dialect = session.get_bind().dialect.name
    given = _rows_sql(dialect, ("place", "from_ms", "to_ms"), ("place", "from_ms", "to_ms"))
    if dialect == "sqlite":
        given = given.replace("json_extract(value, '$.place')", "json_extract(value, '$.place') AS place")
        for name in ("from_ms", "to_ms"):
            given = given.replace(f"json_extract(value, '$.{name}')", f"json_extract(value, '$.{name}') AS {name}")
    rows = await (await session.connection()).execute(
        sa.text(
            f"SELECT span.place, figure.provider, {picked} FROM ({given}) span JOIN figure "
            "ON figure.address = :address AND figure.slice_ms >= span.from_ms AND figure.slice_ms < span.to_ms "
            "GROUP BY span.place, figure.provider"
        ),
        {
            "address": address,
            "rows": json.dumps([{"place": n, "from_ms": a, "to_ms": b} for n, (a, b) in enumerate(spans)]),
        },
    )
    answer: list[dict[MailboxProvider, Figures]] = [{} for _ in spans]
    for place, provider, *counts in rows.all():
        figures = Figures(**{name: int(count) for name, count in zip(_COUNTS, counts, strict=True)})
        figures.attempted = max(figures.attempted, figures.delivered + figures.bounced + figures.blocked)
        answer[place][MailboxProvider(provider)] = figures
    return answer
