"""What the Temporal UI tells of a journey, and finds it by, from its start on; at the start it costs no action."""

from __future__ import annotations

from typing import TypedDict

from temporalio.common import TypedSearchAttributes

from domain.lifecycle import LifecycleInput
from domain.purchase import PurchaseInput
from domain.words import Stage
from workflows import search_attributes


class Told(TypedDict):
    """Arguments of a start."""

    static_summary: str
    search_attributes: TypedSearchAttributes


def of_life(start: LifecycleInput) -> Told:
    """Of the life of an IP, bought or imported."""
    found = search_attributes.of(address=start.address, stage=start.stage, pool=start.pool, sender=start.sender)
    return {"static_summary": f"Life of {start.address}", "search_attributes": found}


def of_order(start: PurchaseInput, what: str = "") -> Told:
    """Of an order; ``what`` says where it is bought and for which host."""
    found = search_attributes.of(pool=start.pool, sender=start.sender, stage=Stage.PURCHASING)
    said = f"Order of {start.count} {start.type} IP {what}".strip()
    return {"static_summary": said, "search_attributes": found}
