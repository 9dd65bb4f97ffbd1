"""The application: what it needs, how it stops, which routes it has."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import structlog
from fastapi import FastAPI
from temporalio.client import Client

import logs
import settings as configuration
from api import limits, metrics, outbox, placing, problems
from api.deps import RateLimit
from api.routes import (
    account,
    campaigns,
    dead_letters,
    dns,
    gate,
    health,
    importing,
    incidents,
    lifecycle,
    performance,
    pools,
    purchase,
    reputation,
    warmup,
    webhooks,
)
from api.routes import replies as replies_seen
from api.webhooks import intake
from domain import replies
from settings import Settings
from store.database import Database
from store.secrets import Secrets
from workflows.client import connect, keyring

log = structlog.get_logger()

# Routes are tried one after the other: the ones that are asked all day come first.
ROUTES = (
    gate, webhooks, health, lifecycle, performance, purchase, importing, dns, warmup, reputation, incidents,
    pools, campaigns, replies_seen, dead_letters, account,
)  # fmt: skip


def create(settings: Settings | None = None, db: Database | None = None, temporal: Client | None = None) -> FastAPI:
    """The application; tests hand in their own store and client."""
    chosen = settings or configuration.load()
    logs.configure(chosen)
    if chosen.reply_rules_dir is not None:
        replies.use(chosen.reply_rules_dir)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if temporal is None:
            _spare_collections()
        tasks = [] if temporal else [asyncio.create_task(_connect(app))]
        tasks += [asyncio.create_task(outbox.relay(app)), asyncio.create_task(placing.run(app))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await intake.of(app).close()
        if db is None:
            await app.state.db.close()

    app = FastAPI(
        title="Warmpath",
        version="0.1.0",
        description="A control plane for the IP addresses that mail is sent from.",
        lifespan=lifespan,
        responses=problems.RESPONSES,
    )
    app.state.settings = chosen
    app.state.db = db or Database.open(chosen.database_url, synchronous=chosen.sqlite_synchronous)
    app.state.secrets = Secrets(app.state.db, keyring(chosen))
    app.state.temporal = temporal
    app.state.rate_limit = RateLimit(chosen.rate_limit_per_minute)
    problems.install(app)
    app.add_middleware(limits.BodyLimit, limit=chosen.max_body_bytes)
    app.add_middleware(metrics.CountRequests)
    app.router.routes.insert(0, webhooks.Straight())
    for route in ROUTES:
        app.include_router(route.router)
    return app


def _spare_collections() -> None:
    """Let the garbage collector leave alone what lives as long as the process, and look at the rest less often.

    A batch of events makes thousands of short-lived objects: by default each batch would have the collector go
    through them several times, and now and then through every module. A third of the time of a batch was that.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _connect(app: FastAPI) -> None:
    """Keep trying until Temporal answers: the API starts without it and says so in /readyz."""
    while app.state.temporal is None:
        try:
            app.state.temporal = await connect(app.state.settings)
        except RuntimeError as error:
            log.warning("temporal does not answer", reason=str(error).splitlines()[0])
            await asyncio.sleep(0.5)
