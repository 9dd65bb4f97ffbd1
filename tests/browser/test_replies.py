"""A reply is opened by a click on its row, stays open while the page refreshes, and is closed again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.camera import CHROMIUM, FLAGS, settled
from tests.browser.running import console
from tests.ui import serving

# About 40 s.
pytestmark = pytest.mark.timeout(180)

ROW_PIXELS, WAIT_MS = 35, 60_000


def click_row(page: Page, number: int) -> None:
    """A click into the middle of a row of the first table; rows are drawn, not elements."""
    table = page.get_by_test_id("stDataFrame").first
    table.click(position={"x": 300, "y": ROW_PIXELS * (number + 1) + ROW_PIXELS // 2})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console on a real API that was told replies, two of them about IPs that it does not have."""
    folder = tmp_path_factory.mktemp("replies")
    with serving.running(folder) as api, console(api.url, api.token, folder / "console") as shown:
        api.tell_replies()
        yield shown


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser's page."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1280, "height": 800})
        opened.set_default_timeout(WAIT_MS)
        yield opened
        browser.close()


def test_a_click_opens_a_reply_and_close_ends_it(url: str, page: Page) -> None:
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


@pytest.mark.parametrize("start", ["", "reply-explorer"])
def test_the_strip_leads_to_the_dead_letters_from_any_page(url: str, page: Page, start: str) -> None:
    page.goto(f"{url}/{start}")
    settled(page)
    page.get_by_role("link", name="Reply Explorer: Dead letters", exact=True).click()
    expect(page.get_by_role("tab", name="Dead letters", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("Import the IP, or correct the source.")).to_be_visible(timeout=WAIT_MS)
