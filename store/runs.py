"""Repository of the runs of journeys."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from store.database import Database, upsert
from store.tables.ips import JourneyRun


async def seen(db: Database, workflow_id: str, run_id: str) -> None:
    """A run of a journey is at work; the same again writes nothing."""
    async with db.read() as session:
        if await of(session, workflow_id) == run_id:
            return
    async with db.write() as session:
        await put(session, workflow_id, run_id)


async def put(session: AsyncSession, workflow_id: str, run_id: str) -> None:
    """A run of a journey has begun."""
    insert = upsert(session.get_bind().dialect.name, JourneyRun).values(workflow_id=workflow_id, run_id=run_id)
    await session.exec(insert.on_conflict_do_update(index_elements=["workflow_id"], set_={"run_id": run_id}))


async def of(session: AsyncSession, workflow_id: str) -> str | None:
    """The newest run of a journey; None before its first activity."""
    return (await of_many(session, [workflow_id])).get(workflow_id)


async def of_many(session: AsyncSession, workflow_ids: Collection[str]) -> dict[str, str]:
    """The newest run of each journey that has begun."""
    query = select(JourneyRun.workflow_id, JourneyRun.run_id).where(col(JourneyRun.workflow_id).in_(workflow_ids))
    return dict((await session.exec(query)).all())
