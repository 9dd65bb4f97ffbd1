"""Pictures of every page in every state: ``python -m tests.browser.screenshots FOLDER [--state STATE ...]``.

Starts a system of its own on free ports and brings it into each state by its own means: no IP yet (``empty``), a
fleet in different stages (``full``), and trouble (``trouble``: a declined payment, DNS that waits, is wrong or past
its deadline, a listed IP, an IP at risk; ``viewer``: a role that may only look; ``standing``: no worker takes work,
Temporal does not answer; ``api``: an API that is down, refuses, or went away while a page was open). Each picture is
1280 x 800, light and dark: ``FOLDER/STATE/PAGE-1280-light.png``; ``--width`` (again and again) and ``--tall`` ask for
other windows.

Look at every one before calling work on the console done.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from api.webhooks import generic
from sandbox import tour
from sandbox.caller import Caller, Json
from sandbox.environment import prepare
from settings import Settings
from tests.browser.running import ROOT, Mode, System, console, gateway, standing, system

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Long enough to look at a warm-up in the middle, short enough that there is one.
DAY_SECONDS = 8
#: Long enough to see DNS wait, short enough to see it past its deadline.
DNS_DEADLINE_HOURS = 0.05

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

#: Path of each page, by the name of its picture.
PAGES = {
    "ip-management-dashboard": "/",
    "ip-acquisition": "/ip-acquisition",
    "payment-gateway": "/payment-gateway",
    "dns-management-portal": "/dns-management-portal",
    "dns-configuration": "/dns-configuration",
    "warmup-dashboard": "/warmup-dashboard",
    "campaigns": "/campaigns",
    "performance-metrics": "/performance-metrics",
    "reply-explorer": "/reply-explorer",
    "reputation-dashboard": "/reputation-dashboard",
    "audit": "/audit",
    "tokens": "/tokens",
    "settings": "/settings",
}
#: Pages that are about one IP.
ABOUT_ONE = ("dns-management-portal", "dns-configuration", "warmup-dashboard", "reputation-dashboard")


def settled(page: Page) -> None:
    """Waits until Streamlit has drawn the page and its charts stand."""
    page.get_by_role("heading", level=1).wait_for(timeout=60_000)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000)
    page.wait_for_function("document.querySelectorAll('[data-testid=stSkeleton]').length === 0", timeout=60_000)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 700)))")


@dataclass(frozen=True)
class Camera:
    """Takes pictures of pages of one console into one folder."""

    browser: Browser
    url: str
    folder: Path
    widths: tuple[int, ...] = (1280,)
    tall: bool = False
    themes: tuple[str, ...] = ("light", "dark")

    def open(self, path: str) -> Page:
        """A page of a fresh browser session."""
        page = self.browser.new_page(viewport=self.window(self.widths[0]), color_scheme="light")
        page.set_default_timeout(60_000)
        page.goto(f"{self.url}{path}")
        settled(page)
        return page

    def window(self, width: int) -> ViewportSize:
        """The size of a window of a width in pixels."""
        return {"width": width, "height": 2400 if self.tall else 800}

    def take(self, page: Page, name: str) -> None:
        """The page as it stands, at each width, light and then dark."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for width in self.widths:
            page.set_viewport_size(self.window(width))
            for theme in self.themes:
                page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
                settled(page)
                page.screenshot(path=str(self.folder / f"{name}-{width}-{theme}.png"))

    def shoot(self, name: str, path: str) -> None:
        """Opens a page and takes it."""
        page = self.open(path)
        self.take(page, name)
        page.close()

    def all_pages(self, ip: str | None = None) -> None:
        """Every page; those about one IP about this one."""
        for name, path in PAGES.items():
            self.shoot(name, f"{path}?ip={ip}" if ip and name in ABOUT_ONE else path)
        if ip:
            self.shoot("one-ip", f"/?ip={ip}")


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
        secret = self.settings.webhook_generic_secret
        assert secret is not None
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
        body, name, stamp = json.dumps(told).encode(), f"replied-{time.time_ns()}", str(int(now))
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


def replies(camera: Camera, stage: Stage) -> None:
    """The Reply Explorer: full, with one reply open, and after a question."""
    stage.replied()
    camera.shoot("reply-explorer", "/reply-explorer")
    most = stage.api.get("/v1/replies")["items"][0]["id"]
    camera.shoot("reply-explorer-one", f"/reply-explorer?reply={most}")
    page = camera.open("/reply-explorer")
    page.get_by_role("tab", name="What would you make of this?", exact=True).click()
    page.get_by_label("Replies", exact=True).fill(
        "\n".join(said.format(ip="198.51.100.200", to="ada@example.org") for _, _, said, *_ in REPLIES)
    )
    page.get_by_role("button", name="Read them", exact=True).click()
    page.get_by_text("Take the address off the list").first.wait_for()
    camera.take(page, "reply-explorer-asked")
    page.close()


