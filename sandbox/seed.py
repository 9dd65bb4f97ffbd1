"""The first fleet of a fresh sandbox: an IP at every stage that a page shows. Runs once.

Every step has its own idempotency key and the imports skip what is there, so a seed that was
interrupted is simply run again.
"""

from __future__ import annotations

import os
import sys

from domain.words import DEFAULT_POOL
from sandbox import tour, zones
from sandbox.caller import Caller, Failed
from sandbox.environment import prepare
from settings import Settings

FLEET = (
    ("198.51.100.10", "full_capacity", "mta1", "news.test", DEFAULT_POOL),
    ("198.51.100.11", "full_capacity", "mta2", "news.test", DEFAULT_POOL),
    ("198.51.100.12", "warming", "mta3", "news.test", DEFAULT_POOL),
    ("203.0.113.20", "active", "mta1", "receipts.test", "receipts"),
    ("203.0.113.21", "awaiting_dns", "mta2", "receipts.test", "receipts"),
)
"""Address, stage, host label, domain, pool."""

SENDERS = (
    ("news", DEFAULT_POOL, "news.test", ("weekly", "spring-offer")),
    ("receipts", "receipts", "receipts.test", ()),
)
"""Sender, pool, domain of its mail, campaigns."""


def seed(settings: Settings) -> list[str]:
    """Fill the sandbox; the answer lists what did not work, in words."""
    api = Caller(settings)
    wrong: list[str] = []
    known = {ip["address"] for ip in api.get("/v1/ips?limit=200")["items"]}
    rows = [
        {
            "address": address,
            "type": "dedicated",
            "stage": stage,
            "pool": pool,
            "domain": domain,
            "hostname": f"{label}.{domain}",
            "safe_limit": 2000,
        }
        for address, stage, label, domain, pool in FLEET
        if address not in known
    ]
    if rows:
        made = {one["name"] for one in api.get("/v1/pools")["items"]}
        for pool in dict.fromkeys(row["pool"] for row in rows if row["pool"] not in made):
            api.post("/v1/pools", {"name": pool}, f"seed-pool-{pool}")
        api.post("/v1/ips/import", rows, "seed-import")
    for sender, pool, domain, campaigns in SENDERS:
        api.post("/v1/pools", {"name": pool}, f"seed-pool-{pool}")
        api.post("/v1/senders", {"name": sender, "pool": pool, "matches": [domain]}, f"seed-sender-{sender}")
        for campaign in campaigns:
            api.post("/v1/campaigns", {"name": campaign, "sender": sender}, f"seed-campaign-{campaign}")
    domain = zones.AUTOMATIC_DOMAINS[3]
    try:
        order = tour.order(api, settings, domain, f"mta1.{domain}", "seed-order")
        if order["status"] == "quoted":
            tour.purchase(api, order["id"], "seed-purchase")
    except Failed as error:
        wrong.append(str(error))
    return wrong


def main() -> int:
    """Seed once; the answer is the exit code."""
    os.environ.update(prepare(Settings()))
    settings = Settings()
    try:
        wrong = seed(settings)
    except Failed as error:
        wrong = [str(error)]
    for sentence in wrong:
        print(sentence)
    if not wrong:
        (settings.var_dir / "sandbox" / "seeded").touch()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
