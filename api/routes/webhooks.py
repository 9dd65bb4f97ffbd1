"""The way in for events: raw body, one transaction, then an answer."""

from __future__ import annotations

import time
from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from api import metrics
from api.deps import AppSettings, Store
from api.problems import RESPONSES, FieldError, problem
from api.webhooks import intake, strays, stripe
from api.webhooks.reading import Rejected
from api.webhooks.registry import SOURCES, opened
from api.webhooks.source import Delivery
from domain.events import Kind
from store.events_intake import Batch

log = structlog.get_logger()

#: Asked of each event: a member of an enumeration is looked up ten times slower than a name of the module.
_UNKNOWN = Kind.UNKNOWN

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class Taken(BaseModel):
    """How many events came and how many were not seen before.

    `unknown`, there only when it holds something, names types of events that this release does not know: they are kept,
    counted nowhere, and shown to a person.
    """

    received: int
    new: int
    unknown: list[str] = Field(default_factory=list, exclude_if=lambda told: not told)


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


_USED: dict[int | str, dict[str, Any]] = {
    406: {**RESPONSES[400], "description": "A token that is of use once came again: a replay."},
}


async def take(source: str, request: Request) -> Response:
    """Events of a source, signed by it; the same event twice counts once."""
    state = request.app.state
    body = await request.body()
    try:
        delivery = Delivery(
            body, request.headers, state.settings, time.time(), getattr(state, "webhook_fetcher", intake.fetch)
        )
        reading = await opened(source, state.settings).read(delivery)
        new = await intake.of(request.app).take(Batch(reading.events, reading.once)) if reading.events else []
        if new is None:
            # 406 tells the sources that sign single tokens that trying again is of no use.
            raise Rejected("This signed token was used before: a replay.", status=406, code="replayed")
    except Rejected as refusal:
        named = [FieldError(field=refusal.field, message=refusal.detail, code=refusal.code)]
        return problem(refusal.status, "Webhook refused", refusal.detail, named)
    strangers = await strays.strangers(state.db, reading.events)
    if strangers:
        detail = (
            f"{', '.join(strangers[:5])}: no such IP here, so nothing can act on it; import the IP, or correct the "
            "label of the alert. It was kept as a dead letter."
        )
        named = [FieldError(field="ip", message=detail, code="unknown_ip")]
        return problem(404, "Unknown IP", detail, named)
    relay = getattr(state, "relay", None)
    if relay is not None and any(event.stops_mail for event in new):
        relay.kick()
    unknown = sorted({event.detail for event in reading.events if event.kind is _UNKNOWN})
    if unknown:
        metrics.UNKNOWN_EVENTS.labels(source).inc(sum(event.kind is _UNKNOWN for event in reading.events))
        log.warning("webhook.unknown_events", source=source, types=unknown[:20])
    answer = intake.answer(len(reading.events), len(new), unknown[:20])
    return Response(answer, media_type="application/json")


router.add_api_route("/{source}", take, methods=["POST"], response_model=Taken, responses=_USED)


class Straight(BaseRoute):
    """The way to :func:`take` without FastAPI's search for a route and its parameters: a third of an empty POST.

    The route above describes it, and answers for names that are no source.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether somebody posts to a source."""
        prefix, _, source = scope["path"].rpartition("/") if scope["type"] == "http" else ("", "", "")
        if prefix != router.prefix or source not in SOURCES or scope["method"] != "POST":
            return Match.NONE, {}
        return Match.FULL, {"path_params": {"source": source}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take what is posted."""
        response = await take(scope["path_params"]["source"], Request(scope, receive, send))
        await response(scope, receive, send)
