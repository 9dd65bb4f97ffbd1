"""Repository of events and their sums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.events import MailEvent
from domain.figures import Figures
from domain.warmup import slice_ms
from domain.words import MailboxProvider
from store.events_writing import COUNTS, write
from store.rows import Cursor


async def record(
    session: AsyncSession, batch: Sequence[MailEvent], *, day_seconds: float = 86_400.0
) -> list[MailEvent]:
    """Store events not seen before and add them to the sums, in the session's transaction.

    Deferrals and complaints count once a recipient of a message: they are stored under a key made of
    those, so that later ones are duplicates: this project's rule.

    Args:
        batch: events of one or more sources, in any order, with repeats.
        day_seconds: length of a warm-up day; a slice of the sums is at most a 96th of it.

    Returns:
        The events that were new, in the order given.
    """

    def writing(connection: sa.Connection) -> list[MailEvent]:
        cursor = cast(Cursor, connection.connection.cursor())
        return write(cursor, connection.dialect.name, batch, slice_ms(day_seconds))

    return await (await session.connection()).run_sync(writing)


async def sums(session: AsyncSession, address: str, from_ms: int, to_ms: int) -> dict[MailboxProvider, Figures]:
    """Sums of an address by mailbox provider, from ``from_ms`` up to but without ``to_ms``.

    Providers without any event are absent. A source that reports results but no attempts has its
    results counted as attempts.
    """
    return (await sums_of_spans(session, address, [(from_ms, to_ms)]))[0]


async def sums_of_spans(
    session: AsyncSession, address: str, spans: Sequence[tuple[int, int]]
) -> list[dict[MailboxProvider, Figures]]:
    """Sums as :func:`sums` makes them, of several spans of time in one query; in their order."""
    if not spans:
        return []
    picked = ", ".join(f"COALESCE(SUM(figure.{name}), 0)" for name in COUNTS)
    rows = await (await session.connection()).execute(
        sa.text(
            f"WITH span (place, from_ms, to_ms) AS ({_SPANS[session.get_bind().dialect.name]}) "
            f"SELECT span.place, figure.provider, {picked} FROM span JOIN figure "
            "ON figure.address = :address AND figure.slice_ms >= span.from_ms AND figure.slice_ms < span.to_ms "
            "GROUP BY span.place, figure.provider"
        ),
        {"address": address, "spans": json.dumps([[place, *span] for place, span in enumerate(spans)])},
    )
    answer: list[dict[MailboxProvider, Figures]] = [{} for _ in spans]
    for place, provider, *counts in rows.all():
        figures = Figures(**{name: int(count) for name, count in zip(COUNTS, counts, strict=True)})
        answer[place][MailboxProvider(provider)] = figures.with_attempts()
    return answer


#: Spans given as a JSON list of [place, from, to].
_SPANS = {
    "sqlite": "SELECT value->>0, value->>1, value->>2 FROM json_each(:spans)",
    "postgresql": "SELECT (value->>0)::int, (value->>1)::bigint, (value->>2)::bigint "
    "FROM json_array_elements(CAST(:spans AS json))",
}
