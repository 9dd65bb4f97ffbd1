"""The way in for events: raw body, one transaction, then an answer."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from api.deps import AppSettings, Store
from api.problems import FieldError, problem
from api.webhooks import intake, stripe
from api.webhooks.reading import Rejected

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class Taken(BaseModel):
    """How many events came and how many were not seen before."""

    received: int
    new: int


@router.post("/stripe", response_model=Taken)
async def take_stripe(request: Request, db: Store, settings: AppSettings) -> Taken | Response:
    """Events of the payment provider, signed by it: each acts once on the order of its payment."""
    try:
        notice = stripe.read(await request.body(), request.headers.get("stripe-signature", ""), settings)
        new, urgent = await stripe.store(db, notice) if notice else (False, False)
    except Rejected as refusal:
        named = [FieldError(field=refusal.field, message=refusal.detail, code=refusal.code)]
        return problem(refusal.status, "Webhook refused", refusal.detail, named)
    relay = getattr(request.app.state, "relay", None)
    if urgent and relay is not None:
        relay.kick()
    return Taken(received=1, new=int(new))


@router.post("/{source}", response_model=Taken)
async def take(
    source: str, request: Request, db: Store, settings: AppSettings
) -> Taken | Response:
    """Events of a source, signed by it; the same event twice counts once."""
    body = await request.body()
    fetcher = getattr(request.app.state, "webhook_fetcher", intake.fetch)
    try:
        batch = await intake.read(
            source, body, request.headers, settings, now=time.time(), fetcher=fetcher
        )
    except Rejected as refusal:
        named = [
            FieldError(field=refusal.field, message=refusal.detail, code=refusal.code)
        ]
        return problem(refusal.status, "Webhook refused", refusal.detail, named)
    new, urgent = await intake.store(db, batch, settings)
    relay = getattr(request.app.state, "relay", None)
    if urgent and relay is not None:
        relay.kick()
    return Taken(received=len(batch), new=new)
