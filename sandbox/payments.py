"""A payment gateway with test cards; the same idempotency key is one effect and one answer.

``python -m sandbox.payments --port 10081 --state DIR``. Cards: ``tok_visa`` and ``pm_card_visa`` pay,
``tok_declined`` and ``pm_card_chargeDeclined`` do not, ``tok_expired_auth`` authorises and has expired
by the capture. Faults: those of ``sandbox.program``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from sandbox import state as states
from sandbox.program import Held, app_with_faults, arguments, serve

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


class Gateway(Held):
    """Payments by id, and answers by idempotency key."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, {"payments": {}, "answers": {}})

    def answer(self, key: str, status: int, body: dict[str, Any]) -> JSONResponse:
        """Remember the answer under its key, write, then give it."""
        if key:
            self.held["answers"][key] = [status, body]
        self.keep()
        return JSONResponse(body, status_code=status)

    def told(self, key: str) -> JSONResponse | None:
        """The answer that was given to this key before."""
        found = self.held["answers"].get(key) if key else None
        return JSONResponse(found[1], status_code=found[0]) if found else None


def create(gateway: Gateway) -> FastAPI:
    """The gateway's HTTP API."""
    app = app_with_faults("Sandbox payment gateway", "gateway", gateway)

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
    given = arguments(__doc__).parse_args()
    gateway = Gateway(states.file_in(given.state, "payments.json"))
    serve(create(gateway), given.port)


if __name__ == "__main__":
    main()
