"""Performance: caps against what was granted of them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.deps import Store, Viewer
from store import performance

router = APIRouter(prefix="/v1/metrics", tags=["performance"])


class WindowOut(BaseModel):
    """One day of an IP: what it might send, what was granted of it, and what its warm-up made of the day."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    cap: int
    granted: int
    decision: str | None
    reason: str | None


class IpWindows(BaseModel):
    """The last days of an IP, oldest first."""

    address: str
    windows: list[WindowOut]


class CapsOut(BaseModel):
    """One entry for each IP asked for, in that order."""

    items: list[IpWindows]
    next: str | None = None


@router.get("/caps")
async def caps(
    _: Viewer,
    db: Store,
    ip: Annotated[list[str], Query(min_length=1, max_length=500, description="IPs to show.")],
    days: Annotated[int, Query(ge=1, le=400, description="Most days of each.")] = 14,
) -> CapsOut:
    """Cap and granted of each day; an IP that never sent has none."""
    async with db.read() as session:
        found = await performance.windows(session, ip, days)
    return CapsOut(
        items=[
            IpWindows(
                address=address,
                windows=[
                    WindowOut(
                        starts_at=_at(one.starts_ms),
                        ends_at=_at(one.ends_ms),
                        cap=one.cap,
                        granted=one.granted,
                        decision=one.decision,
                        reason=one.reason,
                    )
                    for one in found.get(address, [])
                ],
            )
            for address in dict.fromkeys(ip)
        ]
    )


def _at(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
