"""Who may do what: tokens, roles, limits, the audit trail, and what is never shown."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create
from domain.words import Role
from settings import Settings
from store import accounts, ips
from store.database import Database
from store.tables.ips import Ip


@pytest.fixture
def app(settings: Settings, db: Database, temporal: Client) -> FastAPI:
    """The API with little patience for many requests and large bodies."""
    return create(settings.model_copy(update={"rate_limit_per_minute": 5, "max_body_bytes": 1000}), db, temporal)


async def _as(app: FastAPI, db: Database, role: Role) -> httpx.AsyncClient:
    async with db.write() as session:
        token = await accounts.create_token(session, f"a {role}", role)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://warmpath.test",
        headers={"Authorization": f"Bearer {token}"},
    )


async def test_without_a_token_nothing_is_shown(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://w.test") as nobody:
        answer = await nobody.get("/v1/ips")
        forged = await nobody.get("/v1/ips", headers={"Authorization": "Bearer wp_ab_forged"})
    assert (answer.status_code, forged.status_code) == (401, 401)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_viewer_may_look_and_not_act(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.VIEWER) as viewer:
        assert (await viewer.get("/v1/ips")).status_code == 200
        answer = await viewer.post("/v1/ips/203.0.113.9/retire", json={"reason": "old"})
        assert answer.status_code == 403
        assert "needs the role operator" in answer.json()["detail"]
        assert (await viewer.get("/v1/tokens")).status_code == 403


async def test_a_token_that_names_nobody_is_not_made(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.ADMIN) as admin:
        answer = await admin.post("/v1/tokens", json={"name": "  ", "role": "viewer"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")
        assert len((await admin.get("/v1/tokens")).json()["items"]) == 1


async def test_a_revoked_token_is_worth_nothing(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.ADMIN) as admin, await _as(app, db, Role.VIEWER) as viewer:
        tokens = (await admin.get("/v1/tokens")).json()["items"]
        identity = next(token["id"] for token in tokens if token["role"] == "viewer")
        gone = await admin.delete(f"/v1/tokens/{identity}", params={"reason": "left us"})
        assert gone.status_code == 204
        assert (await viewer.get("/v1/ips")).status_code == 401
        trail = (await admin.get("/v1/audit")).json()["items"]
        assert trail[0]["what"] == "token.revoke"
        assert trail[0]["target"] == identity
        assert (trail[0]["why"], trail[0]["before"]["role"]) == ("left us", "viewer")


async def test_the_last_administrators_token_cannot_be_revoked(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.ADMIN) as first, await _as(app, db, Role.ADMIN) as second:
        ids = [token["id"] for token in (await first.get("/v1/tokens")).json()["items"]]
        assert len(ids) == 2
        answers = await asyncio.gather(
            first.delete(f"/v1/tokens/{ids[0]}"), second.delete(f"/v1/tokens/{ids[1]}"), return_exceptions=False
        )
        left = first if (await first.get("/v1/tokens")).status_code == 200 else second
        tokens = (await left.get("/v1/tokens")).json()["items"]
    # Whoever came second was refused, or was no administrator any more when it asked.
    assert sorted(answer.status_code for answer in answers)[0] == 204
    assert sorted(answer.status_code for answer in answers)[1] in (401, 409)
    assert sum(token["revoked_at"] is None for token in tokens) == 1
    refused = next((answer for answer in answers if answer.status_code == 409), None)
    if refused is not None:
        assert "make another administrator first" in refused.json()["detail"]


async def test_an_administrator_alone_cannot_revoke_itself(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.ADMIN) as admin:
        (token,) = (await admin.get("/v1/tokens")).json()["items"]
        answer = await admin.delete(f"/v1/tokens/{token['id']}")
        assert answer.status_code == 409
        assert "make another administrator first" in answer.json()["detail"]
        assert (await admin.get("/v1/tokens")).status_code == 200


def test_every_command_is_named_alike_in_the_audit() -> None:
    """``subject.verb``, in every route."""
    names: list[str] = []
    for file in sorted(Path("api/routes").glob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("audit.write", "audit.asking"):
                names.append(ast.unparse(call.args[2]).strip("f'"))
    assert len(names) > 10
    assert [one for one in names if not re.fullmatch(r"[a-z]+\.([a-z_]+|\{name\})", one)] == []


async def test_a_token_is_shown_once_and_never_listed(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.ADMIN) as admin:
        text = (await admin.post("/v1/tokens", json={"name": "ci", "role": "viewer"})).json()["token"]
        shown = (await admin.get("/v1/tokens")).text + (await admin.get("/v1/settings")).text
    assert text.split("_", 2)[2] not in shown


async def test_settings_show_no_secret(app: FastAPI, db: Database, settings: Settings) -> None:
    async with await _as(app, db, Role.ADMIN) as admin:
        seen = await admin.get("/v1/settings")
    assert seen.json()["secret_keys"] == ["set"]
    assert settings.secret_keys[0].get_secret_value().split(":")[1] not in seen.text


async def test_too_many_requests_are_told_to_wait(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.VIEWER) as viewer:
        answers = [(await viewer.get("/v1/ips")).status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]


async def test_a_body_past_the_limit_is_refused(app: FastAPI, db: Database) -> None:
    async with await _as(app, db, Role.ADMIN) as admin:
        answer = await admin.post("/v1/tokens", json={"name": "n" * 2000, "role": "viewer"})
        assert answer.status_code == 413
        assert "1,000 bytes" in answer.json()["detail"]

        async def unannounced() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b" " * 400
            raise AssertionError("the rest is not read")

        answer = await admin.post("/v1/tokens", content=unannounced())
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("address", "said"),
    [("not-an-address", "no IP address"), ("127.0.0.1", "not one of"), ("203.0.113.99", "not one of")],
)
async def test_an_address_that_cannot_be_is_named(app: FastAPI, db: Database, address: str, said: str) -> None:
    async with await _as(app, db, Role.VIEWER) as viewer:
        answer = await viewer.get(f"/v1/ips/{address}")
    assert answer.status_code in (404, 422)
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("of", ["", "/journey", "/dns", "/dns/zonefile", "/warmup", "/reputation"])
async def test_an_ip_is_found_in_every_spelling(app: FastAPI, db: Database, of: str) -> None:
    async with db.write() as session:
        await ips.insert(session, Ip(address="2001:db8::25"))
    async with await _as(app, db, Role.VIEWER) as viewer:
        kept, typed = [await viewer.get(f"/v1/ips/{one}{of}") for one in ("2001:db8::25", "2001:DB8:0:0::25")]
        assert (typed.status_code, typed.text) == (kept.status_code, kept.text)
        assert "not one of this installation's IPs" not in typed.text
        assert "is no IP address" in (await viewer.get(f"/v1/ips/nowhere{of}")).text
