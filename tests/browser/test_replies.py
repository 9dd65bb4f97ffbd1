"""A reply is opened by a click on its row, stays open while the page refreshes, and is closed again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.running import console
from tests.browser.screenshots import CHROMIUM, FLAGS, settled
from tests.ui import serving

# About 20 s.
pytestmark = pytest.mark.timeout(180)

ROW_PIXELS, WAIT_MS = 35, 60_000


def click_row(page: Page, number: int) -> None:
    """A click into the middle of a row of the first table; rows are drawn, not elements."""
    table = page.get_by_test_id("stDataFrame").first
    table.click(position={"x": 300, "y": ROW_PIXELS * (number + 1) + ROW_PIXELS // 2})


def test_a_click_opens_a_reply_and_close_ends_it(tmp_path: Path) -> None:
    with (
        serving.running(tmp_path) as api,
        console(api.url, api.token, tmp_path / "console") as url,
        sync_playwright() as engine,
    ):
        api.tell_replies()
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{url}/reply-explorer")
        settled(page)
        page.get_by_test_id("stDataFrame").first.wait_for()
        click_row(page, 1)
        heading = page.get_by_role("heading", name="… Mailbox full", exact=True)
        expect(heading).to_be_visible(timeout=WAIT_MS)
        expect(page).to_have_url(re.compile(r"reply=[0-9a-f]{32}"))
        click_row(page, 0)
        expect(page.get_by_role("heading", name="✕ IP blocked", exact=True)).to_be_visible(timeout=WAIT_MS)
        expect(heading).to_have_count(0)
        page.get_by_role("button", name="Close", exact=True).click()
        expect(page.get_by_role("heading", name="✕ IP blocked", exact=True)).to_have_count(0, timeout=WAIT_MS)
        expect(page).not_to_have_url(re.compile("reply="))
        click_row(page, 0)
        expect(page.get_by_role("heading", name="✕ IP blocked", exact=True)).to_be_visible(timeout=WAIT_MS)
        browser.close()
