"""In a narrow window nothing covers the strip, nothing is cut, and the grid of DNS can be read and clicked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.running import console
from tests.browser.screenshots import CHROMIUM, FLAGS, settled
from tests.ui import double

# About 30 s.
pytestmark = pytest.mark.timeout(180)

WAIT_MS = 60_000
NARROW, MIDDLE = 480, 1024


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console with one IP whose DNS waits, and with a strip of three lines."""
    with double.running() as (api, state):
        state.add_ip("awaiting_dns")
        state.attention = [
            {"severity": "critical", "text": f"198.51.100.{n} is listed", "page": "Reputation Dashboard"} for n in "123"
        ]
        with console(api, double.TOKEN, tmp_path_factory.mktemp("console")) as shown:
            yield shown


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Browser, url: str, width: int) -> Page:
    """A page in a window of a width in pixels."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(WAIT_MS)
    page.goto(url)
    settled(page)
    return page


def test_the_bar_does_not_cover_the_strip(url: str, browser: Browser) -> None:
    page = opened(browser, url, NARROW)
    bar, line = (
        page.get_by_test_id("stHeader").bounding_box(),
        page.get_by_text("198.51.100.1 is listed").bounding_box(),
    )
    assert bar is not None
    assert line is not None
    assert line["y"] >= bar["y"] + bar["height"]


@pytest.mark.parametrize("width", [NARROW, MIDDLE])
def test_no_link_of_the_strip_is_cut(url: str, browser: Browser, width: int) -> None:
    page = opened(browser, url, width)
    links = page.get_by_test_id("stMain").get_by_role("link", name="Reputation Dashboard")
    expect(links).to_have_count(3)
    cut = "node => [...node.querySelectorAll('*')].some(part => part.scrollWidth > part.clientWidth + 1)"
    assert not any(links.nth(number).evaluate(cut) for number in range(3))


@pytest.mark.parametrize("page_name", ["performance-metrics", "reply-explorer"])
def test_no_filter_is_cut(url: str, browser: Browser, page_name: str) -> None:
    page = opened(browser, f"{url}/{page_name}", MIDDLE)
    chosen = page.get_by_test_id("stSelectbox").locator("input, div")
    cut = """nodes => nodes.filter(node => node.clientWidth && node.scrollWidth > node.clientWidth + 1)
        .map(node => node.value || node.innerText)"""
    assert chosen.count()
    assert chosen.evaluate_all(cut) == []


def test_figures_stand_two_in_a_row(url: str, browser: Browser) -> None:
    page = opened(browser, f"{url}/?ip={double.ADDRESS}", NARROW)
    tops = page.get_by_test_id("stMetric").evaluate_all("nodes => nodes.map(one => one.getBoundingClientRect().top)")
    assert len(tops) == 4
    assert len(set(tops)) == 2


def test_a_click_in_the_grid_of_dns_opens_that_record(url: str, browser: Browser) -> None:
    page = opened(browser, f"{url}/dns-configuration?ip={double.ADDRESS}", NARROW)
    grid = page.get_by_test_id("stDataFrame").first
    box = grid.bounding_box()
    assert box is not None
    assert box["width"] > NARROW / 2
    # Rows are drawn, not elements; the second one is the TXT record.
    grid.click(position={"x": 60, "y": 35 * 2 + 17})
    expect(page.get_by_text("v=spf1 ip4:203.0.113.9 -all").first).to_be_visible()


def test_a_page_that_refreshes_leaves_what_is_being_typed(url: str, browser: Browser) -> None:
    page = opened(browser, f"{url}/audit", MIDDLE)
    field = page.get_by_placeholder("What it was done on: an IP, a pool, a sender, all")
    field.fill("198.51")
    before = page.get_by_text("Data of").inner_text()
    expect(page.get_by_text("Data of")).not_to_have_text(before, timeout=WAIT_MS)
    expect(field).to_have_value("198.51")
    expect(field).to_be_focused()
