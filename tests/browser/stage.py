"""What an operator and the world do to a running system before it is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request

from api.webhooks import generic
from sandbox import tour
from sandbox.caller import Caller, Json
from sandbox.environment import prepare
from settings import Settings
from tests.browser.running import ROOT, System

#: Replies of a busy fleet: kind, mailbox provider, words, how many, over how many IPs and days.
REPLIES = (
    ("bounced", "other", "550 5.1.1 <{to}>: Recipient address rejected: User unknown in mailbox table", 46, 5, 9),
    (
        "deferred", "gmail", "421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your "
        "IP Netblock [{ip}]. To protect our users from spam, mail has been temporarily rate limited. - gsmtp", 31, 3, 6,
    ),
    ("deferred", "gmail", "452 4.2.2 The recipient's inbox is out of storage space. - gsmtp", 12, 2, 7),
    ("deferred", "yahoo", "421 4.7.0 [TSS04] Messages from {ip} temporarily deferred due to user complaints", 9, 2, 3),
    ("failed", "microsoft", "550 5.7.509 Access denied, sending domain example.com does not pass DMARC", 7, 1, 2),
    ("failed", "other", "554 5.7.1 Message rejected: content looks like spam", 4, 1, 4),
    ("deferred", "other", "451 4.7.1 Greylisting in action, please come back later", 3, 1, 1),
    ("failed", "other", "599 vogon poetry required", 1, 1, 1),
)  # fmt: skip


class Stage:
    """Brings a system into the states that are photographed, through its HTTP API as an operator would."""

    def __init__(self, running: System) -> None:
        self.running = running
        os.environ.update({k: v for k, v in running.environment.items() if k.startswith("WARMPATH_")})
        os.environ.update(prepare(Settings()))
        self.settings = Settings()
        self.api = Caller(self.settings)

    def seed(self) -> None:
        """The first fleet of a sandbox."""
        subprocess.run([sys.executable, "-m", "sandbox.seed"], cwd=ROOT, env=os.environ, check=True, timeout=120)

    def fleet(self) -> None:
        """The first fleet, if it is not there yet."""
        if not self.api.get("/v1/ips?q=198.51.100.12")["items"]:
            self.seed()

    def warm(self, address: str, days: int) -> None:
        """A warm-up with so many closed days."""
        path = f"/v1/ips/{address}/warmup"
        self.api.until(path, lambda warmup: len(warmup["history"]) >= days, 90)

    def imported(self, address: str, stage: str, host: str) -> None:
        """One owned IP, in service."""
        domain = host.partition(".")[2]
        row = {"address": address, "type": "dedicated", "stage": stage, "pool": "default", "domain": domain}
        self.api.post("/v1/ips/import", [row | {"hostname": host, "safe_limit": 2000}], f"import-{address}")
        self.api.until(f"/v1/ips/{address}", lambda ip: ip["stage"] == stage, 60)

    def declined(self) -> str:
        """An order whose card is declined."""
        order = tour.order(self.api, self.settings, "example-mail.test", "mta9.example-mail.test", "declined")
        path = f"/v1/orders/{order['id']}"
        self.api.post(f"{path}/purchase", {"payment_method": "pm_card_chargeDeclined"}, "declined-pay")
        self.api.until(path, lambda one: one["status"] == "failed", 60)
        return str(order["id"])

    def sending(self) -> None:
        """Pools, senders and campaigns, one of them paused; and a pool that nobody gave an IP."""
        for path, body in (
            ("pools", {"name": "bulk", "overflow": "default"}),
            ("senders", {"name": "acme", "pool": "default", "matches": ["acme.test", "news@acme.test", "smtp-17"]}),
            ("senders", {"name": "bank", "pool": "bulk", "matches": ["bank.test"]}),
            ("campaigns", {"name": "spring-news", "sender": "acme"}),
            ("campaigns", {"name": "receipts", "sender": "bank"}),
            ("campaigns/pause", {"scope": {"campaign": "spring-news"}, "reason": "the unsubscribe link is broken"}),
        ):
            self.api.post(f"/v1/{path}", body)

    def paused(self, verb: str, *scopes: Json) -> None:
        """Mail of these scopes is paused, or resumed."""
        for scope in scopes:
            self.api.post(f"/v1/campaigns/{verb}", {"scope": scope, "reason": "a login was stolen; see ticket 4711"})

    def quoted(self) -> str:
        """An order that waits for its payment."""
        return str(tour.order(self.api, self.settings, "news.test", "mta8.news.test", "quoted")["id"])

    def by_hand(self, label: str) -> str:
        """A bought IP whose domain only a registrar can change."""
        order = tour.order(self.api, self.settings, "byhand.test", f"{label}.byhand.test", label)
        address = tour.first_address(tour.purchase(self.api, order["id"], f"{label}-pay"))
        self.api.until(f"/v1/ips/{address}/dns", lambda dns: bool(dns["records"]), 60)
        return address

    def typed_wrong(self, address: str) -> None:
        """The registrar entered another address than the one asked for."""
        path = f"/v1/ips/{address}/dns"
        records: list[Json] = self.api.get(path)["records"]
        for record in records:
            if record["type"] == "A":
                record["expected"] = ["198.51.100.99"]
        tour.Registrar(self.settings).enter("byhand.test", [one for one in records if one["type"] in ("A", "MX")])
        self.api.post(f"{path}/verify")

    def alarmed(self, address: str) -> None:
        """A monitor reports a critical listing; the IP is at risk."""
        switched = urllib.request.Request(
            f"{self.running.senders}/{address}",
            json.dumps({"listed": True}).encode(),
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(switched, timeout=10) as reply:
            assert reply.status < 300
        self.api.until(f"/v1/ips/{address}", lambda ip: ip["stage"] in ("at_risk", "quarantined"), 60)

    def replied(self) -> None:
        """Nine days of replies of mail servers, as a mail system reports them; none blocks an IP."""
        day, now = 86_400, time.time()
        told: list[Json] = [
            {
                "id": f"said-{place}-{number}",
                "kind": kind,
                "provider": provider,
                "ip": f"198.51.100.{200 + number % ips}",
                "sender": "shop" if number % 3 else "newsletter",
                "campaign": "spring sale" if number % 2 else "",
                "recipient": f"reader{number}@{provider}.example",
                "message_id": f"<{place}.{number}@shop.example>",
                "detail": said.format(ip=f"198.51.100.{200 + number % ips}", to=f"Reader{number}@{provider}.example"),
                "at": now - (number % days) * day - 60 * place,
            }
            for place, (kind, provider, said, count, ips, days) in enumerate(REPLIES)
            for number in range(count)
        ]
        self._reported(told)

    def strayed(self) -> None:
        """A block of an IP that is not here: a dead letter."""
        block = "550 5.7.1 [192.0.2.99] Our system has detected an unusual rate of unsolicited mail from your IP"
        self._reported([{"id": "stray", "kind": "blocked", "provider": "gmail", "ip": "192.0.2.99", "detail": block,
                         "at": time.time()}])  # fmt: skip

    def _reported(self, told: list[Json]) -> None:
        """Events as a mail system of one's own reports them."""
        secret = self.settings.webhook_generic_secret
        assert secret is not None
        body, name, stamp = json.dumps(told).encode(), f"reported-{time.time_ns()}", str(int(time.time()))
        signature = generic.sign(secret.get_secret_value(), name, stamp, body)
        headers = {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": signature}
        asked = urllib.request.Request(
            f"{self.running.api}/v1/webhooks/generic", body, headers | {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=10) as reply:
            assert json.load(reply)["new"] == len(told)

    def stands(self, words: str) -> None:
        """Waits until the API tells that journeys stand still; of a worker it is known after two minutes."""
        self.api.until("/v1/attention", lambda found: any(words in one["text"] for one in found["items"]), 240)

    def listed(self, address: str) -> None:
        """A look at the blocklists that finds the IP."""
        self.api.post(f"/v1/ips/{address}/reputation/check")
        self.api.until(f"/v1/ips/{address}/reputation", lambda found: bool(found["listings"]), 60)