def empty(camera: Camera, stage: Stage) -> None:
    """Nobody bought anything yet."""
    camera.all_pages()


def full(camera: Camera, stage: Stage) -> None:
    """A fleet in different stages, and one order at each end."""
    replies(camera, stage)
    stage.seed()
    stage.quoted()
    stage.sending()
    warming = "198.51.100.12"
    stage.warm(warming, 6)
    camera.all_pages(warming)
    camera.shoot("one-ip-active", "/?ip=203.0.113.20")
    camera.shoot("one-ip-full-capacity", "/?ip=198.51.100.10")
    camera.shoot("warmup-dashboard-plan", "/warmup-dashboard?ip=203.0.113.20")
    order = next(one for one in stage.api.get("/v1/orders")["items"] if one["status"] == "purchased")
    camera.shoot("one-order-purchased", f"/payment-gateway?order={order['id']}")
    camera.shoot("dns-configuration-verified", f"/dns-configuration?ip={order['ips'][0]}")
    camera.shoot("dns-management-portal-verified", f"/dns-management-portal?ip={order['ips'][0]}")
    camera.shoot("one-order-quoted", f"/payment-gateway?order={stage.quoted()}")
    for view in ("Senders", "Pools"):
        page = camera.open("/campaigns")
        page.get_by_role("radio", name=view, exact=True).click()
        page.get_by_role("button", name="Edit", exact=True).first.click()
        page.get_by_role("button", name="Not now", exact=True).wait_for()
        page.get_by_text(f"New {view[:-1].lower()}", exact=True).click()
        camera.take(page, f"campaigns-{view.lower()}")
        page.close()


def trouble(camera: Camera, stage: Stage) -> None:
    """What wakes a person."""
    stage.imported("198.51.100.66", "full_capacity", "mta66.news.test")
    stage.listed("198.51.100.66")
    stage.imported("198.51.100.30", "warming", "mta30.news.test")
    declined = stage.declined()
    waiting, wrong = stage.by_hand("mta1"), stage.by_hand("mta2")
    stage.typed_wrong(wrong)
    camera.shoot("one-ip-waits-for-dns", f"/?ip={waiting}")
    camera.shoot("dns-management-portal-waiting", f"/dns-management-portal?ip={waiting}")
    camera.shoot("dns-configuration-waiting", f"/dns-configuration?ip={waiting}")
    camera.shoot("dns-configuration-wrong", f"/dns-configuration?ip={wrong}")
    stage.warm("198.51.100.30", 3)
    stage.alarmed("198.51.100.30")
    camera.all_pages("198.51.100.30")
    camera.shoot("one-order-declined", f"/payment-gateway?order={declined}")
    stage.api.until(f"/v1/ips/{waiting}/dns", lambda dns: dns["state"] == "escalated", 240)
    camera.shoot("one-ip-overdue", f"/?ip={waiting}")
    camera.shoot("dns-configuration-overdue", f"/dns-configuration?ip={waiting}")
    camera.shoot("one-ip-listed", "/?ip=198.51.100.66")
    camera.shoot("reputation-dashboard-listed", "/reputation-dashboard?ip=198.51.100.66")
    page = camera.open("/ip-acquisition")
    page.get_by_label("Sending domain", exact=True).fill("no such domain")
    page.get_by_label("Host name (A record, HELO)", exact=True).fill("mta1.example-mail.test")
    page.get_by_role("button", name="Save IP Configuration", exact=True).click()
    page.get_by_text("✕").first.wait_for()
    camera.take(page, "ip-acquisition-refused")
    page.close()
    page = camera.open("/warmup-dashboard?ip=198.51.100.30")
    page.get_by_role("button", name="Complete early", exact=True).click()
    page.get_by_text("Complete the warm-up early?").wait_for()
    camera.take(page, "warmup-dashboard-question")
    page.close()
    page = camera.open("/reputation-dashboard?ip=198.51.100.30")
    page.get_by_role("button", name="Pause All Campaigns").click()
    page.get_by_label("Type PAUSE to confirm").wait_for()
    camera.take(page, "pause-all-campaigns-question")
    page.close()
    stage.paused("pause", {"pool": "default"}, {"all": True})
    camera.shoot("paused-campaigns", "/campaigns")
    camera.shoot("paused-one-ip", "/?ip=198.51.100.66")
    page = camera.open("/warmup-dashboard?ip=198.51.100.30")
    page.get_by_role("button", name="Resume All Campaigns").click()
    page.get_by_label("Reason", exact=True).wait_for()
    camera.take(page, "paused-question")
    page.close()
    stage.paused("resume", {"pool": "default"}, {"all": True})


