"""The operator's commands to a warm-up over HTTP: what each does, and what each refuses and why."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.client import Client

import worker
from activities.context import Context
from activities.warmup import WarmupActivities
from domain.words import Stage
from settings import Settings
from tests.workflows.test_lifecycle import until
from workflows.search_attributes import STAGE


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Real days: nothing moves but by command. Task queues of this test only."""
    queue = uuid.uuid4().hex
    own = {"task_queue": f"warmup-{queue}", "vendor_task_queue": f"vendors-{queue}", "drain_seconds": 1.0}
    return settings.model_copy(update=own)


@pytest.fixture
async def path(
    api: httpx.AsyncClient, temporal: Client, context: Context, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """The warm-up of an IP that has begun, with the product's workers, which are busy."""
    write = WarmupActivities._write

    async def late(self: WarmupActivities, *given: Any) -> None:
        await asyncio.sleep(0.3)
        await write(self, *given)

    address = f"2001:db8::{uuid.uuid4().int % 0xFFFF + 1:x}:{uuid.uuid4().int % 0xFFFF + 1:x}"
    async with contextlib.AsyncExitStack() as stack:
        for one in worker.build(temporal, context):
            await stack.enter_async_context(one)
        assert (await api.post("/v1/ips/import", json=[{"address": address, "stage": "active"}])).status_code == 201
        path = f"/v1/ips/{address}/warmup"

        async def begun() -> bool:
            return (await api.post(path, json={"target": 500, "reason": "new sender"})).status_code == 201

        with monkeypatch.context() as patch:
            patch.setattr(WarmupActivities, "_write", late)
            await until(begun, 15)
            assert (await api.get(path)).status_code == 200, "who starts a warm-up finds it"
        yield path


async def _do(api: httpx.AsyncClient, path: str, **body: object) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


async def test_every_command_takes_effect_and_is_refused_where_it_makes_no_sense(
    api: httpx.AsyncClient, path: str, temporal: Client
) -> None:
    async def refused(status: int, says: str, call: str, **body: object) -> None:
        answer = await (api.patch(path, json=body) if call == "" else api.post(f"{path}{call}", json=body))
        assert answer.status_code == status, answer.text
        assert says in answer.json()["detail"], answer.text

    begun = (await api.get(path)).json()
    assert (begun["state"], begun["cap"], begun["steps"]) == ("warming", 50, 12)

    for look in (path, path.removesuffix("/warmup"), f"{path.removesuffix('/warmup')}/journey"):
        workflow = (await api.get(look)).json()["workflow"]
        told = await temporal.get_workflow_handle(workflow["id"]).describe()
        assert workflow["run_id"] == told.run_id, look
        assert told.typed_search_attributes.get(STAGE) == Stage.WARMING, look

    wanted = {"ip": path.split("/")[3], "provider": "gmail", "count": 3}
    assert (await api.post("/v1/gate/lease", json=wanted)).json()["deferred"] == 0
    spent = (await api.get(path)).json()["sent_by_provider"]
    assert {name: count for name, count in spent.items() if count} == {"gmail": 3}

    await refused(409, "not paused", "/resume")
    paused = await _do(api, f"{path}/pause", reason="the sender moves house")
    assert (paused["state"], paused["paused"], paused["reason"]) == ("paused", True, "the sender moves house")
    await refused(409, "is paused already", "/pause")
    resumed = await _do(api, f"{path}/resume", reason="")
    assert (resumed["state"], resumed["step"], resumed["cap"]) == ("warming", 0, 50)

    await refused(422, "to 11 (the last, ", "/restart", step=12)
    for bad in (-1, 401, "x"):
        assert (await api.post(f"{path}/restart", json={"step": bad})).status_code == 422
    later = await _do(api, f"{path}/restart", step=4, reason="warm before")
    assert (later["step"], later["cap"]) == (4, 122)

    await refused(422, "give 20 % to 30 %", "", growth=0.5)
    await refused(422, "growt: There is no field of this name", "", growt=0.25)
    await refused(422, "under the initial cap of 50", "", target=40)
    await refused(422, "at most 400", "", step_days=30, target=50_000)
    await refused(422, "give 20 to 50", "", initial=51)
    await refused(422, "another time zone", "", time_zone="Asia/Tokyo")
    await refused(422, "is no preset", "", preset="turbo")
    await refused(
        422,
        "no day can send the 90 %",
        "",
        shares=dict.fromkeys(("gmail", "microsoft", "yahoo", "apple", "other"), 0.1),
    )
    assert (await api.get(path)).json()["plan"] == later["plan"], "what is refused changes nothing"
    adjusted = (await api.patch(path, json={"growth": 0.2, "target": 300, "reason": "less mail"})).json()
    assert adjusted["reason"] == "less mail"
    assert (adjusted["cap"], adjusted["plan"]["growth"], adjusted["plan"]["target"]) == (103, 0.2, 300)
    assert adjusted["forecast"]["days"][0]["cap"] == 103
    assert adjusted["forecast"]["days"][-1]["cap"] == 300

    done = await _do(api, f"{path}/complete", reason="warm elsewhere")
    assert (done["state"], done["cap"]) == ("completed", 300)
    ip = path.removesuffix("/warmup")

    async def full() -> bool:
        return bool((await api.get(ip)).json()["stage"] == Stage.FULL_CAPACITY)

    await until(full, 15)
    address = ip.rpartition("/")[2]
    lines = (await api.get("/v1/audit", params={"target": address, "limit": 2})).json()["items"]
    told = [(one["what"], one["before"]["cap"], one["after"]["cap"]) for one in lines]
    assert told == [("warmup.complete", 103, 300), ("warmup.adjust", 122, 103)]
    assert [lines[1][side]["plan"]["target"] for side in ("before", "after")] == [500, 300]
    for call in ("/pause", "/resume", "/restart", "/complete"):
        await refused(409, f"The warm-up of {address} has ended.", call)
    audited = [one["what"] for one in (await api.get("/v1/audit")).json()["items"]]
    lines = (await api.get("/v1/audit", params={"target": address})).json()["items"]
    whys = {one["what"]: one["why"] for one in lines if one["outcome"] == "done"}
    assert (whys["warmup.start"], whys["warmup.adjust"]) == ("new sender", "less mail")
    assert {f"warmup.{one}" for one in ("start", "pause", "resume", "restart", "adjust", "complete")} <= set(audited)
