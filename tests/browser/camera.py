"""A browser, what a drawn page is, and pictures of it at each width and in each theme."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize

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