def viewer(camera: Camera, stage: Stage) -> None:
    """The console of somebody who may only look."""
    stage.fleet()
    stage.quoted()
    token = str(stage.api.post("/v1/tokens", {"name": "on call", "role": "viewer"})["token"])
    with console(stage.running.api, token, stage.running.var / "viewer") as url:
        seen = replace(camera, url=url)
        seen.all_pages("198.51.100.12")
        quoted = next(one for one in stage.api.get("/v1/orders")["items"] if one["status"] == "quoted")
        seen.shoot("one-order", f"/payment-gateway?order={quoted['id']}")
        stage.paused("pause", {"all": True})
        seen.shoot("paused", "/reputation-dashboard?ip=198.51.100.12")
        stage.paused("resume", {"all": True})


def still(camera: Camera, stage: Stage) -> None:
    """Journeys that stand still, and a command given meanwhile."""
    stage.fleet()
    with standing(stage.running, "start-dev"):
        stage.stands("Temporal does not answer")
        camera.shoot("temporal-ip-management-dashboard", "/")
        camera.shoot("temporal-warmup-dashboard", "/warmup-dashboard?ip=198.51.100.12")
    with standing(stage.running, "worker.py"):
        stage.stands("No worker takes work")
        camera.shoot("worker-ip-management-dashboard", "/")
        page = camera.open("/warmup-dashboard?ip=203.0.113.20")
        page.get_by_role("button", name="Start Warmup", exact=True).click()
        page.get_by_text("The journey has not answered").first.wait_for()
        camera.take(page, "worker-command")
        page.close()


def api(camera: Camera, stage: Stage) -> None:
    """An API that is down, that refuses, and that went away while pages were open; and nobody signed in."""
    stage.fleet()
    with ExitStack() as held:
        door = held.enter_context(gateway(stage.running.api))
        folder = stage.running.var / "door"
        url = held.enter_context(console(door.url, stage.running.token, folder))
        seen = replace(camera, url=url)
        for mode, name in ((Mode.DOWN, "down"), (Mode.REFUSING, "refusing")):
            door.mode = mode
            for shown in ("ip-management-dashboard", "ip-acquisition", "warmup-dashboard", "tokens"):
                seen.shoot(f"{name}-{shown}", PAGES[shown])
        door.mode = Mode.OPEN
        for page_name, path in (
            ("ip-management-dashboard", "/"),
            ("one-ip", "/?ip=198.51.100.10"),
            ("warmup-dashboard", "/warmup-dashboard?ip=198.51.100.12"),
            ("reputation-dashboard", "/reputation-dashboard?ip=198.51.100.10"),
        ):
            page = seen.open(path)
            door.mode = Mode.DOWN
            page.get_by_text("Stale: the API does not answer").first.wait_for()
            seen.take(page, f"stale-{page_name}")
            door.mode = Mode.OPEN
            page.close()
        out = held.enter_context(console(door.url, None, stage.running.var / "out"))
        replace(camera, url=out).shoot("signed-out", "/")


#: Each state and what brings a system into it and takes it.
TAKEN = {"empty": empty, "full": full, "trouble": trouble, "viewer": viewer, "standing": still, "api": api}


def main() -> None:
    """The command."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--state", choices=TAKEN, action="append", help="only this state; may be given again")
    words.add_argument("--theme", choices=("light", "dark"), action="append", help="only this theme")
    words.add_argument("--width", type=int, action="append", help="of the window, in pixels; may be given again")
    words.add_argument("--tall", action="store_true", help="a window tall enough for whole pages")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="warmpath-pictures-") as var, sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with system(Path(var), day_seconds=DAY_SECONDS, dns_deadline_hours=str(DNS_DEADLINE_HOURS)) as running:
            stage = Stage(running)
            for name in given.state or TAKEN:
                themes, widths = tuple(given.theme or ("light", "dark")), tuple(given.width or (1280,))
                camera = Camera(browser, running.console, given.folder / name, widths, given.tall, themes)
                TAKEN[name](camera, stage)
        browser.close()


if __name__ == "__main__":
    main()
