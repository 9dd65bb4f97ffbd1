"""The quota ledger: caps are written by the warm-up and spent by one atomic statement.

A spend is one ``UPDATE ... RETURNING`` on one row: day cap, provider cap, hourly cap and pause are
judged and booked together, so concurrent spenders, in any number of processes, never pass a cap.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Cursor
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allowance import Allowance, left
from domain.words import MailboxProvider, Stage
from store.database import upsert
from store.tables.ledger import LedgerWindow

#: The row of an address that covers no time and remembers the pause.
MARK = 0
#: Hours of a window, whatever its length.
HOURS = 24
#: Stages whose IPs send: a window exists while warming, and is made on demand at full capacity. Being at risk
#: does not stop mail by itself; what is critical pauses the address.
SENDING_STAGES = (Stage.WARMING, Stage.FULL_CAPACITY, Stage.AT_RISK)


@dataclass(frozen=True)
class Booking:
    """What one spend booked, and where: the window by its start, and the part of it that is counted.

    ``left`` is what that part and provider have after it; ``part_ends_ms`` is where the part ends, if parts have a cap,
    else where the window does.
    """

    count: int
    ends_ms: int
    starts_ms: int
    hour: int
    left: Allowance
    part_ends_ms: int


def _spend_sql(dialect: str, provider: MailboxProvider) -> sa.TextClause:
    least, greatest = ("LEAST", "GREATEST") if dialect == "postgresql" else ("MIN", "MAX")
    by_clock = f"CAST((:at - starts_ms) / {greatest}(1, (ends_ms - starts_ms) / {HOURS}) AS INTEGER)"
    # A spender whose clock is behind, or who waited for the lock, must not open a closed hour again: the
    # next one after it would find the present hour empty.
    hour = f"{greatest}(hour, {by_clock})"

    def this_hour(counter: str) -> str:
        return f"(CASE WHEN hour = {hour} THEN {counter} ELSE 0 END)"

    # A provider with a cap of its own has the same part of it an hour as the whole day has, rounded up.
    own_hourly = f"((cap_{provider} * CAST(hourly_cap AS BIGINT) + cap - 1) / {greatest}(1, cap))"
    rooms = (
        "cap - granted",
        f"(COALESCE(cap_{provider}, cap) - granted_{provider})",
        f"(CASE WHEN hourly_cap > 0 THEN hourly_cap - {this_hour('hour_granted')} ELSE cap END)",
        f"(CASE WHEN hourly_cap > 0 AND cap_{provider} IS NOT NULL "
        f"THEN {own_hourly} - {this_hour(f'hour_{provider}')} ELSE cap END)",
    )
    room = f"{least}({', '.join(rooms)})"
    grant = f"CAST({least}(CAST(:count AS INTEGER), {room}) AS INTEGER)"
    others = "".join(
        f"hour_{other} = {this_hour(f'hour_{other}')}, " for other in MailboxProvider if other is not provider
    )
    return sa.text(
        f"UPDATE ledger_window SET granted = granted + {grant}, "
        f"granted_{provider} = granted_{provider} + {grant}, "
        f"hour_{provider} = {this_hour(f'hour_{provider}')} + {grant}, {others}"
        f"hour_granted = {this_hour('hour_granted')} + {grant}, hour = {hour}, last_grant = {grant} "
        "WHERE address = :address AND starts_ms = (SELECT MAX(newest.starts_ms) FROM ledger_window newest "
        "WHERE newest.address = :address AND newest.starts_ms <= :at AND newest.ends_ms > :at) "
        f"AND NOT paused AND {room} > 0 RETURNING last_grant, ends_ms, starts_ms, hour, "
        f"cap, granted, hourly_cap, hour_granted, cap_{provider}, granted_{provider}, hour_{provider}"
    )


_SPEND = {
    (dialect, provider): _spend_sql(dialect, provider)
    for dialect in ("sqlite", "postgresql")
    for provider in MailboxProvider
}


#: The same words for SQLite's own driver, which knows parameters by name as well.
_ON_FILE = {provider: _SPEND["sqlite", provider].text for provider in MailboxProvider}


async def set_window(
    session: AsyncSession,
    address: str,
    starts_ms: int,
    ends_ms: int,
    cap: int,
    by_provider: dict[MailboxProvider, int],
    hourly_cap: int,
) -> None:
    """Write the caps of a window; the same again changes nothing, and what was granted stays.

    Windows do not overlap: the ones there before end where this one begins, and what was granted of a window that began
    within this one counts here, so that no day has two caps.

    Args:
        by_provider: caps of single providers; a provider not named has none of its own.
        hourly_cap: cap of each 24th part of the window, 0 for none.
    """
    dialect = session.get_bind().dialect.name
    mark = (
        await session.exec(
            select(LedgerWindow.paused, LedgerWindow.reason).where(
                col(LedgerWindow.address) == address,
                col(LedgerWindow.starts_ms) == MARK,
            )
        )
    ).first()
    paused, reason = mark or (False, "")
    caps: dict[str, Any] = {f"cap_{provider}": by_provider.get(provider) for provider in MailboxProvider}
    granted = await _take_over(session, address, starts_ms, ends_ms)
    inserted = LedgerWindow(
        address=address, starts_ms=starts_ms, ends_ms=ends_ms, cap=cap,
        hour=-1, last_grant=0, hourly_cap=hourly_cap, paused=paused, reason=reason, **caps, **granted,
    )  # fmt: skip
    statement = upsert(dialect, LedgerWindow).values(**inserted.model_dump())
    await (await session.connection()).execute(
        statement.on_conflict_do_update(
            index_elements=["address", "starts_ms"],
            set_={"ends_ms": ends_ms, "cap": cap, "hourly_cap": hourly_cap, **caps},
        )
    )


async def _take_over(session: AsyncSession, address: str, starts_ms: int, ends_ms: int) -> dict[str, int]:
    """End the other windows that reach into a time; answers what was granted of those that began within it."""
    names = ["granted", *(f"granted_{provider}" for provider in MailboxProvider)]
    others = [
        col(LedgerWindow.address) == address,
        col(LedgerWindow.starts_ms) > MARK,
        col(LedgerWindow.starts_ms) != starts_ms,
        col(LedgerWindow.starts_ms) < ends_ms,
        col(LedgerWindow.ends_ms) > starts_ms,
    ]
    connection = await session.connection()
    within = col(LedgerWindow.starts_ms) > starts_ms
    sums = [sa.func.coalesce(sa.func.sum(getattr(LedgerWindow, name)), 0) for name in names]
    found = (await connection.execute(sa.select(*sums).where(*others, within))).one()
    # A window that began later covers nothing any more; the newest window at an instant is the one that is spent.
    await connection.execute(
        sa.update(LedgerWindow)
        .where(*others)
        .values(ends_ms=sa.case((within, col(LedgerWindow.starts_ms)), else_=starts_ms))
        .execution_options(synchronize_session=False)
    )
    return {name: int(count) for name, count in zip(names, found, strict=True)}


async def set_paused(session: AsyncSession, address: str, paused: bool, reason: str) -> None:
    """Stop or free the mail of an address, in this window and all later ones."""
    dialect = session.get_bind().dialect.name
    said = reason if paused else ""
    mark = LedgerWindow(address=address, starts_ms=MARK, ends_ms=0, hour=-1, last_grant=0, paused=paused, reason=said)
    statement = upsert(dialect, LedgerWindow).values(**mark.model_dump())
    await (await session.connection()).execute(statement.on_conflict_do_nothing())
    await (await session.connection()).execute(
        sa.update(LedgerWindow)
        .where(col(LedgerWindow.address) == address)
        .values(paused=paused, reason=said)
        .execution_options(synchronize_session=False)
    )


async def held(session: AsyncSession, address: str) -> str:
    """Why the mail of an address is stopped here; empty while it is not."""
    row = await session.get(LedgerWindow, (address, MARK), populate_existing=True)
    return row.reason if row is not None and row.paused else ""


async def window(session: AsyncSession, address: str, at_ms: int) -> LedgerWindow | None:
    """The newest window of an address that covers an instant, if there is one."""
    query = (
        select(LedgerWindow)
        .where(
            col(LedgerWindow.address) == address,
            col(LedgerWindow.starts_ms) <= at_ms,
            col(LedgerWindow.ends_ms) > at_ms,
        )
        .order_by(col(LedgerWindow.starts_ms).desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return (await session.exec(query)).first()


async def granted_from(session: AsyncSession, address: str, starts_ms: Sequence[int]) -> dict[int, int]:
    """What was granted of the windows of an address that begin at these instants; those without one are absent."""
    query = sa.select(col(LedgerWindow.starts_ms), col(LedgerWindow.granted)).where(
        col(LedgerWindow.address) == address, col(LedgerWindow.starts_ms).in_(starts_ms)
    )
    return {begins: granted for begins, granted in await (await session.connection()).execute(query)}


async def newest(session: AsyncSession, addresses: Collection[str], at_ms: int) -> dict[str, LedgerWindow]:
    """:func:`window` of several addresses, in one query; those without one are absent."""
    if not addresses:
        return {}
    query = (
        select(LedgerWindow)
        .where(
            col(LedgerWindow.address).in_(addresses),
            col(LedgerWindow.starts_ms) <= at_ms,
            col(LedgerWindow.ends_ms) > at_ms,
        )
        .order_by(col(LedgerWindow.starts_ms))
        .execution_options(populate_existing=True)
    )
    return {row.address: row for row in (await session.exec(query)).all()}


async def windows(session: AsyncSession, addresses: Sequence[str], at_ms: int) -> dict[str, tuple[int, int]]:
    """Cap and what was granted of it, of each address that has a window at an instant, in one query."""
    query = (
        sa.select(col(LedgerWindow.address), col(LedgerWindow.cap), col(LedgerWindow.granted))
        .where(
            col(LedgerWindow.address).in_(addresses),
            col(LedgerWindow.starts_ms) <= at_ms,
            col(LedgerWindow.ends_ms) > at_ms,
        )
        .order_by(col(LedgerWindow.starts_ms))  # the newest of an address comes last and stays
    )
    rows = await (await session.connection()).execute(query)
    return {address: (cap, granted) for address, cap, granted in rows}


async def book(
    session: AsyncSession, address: str, provider: MailboxProvider, count: int, at_ms: int
) -> Booking | None:
    """Book up to ``count`` mails with one statement; None when nothing is granted."""
    dialect = session.get_bind().dialect.name
    row = (
        await (await session.connection()).execute(
            _SPEND[dialect, provider], {"address": address, "count": count, "at": at_ms}
        )
    ).first()
    return _booking(row)


def book_on_file(cursor: Cursor, address: str, provider: MailboxProvider, count: int, at_ms: int) -> Booking | None:
    """:func:`book` on a cursor of SQLite's own driver, in the caller's transaction."""
    cursor.execute(_ON_FILE[provider], {"address": address, "count": count, "at": at_ms})
    return _booking(cursor.fetchone())


def _booking(row: Sequence[Any] | None) -> Booking | None:
    if row is None:
        return None
    count, ends_ms, starts_ms, hour, cap, granted, hourly_cap, hour_granted, own_cap, own_granted, own_hour = row
    rest = left(_limits(cap, granted, hourly_cap, hour_granted, own_cap, own_granted, own_hour))
    part = max(1, (ends_ms - starts_ms) // HOURS)
    part_ends = min(ends_ms, starts_ms + (hour + 1) * part) if hourly_cap > 0 else ends_ms
    return Booking(int(count), int(ends_ms), int(starts_ms), int(hour), rest, int(part_ends))


def _limits(
    cap: int, granted: int, hourly: int, in_hour: int, own: int | None, own_granted: int, own_in_hour: int
) -> Iterator[tuple[int, int]]:
    """Each limit of an IP and provider, and what is spent of it; ``_spend_sql`` judges by the same."""
    yield cap, granted
    if hourly > 0:
        yield hourly, in_hour
    if own is not None:
        yield own, own_granted
        if hourly > 0:
            yield _own_hourly(own, hourly, cap), own_in_hour


def allowance(found: LedgerWindow, provider: MailboxProvider, at_ms: int) -> Allowance:
    """What a window has left for a provider at an instant."""
    if found.paused:
        return Allowance(0, 0.0)
    part = max(1, (found.ends_ms - found.starts_ms) // HOURS)
    this_hour = max(found.hour, (at_ms - found.starts_ms) // part) == found.hour
    return left(
        _limits(
            found.cap, found.granted, found.hourly_cap, found.hour_granted if this_hour else 0,
            getattr(found, f"cap_{provider}"), getattr(found, f"granted_{provider}"),
            getattr(found, f"hour_{provider}") if this_hour else 0,
        )
    )  # fmt: skip


def part_ends(found: LedgerWindow, at_ms: int) -> int:
    """Where the hour of a window that an instant lies in ends, epoch milliseconds; what is known holds no longer."""
    part = max(1, (found.ends_ms - found.starts_ms) // HOURS)
    hour = max(found.hour, (at_ms - found.starts_ms) // part)
    return min(found.ends_ms, found.starts_ms + (hour + 1) * part)


async def book_opening(
    session: AsyncSession,
    address: str,
    safe_limit: int | None,
    provider: MailboxProvider,
    count: int,
    at_ms: int,
    day_seconds: float,
) -> Booking | None:
    """:func:`book`, and make the day's window of an IP at full capacity when it has none yet.

    Args:
        safe_limit: cap of that window; None for an IP whose windows its warm-up writes.
    """
    booked = await book(session, address, provider, count, at_ms)
    if booked or safe_limit is None or await window(session, address, at_ms) is not None:
        return booked
    length = max(HOURS, int(day_seconds * 1000))
    # Days go on from where the last window ended, so that the day of a graduation has one cap.
    starts = at_ms - (at_ms - await _last_end(session, address, at_ms)) % length
    await set_window(session, address, starts, starts + length, safe_limit, {}, 0)
    return await book(session, address, provider, count, at_ms)


async def _last_end(session: AsyncSession, address: str, at_ms: int) -> int:
    """Where the last window before an instant ended, epoch milliseconds; 0 without one."""
    query = select(sa.func.max(col(LedgerWindow.ends_ms))).where(
        col(LedgerWindow.address) == address, col(LedgerWindow.ends_ms) <= at_ms
    )
    return (await session.exec(query)).one() or 0


def own_hourly_cap(found: LedgerWindow, provider: MailboxProvider) -> int | None:
    """What one hour may take for a provider that has a cap of its own: the part that an hour has of the day."""
    own = getattr(found, f"cap_{provider}")
    return None if own is None or not found.hourly_cap else _own_hourly(own, found.hourly_cap, found.cap)


def _own_hourly(own: int, hourly: int, cap: int) -> int:
    return -(-own * hourly // max(1, cap))


def why(address: str, provider: MailboxProvider, found: LedgerWindow | None, at_ms: int) -> str:
    """The limit that was met, in words."""
    if found is None:
        return f"{address} has no allowance now; its next warm-up day has not begun"
    if found.paused:
        return f"{address} is paused: {found.reason}" if found.reason else f"{address} is paused"
    if found.granted >= found.cap:
        until = _clock(found.ends_ms)
        return f"daily cap of {address} reached, {found.granted:,} of {found.cap:,}; resumes {until}"
    own_cap, own = (
        getattr(found, f"cap_{provider}"),
        getattr(found, f"granted_{provider}"),
    )
    if own_cap is not None and own >= own_cap:
        until = _clock(found.ends_ms)
        return f"daily cap of {address} for {provider} reached, {own:,} of {own_cap:,}; resumes {until}"
    if allowance(found, provider, at_ms).room:
        return f"{address} had no allowance left a moment ago; try again"
    until = _clock(part_ends(found, at_ms))
    most = own_hourly_cap(found, provider)
    if found.hour_granted < found.hourly_cap and most is not None:
        spent = getattr(found, f"hour_{provider}")
        return f"hourly cap of {address} for {provider} reached, {spent:,} of {most:,}; resumes {until}"
    return f"hourly cap of {address} reached, {found.hour_granted:,} of {found.hourly_cap:,}; resumes {until}"


def _clock(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%H:%M UTC")
