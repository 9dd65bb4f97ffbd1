"""Opens sealed payloads for the Temporal UI of an operator's own browser.

Histories hold no secrets (those travel by reference), so what this shows is what the console shows, and who may
see it is who may see the console: the holder of a token (`api/codec_sign_in.py`), except on a machine of one's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

import settings as configuration
from api.limits import BodyLimit
from settings import Settings
from workflows.client import keyring
from workflows.codec import SealedPayloads

if TYPE_CHECKING:
    from store.database import Database

#: Bytes of a request: the UI asks for the payloads of one event at once, each of which is 2 MB at the most.
LARGEST_REQUEST = 16 << 20


def create(settings: Settings | None = None, db: Database | None = None) -> FastAPI:
    """The codec server; only pages of the Temporal UI may call it from a browser. Tests hand in their own store."""
    chosen = settings or configuration.load()
    codec = SealedPayloads(keyring(chosen))
    ui = urlsplit(chosen.temporal_ui_url)
    closing = contextlib.AsyncExitStack()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with closing:
            yield

    app = FastAPI(title="Warmpath codec server", docs_url=None, openapi_url=None, lifespan=lifespan)
    sign_in = None
    if chosen.codec_sign_in:
        # The store's tables take a while to load, and without a sign-in nothing asks for them.
        from api.codec_sign_in import SignIn
        from store.database import Database

        if db is None:
            db = Database.open(chosen.database_url, synchronous=chosen.sqlite_synchronous)
            closing.push_async_callback(db.close)
        sign_in = SignIn(db, secure=ui.scheme == "https")
        app.include_router(sign_in.router)

    app.add_middleware(BodyLimit, limit=LARGEST_REQUEST)
    origin = f"{ui.scheme}://{ui.netloc}"
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin, origin.replace("127.0.0.1", "localhost")],
        allow_methods=["POST"],
        allow_headers=["content-type", "x-namespace", "authorization"],
        allow_credentials=True,
    )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/decode")
    async def decode(request: Request) -> Response:
        if sign_in is not None and (refusal := await sign_in.refusal(request)) is not None:
            return refusal
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
