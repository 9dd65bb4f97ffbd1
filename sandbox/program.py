"""What the sandbox's programs over HTTP share: their arguments, the faults that are planned for them, their start.

Faults are told by ``PUT /v1/faults``: ``down`` (so many calls are refused), ``slow`` (the answer to a change comes so
many milliseconds after it is done), ``lost`` (so many changes are done but their answer is lost).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from sandbox import state as states


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """An answer that says why not."""
    return JSONResponse({"code": code, "detail": detail}, status_code=status)


class Held:
    """What a program knows, in one JSON file; ``faults`` are among it."""

    def __init__(self, file: Path, fresh: dict[str, Any]) -> None:
        self.file = file
        self.held = states.load(file, {**fresh, "faults": {}})

    def keep(self) -> None:
        """Write the state."""
        states.keep(self.file, self.held)


def app_with_faults(title: str, name: str, program: Held) -> FastAPI:
    """An application whose calls go wrong as planned; ``name`` is what its answers call it."""
    app = FastAPI(title=title)

    @app.middleware("http")
    async def faults(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        planned = program.held["faults"]
        if request.url.path == "/v1/faults":
            return await call(request)
        if planned.get("down", 0) > 0:
            planned["down"] -= 1
            return problem(503, "retryable", f"The {name} is down.")
        answer = await call(request)
        if request.method != "GET":
            await asyncio.sleep(planned.get("slow", 0) / 1000)
        if request.method != "GET" and planned.get("lost", 0) > 0:
            planned["lost"] -= 1
            program.keep()
            return problem(502, "retryable", "The answer was lost.")
        return answer

    @app.put("/v1/faults")
    async def set_faults(wanted: dict[str, int]) -> dict[str, int]:
        program.held["faults"] = wanted
        program.keep()
        return wanted

    return app


def arguments(description: str | None) -> argparse.ArgumentParser:
    """``--port`` and ``--state``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder or JSON file that is kept")
    return parser


def serve(app: FastAPI, port: int) -> None:
    """On loopback until stopped."""
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
