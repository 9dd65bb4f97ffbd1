"""Every command is in the audit, whatever is killed in between, and once however often it is sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api import audit
from api.routes import lifecycle as route
from domain.refusals import Conflict
from domain.words import Severity
from store import incidents
from store.database import Database
from store.tables.ips import Ip

IP = "203.0.113.9"
MOVE = {"pool": "default", "reason": "tidied up"}


class Killed(BaseException):
    """The process ends here."""


async def lines(api: httpx.AsyncClient, what: str) -> list[tuple[str, str]]:
    """Outcome and answer of each line of a command."""
    items = (await api.get("/v1/audit")).json()["items"]
    return [(one["outcome"], one["answer"]) for one in items if one["what"] == what]


@pytest.fixture
async def known(db: Database) -> None:
    """One IP."""
    async with db.write() as session:
        session.add(Ip(address=IP, stage="active"))


async def test_an_ip_at_risk_is_moved_by_nobody_who_does_not_say_so(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    async def journey(*asked: Any) -> None:
        given.append(asked[3])

    monkeypatch.setattr(route, "command", journey)
    async with db.write() as session:
        session.add(Ip(address=IP, stage="at_risk"))
    answer = await api.post(f"/v1/ips/{IP}/assign", json=MOVE)
    assert (answer.status_code, given) == (409, [])
    assert "no new domains" in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "anyway"
    assert (await api.post(f"/v1/ips/{IP}/assign", json={**MOVE, "anyway": True})).status_code == 200
    assert [one.pool for one in given] == ["default"]
    (done, refused) = [one for one in (await api.get("/v1/audit")).json()["items"] if one["what"] == "ip.assign"]
    assert (refused["outcome"], done["outcome"], done["after"]["anyway"]) == ("refused", "done", True)


@pytest.mark.usefixtures("known")
async def test_a_kill_between_a_command_and_its_answer_loses_no_line(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    async def journey(*_: Any) -> None:
        given.append("done")
        if len(given) == 1:
            raise Killed

    monkeypatch.setattr(route, "command", journey)
    keyed = {"Idempotency-Key": "move-1"}
    with pytest.raises(Killed):
        await api.post(f"/v1/ips/{IP}/assign", json=MOVE, headers=keyed)
    assert await lines(api, "ip.assign") == [("asked", "")]
    for _ in range(2):
        assert (await api.post(f"/v1/ips/{IP}/assign", json=MOVE, headers=keyed)).status_code == 200
    assert await lines(api, "ip.assign") == [("done", "")], "sent again it is the same line"
    assert len(given) == 2, "and what was answered once is not given again"


@pytest.mark.usefixtures("known")
async def test_a_refused_command_says_so_and_may_succeed_later_under_its_key(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Exception | None] = [Conflict("It is being set up."), None]

    async def journey(*_: Any) -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    monkeypatch.setattr(route, "command", journey)
    keyed = {"Idempotency-Key": "move-1"}
    assert (await api.post(f"/v1/ips/{IP}/assign", json=MOVE, headers=keyed)).status_code == 409
    assert await lines(api, "ip.assign") == [("refused", "It is being set up.")]
    assert (await api.post(f"/v1/ips/{IP}/assign", json=MOVE, headers=keyed)).status_code == 200
    assert await lines(api, "ip.assign") == [("done", "")]


@pytest.mark.usefixtures("known")
async def test_a_used_key_commands_nothing_else(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    async def journey(*words: Any) -> None:
        given.append(words)

    monkeypatch.setattr(route, "command", journey)
    keyed = {"Idempotency-Key": "move-1"}
    assert (await api.post(f"/v1/ips/{IP}/assign", json=MOVE, headers=keyed)).status_code == 200
    spelled_anew = dict(reversed(MOVE.items()))
    assert (await api.post(f"/v1/ips/{IP}/assign", json=spelled_anew, headers=keyed)).status_code == 200
    for path, body, said in (
        ("assign", {**MOVE, "reason": "another"}, "with another body"),
        ("retire", {"reason": "old"}, f"for POST /v1/ips/{IP}/assign"),
    ):
        refused = await api.post(f"/v1/ips/{IP}/{path}", json=body, headers=keyed)
        assert refused.status_code == 422
        assert f"Idempotency-Key: 'move-1' was used before, {said}. Use a new key" in refused.json()["detail"]
        assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
    assert len(given) == 1
    assert len((await api.get("/v1/audit")).json()["items"]) == 1


@pytest.mark.parametrize("what", ["token.create", "token.revoke", "incident.close", "pool.put", "ip.import"])
async def test_nothing_is_done_that_the_audit_does_not_tell(
    api: httpx.AsyncClient, db: Database, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A kill before the line takes the effect along, as both are one transaction."""
    await api.post("/v1/tokens", json={"name": "ci", "role": "viewer"})
    token = (await api.get("/v1/tokens")).json()["items"][-1]["id"]
    async with db.write() as session:
        incident, _ = await incidents.open_incident(session, "payment", "o1", Severity.WARNING, "Money stands out.")

    async def killed(*_: Any, **__: Any) -> None:
        raise Killed

    async def state() -> list[Any]:
        paths = ("/v1/tokens", "/v1/incidents", "/v1/pools", "/v1/ips")
        return [(await api.get(path)).json() for path in paths]

    before = await state()
    give = {
        "token.create": lambda: api.post("/v1/tokens", json={"name": "more", "role": "viewer"}),
        "token.revoke": lambda: api.delete(f"/v1/tokens/{token}"),
        "incident.close": lambda: api.post(f"/v1/incidents/{incident.id}/close", json={"reason": "settled"}),
        "pool.put": lambda: api.post("/v1/pools", json={"name": "more"}),
        "ip.import": lambda: api.post("/v1/ips/import", json=[{"address": IP, "stage": "active"}]),
    }[what]
    with monkeypatch.context() as patch:
        patch.setattr(audit, "write", killed)
        with pytest.raises(Killed):
            await give()
    assert await state() == before


async def test_a_token_is_made_once_under_a_key_and_its_text_told_once(api: httpx.AsyncClient) -> None:
    keyed, body = {"Idempotency-Key": "token-1"}, {"name": "ci", "role": "viewer"}
    made = (await api.post("/v1/tokens", json=body, headers=keyed)).json()
    assert made["token"].startswith(f"wp_{made['id']}_")
    again = await api.post("/v1/tokens", json=body, headers=keyed)
    assert again.status_code == 409
    assert f"made the token {made['id']} before" in again.json()["detail"]
    assert "with a new key" in again.json()["detail"]
    assert made["token"] not in again.text
    other = await api.post("/v1/tokens", json={**body, "role": "admin"}, headers=keyed)
    assert other.status_code == 422
    assert [one["name"] for one in (await api.get("/v1/tokens")).json()["items"]] == ["test admin", "ci"]
    assert await lines(api, "token.create") == [("done", "")]
