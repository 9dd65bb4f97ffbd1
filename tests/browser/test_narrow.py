"""In a narrow window nothing covers the strip, nothing is cut, and the grid of DNS can be read and clicked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.camera import ABOUT_ONE, CHROMIUM, FLAGS, settled
from tests.browser.running import console
from tests.ui import double

# About 60 s.
pytestmark = pytest.mark.timeout(180)

WAIT_MS = 60_000
NARROW, MIDDLE = 480, 1024
#: What holds words that must not be cut; and what of it is.
WORDS = ("stButton", "stFormSubmitButton", "stDownloadButton", "stPageLink", "stSelectbox", "stMetricValue", "stBadge")
CUT = """nodes => nodes.filter(node => node.clientWidth && node.scrollWidth > node.clientWidth + 1)
    .map(node => node.value || node.innerText)"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console with one IP that warms up, with an incident, while all mail is paused, and a strip of three lines."""
    with double.running() as (api, state):
        state.add_ip("warming")
        state.add_warmup()
        since = "2026-03-02T00:00:00Z"
        state.incidents = [{"id": "inc_1", "title": "Listed", "severity": "critical", "opened_at": since}]
        state.campaigns = [{"name": "spring", "sender": "acme", "status": "active", "created_at": since}]
        state.pauses = [{"scope": {"all": True}, "who": "ada", "reason": "a login was stolen", "since": since}]
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
    bar = page.get_by_test_id("stHeader").bounding_box()
    first = page.get_by_test_id("stMainBlockContainer").locator("> [data-testid=stVerticalBlock]").bounding_box()
    assert bar is not None
    assert first is not None
    assert first["y"] >= bar["y"] + bar["height"]


@pytest.mark.parametrize("name", [*ABOUT_ONE, "campaigns", "performance-metrics", "reply-explorer", "tokens", "?ip="])
def test_no_words_of_buttons_links_filters_and_figures_are_cut(url: str, browser: Browser, name: str) -> None:
    page = opened(browser, f"{url}/{name}{double.ADDRESS if name == '?ip=' else ''}", MIDDLE)
    shown = page.locator(", ".join(f"[data-testid={one}] *" for one in WORDS))
    assert shown.count()
    for width in (MIDDLE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        settled(page)
        assert shown.evaluate_all(CUT) == []


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
