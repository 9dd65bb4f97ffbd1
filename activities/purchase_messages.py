"""Arguments and results of the purchase's activities."""

from __future__ import annotations

from pydantic import BaseModel

from domain.words import OrderStatus


class OrderRef(BaseModel):
    """One order."""

    order_id: str


class Quoted(BaseModel):
    """How quoting ended: quoted, expired on the waitlist, or failed."""

    status: OrderStatus
    reason: str = ""
    recommended: list[str] = []


class Step(BaseModel):
    """One step of an order, on its chosen addresses."""

    order_id: str
    addresses: list[str] = []
    spares: list[str] = []
    """Recommended addresses that may stand in for one that was taken or listed; none if the operator chose."""
    chosen: bool = False
    """The operator named the addresses: none may be replaced."""


class Authorise(BaseModel):
    """Hold the money of an order; ``payment_secret`` is the reference of the payment method."""

    order_id: str
    payment_secret: str


class Trouble(BaseModel):
    """What could not be undone, or a payment lost at the very end (kind ``payment``); an operator has to act."""

    order_id: str
    addresses: list[str]
    failed: list[str]
    """One sentence an undo that failed."""
    kind: str = "purchase"


class Mark(BaseModel):
    """What the read model shall say."""

    order_id: str
    status: OrderStatus
    reason: str = ""
    step: str = ""
