"""The quota ledger: one row a window of an address, everything a spend must check in that one row."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class LedgerWindow(SQLModel, table=True):
    """What an address may send between two instants, and what was granted of it.

    Times are epoch milliseconds. The row with ``starts_ms`` 0 covers no time: it remembers that the
    address is paused, so that windows made later start paused. A provider cap of NULL means no cap
    of its own; an hourly cap of 0 means none.
    """

    __tablename__ = "ledger_window"

    address: str = Field(primary_key=True)
    starts_ms: int = Field(primary_key=True, sa_type=BigInteger)
    ends_ms: int = Field(sa_type=BigInteger)
    cap: int = 0
    granted: int = 0
    hourly_cap: int = 0
    hour: int = Field(
        default=-1,
        description="Number of the 24th part of the window that `hour_granted` counts.",
    )
    hour_granted: int = 0
    last_grant: int = Field(default=0, description="What the last spend got; the statement returns it.")
    paused: bool = False
    reason: str = ""
    cap_gmail: int | None = None
    cap_microsoft: int | None = None
    cap_yahoo: int | None = None
    cap_apple: int | None = None
    cap_other: int | None = None
    granted_gmail: int = 0
    granted_microsoft: int = 0
    granted_yahoo: int = 0
    granted_apple: int = 0
    granted_other: int = 0
    hour_gmail: int = 0
    hour_microsoft: int = 0
    hour_yahoo: int = 0
    hour_apple: int = 0
    hour_other: int = 0
