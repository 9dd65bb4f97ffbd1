"""Every table, imported here so that metadata is complete; one file per journey."""

from store.tables import (
    accounts,
    dns,
    events,
    incidents,
    ips,
    ledger,
    outbox,
    purchase,
    reputation,
    routes,
    senders,
    warmup,
)

__all__ = [
    "accounts",
    "dns",
    "events",
    "incidents",
    "ips",
    "ledger",
    "outbox",
    "purchase",
    "reputation",
    "routes",
    "senders",
    "warmup",
]
