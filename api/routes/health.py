"""Whether this process lives, whether it can serve, and its figures."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api import metrics as figures
from api.deps import Store
from api.problems import problem

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request, db: Store) -> Response:
    """Store and Temporal answer, and the store takes writes; 503 says what does not."""
    try:
        async with db.read() as session:
            await session.exec(sa.text("SELECT 1"))  # type: ignore[call-overload]
        full = await db.full_disk.told()
    except (sa.exc.SQLAlchemyError, OSError):
        return problem(503, "Not ready", "The database does not answer.")
    if full:
        return problem(503, "Disk full", full)
    if request.app.state.temporal is None:
        return problem(503, "Not ready", "Temporal does not answer.")
    return JSONResponse({"status": "ready"})


@router.get("/metrics", response_class=Response)
async def metrics(db: Store) -> Response:
    """Prometheus text."""
    await figures.read_fleet(db)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
