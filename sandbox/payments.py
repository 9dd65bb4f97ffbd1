"""A payment gateway with test cards; the same idempotency key is one effect and one answer.

``python -m sandbox.payments --port 10081 --state DIR``. Cards: ``tok_visa`` and ``pm_card_visa`` pay,
``tok_declined`` and ``pm_card_chargeDeclined`` do not, ``tok_expired_auth`` authorises and has expired
by the capture. Faults: ``PUT /v1/faults`` with ``lost``, ``down`` and ``slow`` as at the vendor.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from sandbox import state as states

GOOD = ("tok_visa", "pm_card_visa", "pm_card_mastercard")
EXPIRING = "tok_expired_auth"
NEXT = {
    "authorise": ("open", "authorised"),
    "capture": ("authorised", "captured"),
    "cancel": ("authorised", "cancelled"),
    "refund": ("captured", "refunded"),
}


class Wanted(BaseModel):
    """A payment to open, which holds nothing yet; ``amount`` in units of the currency, as text."""

    order: str
    amount: str
    currency: str
    method: str


class Gateway:
    """Payments by id, and answers by idempotency key."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.held: dict[str, Any] = states.load(file, {"payments": {}, "answers": {}, "faults": {}})

    def answer(self, key: str, status: int, body: dict[str, Any]) -> JSONResponse:
        """Remember the answer under its key, write, then give it."""
        if key:
            self.held["answers"][key] = [status, body]
        states.keep(self.file, self.held)
        return JSONResponse(body, status_code=status)

    def told(self, key: str) -> JSONResponse | None:
        """The answer that was given to this key before."""
        found = self.held["answers"].get(key) if key else None
        return JSONResponse(found[1], status_code=found[0]) if found else None


def create(gateway: Gateway) -> FastAPI:
    """The gateway's HTTP API."""
    app = FastAPI(title="Sandbox payment gateway")

    @app.middleware("http")
    async def faults(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        planned = gateway.held["faults"]
        if request.url.path == "/v1/faults":
            return await call(request)
        if planned.get("down", 0) > 0:
            planned["down"] -= 1
            return JSONResponse({"detail": "The gateway is down."}, status_code=503)
        answer = await call(request)
        if request.method != "GET":
            await asyncio.sleep(planned.get("slow", 0) / 1000)
        if request.method != "GET" and planned.get("lost", 0) > 0:
            planned["lost"] -= 1
            return JSONResponse({"detail": "The answer was lost."}, status_code=502)
        return answer

    @app.put("/v1/faults")
    async def set_faults(wanted: dict[str, int]) -> dict[str, int]:
        gateway.held["faults"] = wanted
        return wanted

    @app.post("/v1/payments")
    async def begin(wanted: Wanted, idempotency_key: Annotated[str, Header()] = "") -> JSONResponse:
        if before := gateway.told(idempotency_key):
            return before
        made = {
            "id": f"pay_{len(gateway.held['payments']) + 1}",
            "status": "open",
            **wanted.model_dump(),
        }
        gateway.held["payments"][made["id"]] = made
        return gateway.answer(idempotency_key, 200, made)

    @app.post("/v1/payments/{ref}/{step}")
    async def move(ref: str, step: str, idempotency_key: Annotated[str, Header()] = "") -> JSONResponse:
        if before := gateway.told(idempotency_key):
            return before
        payment = gateway.held["payments"].get(ref)
        if payment is None or step not in NEXT:
            return JSONResponse({"detail": f"There is no {step} of {ref}."}, status_code=404)
        if step == "authorise" and payment["method"] not in (*GOOD, EXPIRING):
            return gateway.answer(idempotency_key, 402, {"detail": "The card was declined."})
        if step == "capture" and payment["method"] == EXPIRING:
            return gateway.answer(idempotency_key, 402, {"detail": "The authorisation has expired."})
        since, until = NEXT[step]
        if payment["status"] not in (since, until) and (step, payment["status"]) != ("cancel", "open"):
            return gateway.answer(idempotency_key, 409, {"detail": f"{ref} is {payment['status']}, no {step}."})
        payment["status"] = until
        return gateway.answer(idempotency_key, 200, dict(payment))

    @app.get("/v1/payments")
    async def find(order: str | None = None) -> list[dict[str, Any]]:
        return [one for one in gateway.held["payments"].values() if order in (None, one["order"])]

    @app.get("/v1/payments/{ref}")
    async def show(ref: str) -> JSONResponse:
        found = gateway.held["payments"].get(ref)
        return JSONResponse(found or {"detail": f"There is no payment {ref}."}, status_code=200 if found else 404)

    return app


def main() -> None:
    """Serve on loopback until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder or JSON file that is kept")
    given = parser.parse_args()
    gateway = Gateway(states.file_in(given.state, "payments.json"))
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(create(gateway), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
