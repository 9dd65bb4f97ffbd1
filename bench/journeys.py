"""Journeys against a bare one-activity workflow on the same Temporal server: ``python -m bench.journeys``.

The journey is a whole short life: ``IpLifecycle`` starts with verified DNS and is retired, which the
activity writes to the store. Payloads are sealed as in production; the bare side has no codec, no
models and an activity that does nothing. Both have as many workflow tasks as the server counts, and
rates are compared per workflow task.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from activities import lifecycle
from activities.context import Context
from bench import measure
from bench.bare_workflow import Bare, nothing
from domain.lifecycle import LifecycleInput, Retire
from domain.words import Stage
from settings import Settings
from store.database import Database
from store.keys import new_key
from store.secrets import Secrets
from store.tables.ips import Ip
from worker import RUNNER
from workflows import ids, search_attributes
from workflows.client import connect, keyring
from workflows.lifecycle import IpLifecycle

RUNS, AT_ONCE, TURNS = 60, 20, 3
START_SECONDS = 40.0


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[str]:
    """A Temporal server of its own with the sandbox's settings; answers its address.

    Raises:
        TimeoutError: it is not up in time.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    attributes = [part for one in search_attributes.ALL for part in ("--search-attribute", f"{one.name}=Keyword")]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "temporal"), "server", "start-dev", "--headless", "--ip", "127.0.0.1",
        "--port", str(port), "--db-filename", str(folder / "temporal.sqlite"), "--log-level", "error",
        "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal", *attributes,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(RuntimeError):
                    await Client.connect(f"127.0.0.1:{port}")
                    break
                await asyncio.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _rate(one: Callable[[int], Awaitable[None]], first: int) -> float:
    """Runs a second of ``RUNS`` numbered from ``first``, ``AT_ONCE`` at a time."""
    numbers = iter(range(first, first + RUNS))

    async def some() -> None:
        for number in numbers:
            await one(number)

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return RUNS / (time.perf_counter() - began)


async def _tasks(handle: WorkflowHandle[object, object]) -> int:
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return sum([event.event_type == done async for event in handle.fetch_history_events()])


def _address(number: int) -> str:
    return f"10.9.{number >> 8}.{number & 255}"


async def main() -> float:
    """Print both rates and their ratio per workflow task; answers the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with server(folder) as target:
            return await _measure(folder, target)


async def _measure(folder: Path, target: str) -> float:
    settings = Settings(var_dir=folder, temporal_address=target, secret_keys=(SecretStr(new_key("bench")),))
    db = Database.open(f"sqlite:///{folder}/bench.sqlite")
    await db.create_all()
    async with db.write() as session:
        for number in range(RUNS * (TURNS + 1)):
            session.add(Ip(address=_address(number), stage=Stage.ACTIVE))
    ours, plain = await connect(settings), await Client.connect(target)

    async def journey(number: int) -> None:
        start = WithStartWorkflowOperation(
            IpLifecycle.run,
            LifecycleInput(address=_address(number), stage=Stage.ACTIVE),
            id=ids.ip_id(_address(number)),
            task_queue="journeys",
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        await ours.execute_update_with_start_workflow(
            IpLifecycle.retire, Retire(reason="bench"), start_workflow_operation=start
        )
        await (await start.workflow_handle()).result()

    async def bare(number: int) -> None:
        await plain.execute_workflow(Bare.run, id=f"bare:{number}", task_queue="bare")

    bound = lifecycle.activities(Context(settings, db, Secrets(db, keyring(settings))))
    async with (
        Worker(ours, task_queue="journeys", workflows=[IpLifecycle], activities=bound, workflow_runner=RUNNER),
        Worker(plain, task_queue="bare", workflows=[Bare], activities=[nothing], workflow_runner=RUNNER),
    ):
        lives, bares = [], []
        for turn in range(TURNS + 1):  # the first one warms up and is not counted
            bares.append(await _rate(bare, turn * RUNS))
            lives.append(await _rate(journey, turn * RUNS))
        a_life = await _tasks(ours.get_workflow_handle(ids.ip_id(_address(RUNS))))
        a_bare = await _tasks(plain.get_workflow_handle(f"bare:{RUNS}"))
    await db.close()
    ratios = [one * a_life / (other * a_bare) for one, other in zip(lives[1:], bares[1:], strict=True)]
    measure.say(
        f"journeys/s: {measure.spread(lives[1:], '.1f')} of {a_life} workflow tasks, bare workflow "
        f"{measure.spread(bares[1:], '.1f')} of {a_bare}, per workflow task {measure.verdict(ratios, 0.5)}"
    )
    return statistics.median(ratios)


if __name__ == "__main__":
    asyncio.run(main())
