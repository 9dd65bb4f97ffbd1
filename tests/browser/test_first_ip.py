"""A real browser buys the first IP, sees **Active**, and starts the warm-up, on a system of its own.

It leaves the README's pictures in ``WARMPATH_TEST_PICTURES`` (``make pictures``: in ``docs/pictures``), else in a
folder of its own. For the picture of the fleet, the first fleet of a sandbox joins the IP that was bought.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.camera import CHROMIUM, FLAGS, settled
from tests.browser.running import System, system
from tests.browser.stage import Stage

# About 70 s alone; a run that cannot look at the console says so instead of passing.
pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Everything that ``make up`` starts, on free ports and without the first fleet."""
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing; install it: apt-get install chromium"
    with system(tmp_path_factory.mktemp("var"), day_seconds=5) as started:
        yield started


@pytest.fixture
def page(running: System) -> Iterator[Page]:
    """A page of a fresh browser."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1280, "height": 800})
        opened.set_default_timeout(30_000)
        yield opened
        browser.close()


def type_in(page: Page, label: str, value: str) -> None:
    """Types into a field found by its name, and leaves it, as Streamlit wants."""
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Tab")


def press(page: Page, name: str) -> None:
    """Presses a button by its name."""
    page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where pictures are left."""
    folder = Path(os.environ.get("WARMPATH_TEST_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def leave(page: Page, file: Path, theme: Literal["light", "dark"] = "light", height: int = 800) -> None:
    """Leaves a picture of the page as it stands, in a window of a height in pixels."""
    page.set_viewport_size({"width": 1280, "height": height})
    page.emulate_media(color_scheme=theme)
    settled(page)
    page.screenshot(path=str(file))
    assert file.stat().st_size > 10_000  # an empty page is smaller


def test_a_newcomer_buys_the_first_ip_and_starts_its_warm_up(running: System, page: Page, pictures: Path) -> None:
    logins = json.loads((running.var / "sandbox" / "smtp" / "logins.json").read_text())
    username, password = next(iter(logins.items()))

    page.goto(running.console)
    press(page, "Acquire New IP")
    expect(page.get_by_role("heading", name="IP Acquisition")).to_be_visible()
    type_in(page, "Sending domain", "example-mail.test")
    type_in(page, "Host name (A record, HELO)", "mail1.example-mail.test")
    type_in(page, "SMTP host", "127.0.0.1")
    type_in(page, "Port", str(running.smtp_port))
    type_in(page, "User name", username)
    type_in(page, "Password", password)
    press(page, "Save IP Configuration")

    expect(page.get_by_role("heading", name="Payment Gateway")).to_be_visible(timeout=60_000)
    leave(page, pictures / "one-order-light.png")
    press(page, "Complete Purchase")
    expect(page.get_by_text("will be charged")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    link = page.get_by_role("link", name=re.compile(r"^Open \d"))
    link.wait_for(timeout=90_000)
    address = link.inner_text().removeprefix("Open ").strip()
    link.click()

    expect(page.get_by_role("heading", name="IP Management Dashboard")).to_be_visible()
    expect(page.get_by_role("heading", name=address)).to_be_visible()
    expect(page.get_by_test_id("stMain").get_by_text("Active", exact=True).first).to_be_visible(timeout=120_000)

    page.goto(f"{running.console}/dns-configuration?ip={address}")
    expect(page.get_by_text("✓ Verified").first).to_be_visible(timeout=30_000)
    leave(page, pictures / "dns-configuration-light.png")

    page.goto(f"{running.console}/warmup-dashboard?ip={address}")
    expect(page.get_by_text("Full capacity: most likely")).to_be_visible(timeout=30_000)
    press(page, "Start Warmup")
    expect(page.get_by_text(f"The warm-up of {address} started.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("▲ Warming up").first).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_enabled()
    assert password not in page.content()

    with patch.dict(os.environ):
        stage = Stage(running)
        stage.seed()
    page.goto(f"{running.console}/?ip={address}")
    expect(page.get_by_text("Last decisions")).to_be_visible(timeout=60_000)
    # On a busy machine a short day may hold instead of growing; any four decisions make the picture.
    expect(page.get_by_text(re.compile(r"^(Grow|Hold|Graduate)$")).nth(3)).to_be_visible(timeout=60_000)
    leave(page, pictures / "one-ip-dark.png", "dark", height=1280)
    page.goto(f"{running.console}/warmup-dashboard?ip={address}")
    expect(page.get_by_text("Cap against sent")).to_be_visible()
    leave(page, pictures / "warmup-dashboard-light.png", height=950)
    stage.warm("198.51.100.12", 4)
    page.goto(running.console)
    expect(page.get_by_text("Sort by")).to_be_visible()
    leave(page, pictures / "ip-management-dashboard-light.png")
