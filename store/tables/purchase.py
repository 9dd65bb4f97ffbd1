"""Orders, and which order holds which address."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlmodel import JSON, Column, Field, SQLModel

from domain.words import DEFAULT_POOL, IpType, OrderStatus
from store.instants import UtcDateTime, now


class Order(SQLModel, table=True):
    """One order; the read model of its purchase."""

    __tablename__ = "purchase_order"

    id: str = Field(primary_key=True)
    type: str = Field(default=IpType.DEDICATED)
    vendor: str
    region: str
    count: int = 1
    pool: str = DEFAULT_POOL
    sender: str | None = None
    domain: str
    hostname: str
    mx: str | None = None
    dns: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON), description="Wishes for DNS.")
    smtp_secret: str | None = Field(default=None, description="Reference of the encrypted credentials.")
    smtp_login: str | None = Field(default=None, description="HOST:PORT and user; never the password.")
    status: str = Field(default=OrderStatus.QUOTING, index=True)
    step: str = ""
    reason: str = ""
    waiting_for: str = "candidates are being vetted"
    candidates: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON))
    quote: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    payment: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    payment_ref: str | None = Field(default=None, index=True, description="The provider's id of the payment.")
    ips: list[str] = Field(default_factory=list, sa_column=Column(JSON))
    waitlist_until: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    updated_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class Reservation(SQLModel, table=True):
    """An address held by one order: the primary key is what keeps two orders apart."""

    __tablename__ = "purchase_reservation"

    address: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    vendor_ref: str = ""
    created_at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class PaymentEvent(SQLModel, table=True):
    """One event of the payment provider, under the provider's own id: the same event twice is one row."""

    __tablename__ = "payment_event"

    event_id: str = Field(primary_key=True)
    order_id: str = Field(index=True)
    kind: str
    detail: str = ""
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)


class PaymentDeadLetter(SQLModel, table=True):
    """An event of the payment provider that names no order of ours: kept for a person, answered with 404."""

    __tablename__ = "payment_dead_letter"

    event_id: str = Field(primary_key=True)
    kind: str
    payment_ref: str = Field(default="", description="The provider's id of the payment, if the event names one.")
    why: str = ""
    received: int = Field(default=1, description="How often it came.")
    at: dt.datetime = Field(default_factory=now, sa_type=UtcDateTime)
