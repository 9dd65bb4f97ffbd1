"""Nothing readable leaves the process towards Temporal."""

from __future__ import annotations

import subprocess
import sys

import httpx
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from api.codec_server import LARGEST_REQUEST, create
from api.codec_sign_in import LARGEST_FORM
from domain.words import Role
from settings import Settings
from store import accounts
from store.database import Database
from workflows.client import converter, keyring


async def test_payloads_are_sealed_and_open_again(settings: Settings) -> None:
    convert = converter(keyring(settings))
    sealed = await convert.encode(["203.0.113.9 waits"])
    assert b"203.0.113.9" not in sealed[0].SerializeToString()
    assert await convert.decode(sealed, [str]) == ["203.0.113.9 waits"]


async def test_failures_are_sealed_too(settings: Settings) -> None:
    from temporalio.api.failure.v1 import Failure
    from temporalio.exceptions import ApplicationError

    convert = converter(keyring(settings))
    failure = Failure()
    await convert.encode_failure(ApplicationError("password of mta1 refused"), failure)
    assert "password" not in failure.message
    assert b"password" not in failure.SerializeToString()


async def test_the_codec_server_opens_for_the_temporal_ui_only(settings: Settings) -> None:
    body = await _sealed(settings)
    ui = settings.temporal_ui_url
    async with _browser(settings.model_copy(update={"codec_sign_in": False, "temporal_ui_url": f"{ui}/"})) as browser:
        ours = await browser.post("/decode", content=body, headers={"Origin": ui})
        other = await browser.post("/decode", content=body, headers={"Origin": "http://elsewhere.test"})
        broken = await browser.post("/decode", content="{")
        large = await browser.post("/decode", content=b" " * (LARGEST_REQUEST + 1))
    assert _opens(ours)
    assert ours.headers["access-control-allow-origin"] == ui
    assert "access-control-allow-origin" not in other.headers
    assert (broken.status_code, large.status_code) == (400, 413)


async def test_who_signed_in_at_the_codec_server_is_known_by_a_cookie_until_the_token_is_revoked(
    settings: Settings, db: Database
) -> None:
    body = await _sealed(settings)
    async with db.write() as session:
        token = await accounts.create_token(session, "Ada <b>", Role.VIEWER)
    async with _browser(settings, db) as browser:
        assert "Sign in" in (await browser.get("/")).text
        nobody = await browser.post("/decode", content=body)
        wrong = await browser.post("/sign-in", data={"token": "wp_ab_forged"})
        assert "not known or was revoked" in wrong.text
        assert (nobody.status_code, wrong.status_code, wrong.headers.get("set-cookie")) == (401, 401, None)
        assert b"203.0.113.9" not in nobody.content
        entered = await browser.post("/sign-in", data={"token": f" {token} "})
        assert (entered.status_code, entered.headers["location"]) == (303, ".")
        assert {"HttpOnly", "SameSite=strict"} <= set(entered.headers["set-cookie"].split("; "))
        assert "Signed in as Ada &lt;b&gt;" in (await browser.get("/")).text
        assert _opens(await browser.post("/decode", content=body, headers={"Origin": settings.temporal_ui_url}))
        async with db.write() as session:
            await accounts.revoke_token(session, accounts.identity_of(token))
        refused = await browser.post("/decode", content=body)
        assert (refused.status_code, "was revoked" in refused.text) == (401, True)
        await browser.post("/sign-out")
        assert not browser.cookies


async def test_the_codec_server_takes_one_small_form_of_its_own_page_and_only_so_many_wrong_tokens(
    settings: Settings, db: Database
) -> None:
    async with db.write() as session:
        token = await accounts.create_token(session, "Ada", Role.VIEWER)
    async with _browser(settings, db) as browser:
        large = await browser.post("/sign-in", data={"token": "x" * LARGEST_FORM})
        foreign = await browser.post("/sign-in", data={"token": token}, headers={"Sec-Fetch-Site": "cross-site"})
        assert (large.status_code, foreign.status_code, len(browser.cookies)) == (413, 403, 0)
        tries = [(await browser.post("/sign-in", data={"token": f"wp_ab_{n}"})).status_code for n in range(61)]
        assert tries == [401] * 60 + [429]
        assert (await browser.post("/sign-in", data={"token": token})).status_code == 303


async def test_a_shell_sends_its_token_to_the_codec_server_itself(settings: Settings, db: Database) -> None:
    body = await _sealed(settings)
    async with db.write() as session:
        token = await accounts.create_token(session, "a shell", Role.VIEWER)
    async with _browser(settings, db) as shell:
        assert _opens(await shell.post("/decode", content=body, headers={"Authorization": f"Bearer {token}"}))
        wrong = await shell.post("/decode", content=body, headers={"Authorization": f"Bearer {token}x"})
    assert wrong.status_code == 401


async def test_behind_tls_the_cookie_goes_nowhere_else(settings: Settings, db: Database) -> None:
    async with db.write() as session:
        token = await accounts.create_token(session, "ada", Role.VIEWER)
    async with _browser(
        settings.model_copy(update={"temporal_ui_url": "https://temporal.example.com/ui"}), db
    ) as browser:
        entered = await browser.post("/sign-in", data={"token": token})
        asked = {"Origin": "https://temporal.example.com", "Access-Control-Request-Method": "POST"}
        before = await browser.options("/decode", headers=asked)
    assert "Secure" in entered.headers["set-cookie"].split("; ")
    assert before.headers["access-control-allow-credentials"] == "true"


async def test_without_its_database_the_codec_server_opens_nothing(settings: Settings) -> None:
    gone = settings.model_copy(update={"database_url": "postgresql://u:p@127.0.0.1:1/none"})
    async with _browser(gone) as shell:
        answer = await shell.post(
            "/decode", content=await _sealed(settings), headers={"Authorization": "Bearer wp_a_b"}
        )
    assert answer.status_code == 503


def _browser(settings: Settings, db: Database | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create(settings, db)), base_url="http://codec.test")


async def _sealed(settings: Settings) -> str:
    sealed = await converter(keyring(settings)).encode([{"address": "203.0.113.9"}])
    return str(json_format.MessageToJson(Payloads(payloads=sealed)))


def _opens(answer: httpx.Response) -> bool:
    return b"203.0.113.9" in json_format.Parse(answer.text, Payloads()).payloads[0].data


async def test_what_others_encoded_passes(settings: Settings) -> None:
    codec = converter(keyring(settings)).payload_codec
    assert codec is not None
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert await codec.decode([plain]) == [plain]


def test_without_a_sign_in_the_codec_server_starts_without_the_store() -> None:
    """`make up` waits for it; the tables and their library take most of a second."""
    asked = "import sys, api.codec_server; sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'sqlmodel')))"
    assert subprocess.run([sys.executable, "-c", asked], check=False, timeout=60).returncode == 0
