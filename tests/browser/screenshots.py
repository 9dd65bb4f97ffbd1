"""Pictures of every page of a running console: ``python -m tests.browser.screenshots URL FOLDER``.

Light and dark, 1280 x 800, with the IP named by ``--ip`` where a page is about one, and the order by ``--order``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

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

#: Path of each page, by the name of its picture, and what it is about: an ``ip``, an ``order``, or nothing.
PAGES: dict[str, tuple[str, str]] = {
    "ip-management-dashboard": ("/", ""),
    "one-ip": ("/", "ip"),
    "ip-acquisition": ("/ip-acquisition", ""),
    "payment-gateway": ("/payment-gateway", ""),
    "one-order": ("/payment-gateway", "order"),
    "dns-management-portal": ("/dns-management-portal", "ip"),
    "dns-configuration": ("/dns-configuration", "ip"),
    "warmup-dashboard": ("/warmup-dashboard", "ip"),
    "reputation-dashboard": ("/reputation-dashboard", "ip"),
    "audit": ("/audit", ""),
    "tokens": ("/tokens", ""),
    "settings": ("/settings", ""),
}


def settled(page: Page) -> None:
    """Waits until Streamlit has drawn the page."""
    page.get_by_role("heading", level=1).wait_for(timeout=30_000)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=30_000)
    page.wait_for_function(
        "document.querySelectorAll('[data-testid=stSkeleton]').length === 0", timeout=30_000
    )
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 700)))")


def shoot(browser: Browser, url: str, folder: Path, about: dict[str, str], theme: str, full: bool) -> None:
    """One picture of each page."""
    folder.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    for name, (path, what) in PAGES.items():
        if what and not about.get(what):
            continue
        page.goto(f"{url}{path}{f'?{what}={about[what]}' if what else ''}")
        settled(page)
        page.screenshot(path=str(folder / f"{name}-{theme}.png"), full_page=full)
    context.close()


def main() -> None:
    """The command."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("url", nargs="?", default="http://127.0.0.1:8501")
    words.add_argument("folder", nargs="?", type=Path, default=Path("docs/pictures"))
    words.add_argument("--ip", help="address that pages about one IP show")
    words.add_argument("--order", help="order that the page about one order shows")
    words.add_argument("--theme", choices=["light", "dark", "both"], default="both")
    words.add_argument("--tall", action="store_true", help="a window tall enough for whole pages")
    given = words.parse_args()
    about = {name: value for name, value in (("ip", given.ip), ("order", given.order)) if value}
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme in ("light", "dark") if given.theme == "both" else (given.theme,):
            shoot(browser, given.url.rstrip("/"), given.folder, about, theme, given.tall)
        browser.close()


if __name__ == "__main__":
    main()
