"""Nothing readable leaves the process towards Temporal."""

from __future__ import annotations

import httpx
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from api.codec_server import create
from settings import Settings
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
    sealed = await converter(keyring(settings)).encode([{"address": "203.0.113.9"}])
    body = json_format.MessageToJson(Payloads(payloads=sealed))
    transport = httpx.ASGITransport(create(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://codec.test") as browser:
        ours = await browser.post("/decode", content=body, headers={"Origin": settings.temporal_ui_url})
        other = await browser.post("/decode", content=body, headers={"Origin": "http://elsewhere.test"})
        broken = await browser.post("/decode", content="{")
    opened = json_format.Parse(ours.text, Payloads()).payloads[0]
    assert b"203.0.113.9" in opened.data
    assert ours.headers["access-control-allow-origin"] == settings.temporal_ui_url
    assert "access-control-allow-origin" not in other.headers
    assert broken.status_code == 400


async def test_what_others_encoded_passes(settings: Settings) -> None:
    codec = converter(keyring(settings)).payload_codec
    assert codec is not None
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert await codec.decode([plain]) == [plain]
