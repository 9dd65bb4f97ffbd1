"""Opens sealed payloads for the Temporal UI of an operator's own browser.

Histories hold no secrets (those travel by reference), so what this shows is what the console shows.
It listens on loopback; an installation puts it behind the same sign-in as the UI.
"""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

import settings as configuration
from settings import Settings
from workflows.client import keyring
from workflows.codec import SealedPayloads


def create(settings: Settings | None = None) -> FastAPI:
    """The codec server; only pages of the Temporal UI may call it from a browser."""
    chosen = settings or configuration.load()
    codec = SealedPayloads(keyring(chosen))
    app = FastAPI(title="Warmpath codec server", docs_url=None, openapi_url=None)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[chosen.temporal_ui_url, chosen.temporal_ui_url.replace("127.0.0.1", "localhost")],
        allow_methods=["POST"],
        allow_headers=["content-type", "x-namespace", "authorization"],
        allow_credentials=True,
    )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/decode")
    async def decode(request: Request) -> Response:
        try:
            sealed = json_format.Parse(await request.body(), Payloads())
            clear = await codec.decode(sealed.payloads)
        except (json_format.ParseError, ValueError) as error:
            return Response(str(error), 400, media_type="text/plain")
        return Response(json_format.MessageToJson(Payloads(payloads=clear)), media_type="application/json")

    return app


if __name__ == "__main__":
    loaded = configuration.load()
    uvicorn.run(create(loaded), host="127.0.0.1", port=loaded.codec_port, log_level="warning")
