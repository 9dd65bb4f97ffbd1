"""What the warm-up workflow hands to its activities; of the standard library and the domain only."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel

from domain.lifecycle import WarmupTold
from domain.warmup import Progress


class Tick(BaseModel):
    """Close a day, or write down a state at once.

    ``run`` names the warm-up: with the address and the day it makes a repeated close answer the same.
    """

    address: str
    run: str
    progress: Progress
    now: dt.datetime
    close: bool = False
    troubled: bool = False
    """The life of the IP was told of trouble that ends when mail goes again."""


class Ticked(BaseModel):
    """What followed: the state, and what the life of the IP should hear of it."""

    progress: Progress
    told: WarmupTold | None = None
