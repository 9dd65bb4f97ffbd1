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
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.camera import CHROMIUM, FLAGS, PAGES, Camera
from tests.browser.running import Mode, console, gateway, standing, system
from tests.browser.stage import REPLIES, Stage

#: Long enough to look at a warm-up in the middle, short enough that there is one.
DAY_SECONDS = 8
#: Long enough to see DNS wait, short enough to see it past its deadline.
DNS_DEADLINE_HOURS = 0.05


def replies(camera: Camera, stage: Stage) -> None:
    """The Reply Explorer: full, with one reply open, and after a question."""
    stage.replied()
    camera.shoot("reply-explorer", "/reply-explorer")
    most = stage.api.get("/v1/replies")["items"][0]["id"]
    camera.shoot("reply-explorer-one", f"/reply-explorer?reply={most}")
    stage.strayed()
    camera.shoot("reply-explorer-dead-letters", "/reply-explorer?part=Dead+letters")
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
    page = camera.open("/campaigns")
    page.get_by_role("radio", name="Senders", exact=True).click()
    page.get_by_role("button", name="Delete", exact=True).first.click()
    page.get_by_role("button", name="Delete now", exact=True).wait_for()
    camera.take(page, "campaigns-delete")
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
