"""Small text has contrast enough to be read, light and dark, and headings follow each other in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.camera import CHROMIUM, FLAGS, settled
from tests.browser.running import console
from tests.ui import double

# About 40 s.
pytestmark = pytest.mark.timeout(180)

WAIT_MS = 60_000
#: Paths with captions, badges, links, sentences in boxes.
PATHS = (
    "",
    f"?ip={double.ADDRESS}",
    f"dns-configuration?ip={double.ADDRESS}",
    "ip-acquisition",
    "campaigns",
    "reply-explorer",
)
#: Least contrast of words (WCAG 2.2, 1.4.3), and of signs (1.4.11).
WORDS, SIGNS = 4.5, 3.0
#: Words of the page whose contrast to what lies behind them is less; what is disabled may be pale.
PALE = """([words, signs]) => {
  const part = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const over = (layers) => {  // what a browser paints of these colours, the lowest first
    for (const [colour, opacity] of layers) {
      pen.globalAlpha = opacity; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    }
    return pen.getImageData(0, 0, 1, 1).data;
  };
  const pale = [];
  const walker = document.createTreeWalker(document.querySelector('[data-testid=stMain]'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), of = walker.currentNode.parentElement;
    if (!text || !of.checkVisibility({opacityProperty: true}) || of.closest('button:disabled, canvas, style')) continue;
    const backs = [];
    let opacity = 1;
    for (let one = of; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      backs.unshift([style.backgroundColor, 1]);
      opacity *= Number(style.opacity);
    }
    const behind = light(over([['#fff', 1], ...backs]));
    const written = light(over([['#fff', 1], ...backs, [getComputedStyle(of).color, opacity]]));
    const [high, low] = behind > written ? [behind, written] : [written, behind];
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < (text.length > 1 ? words : signs)) pale.push(`${text.slice(0, 60)}: ${contrast.toFixed(1)}`);
  }
  return pale;
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser's page before a console with an IP that waits for its DNS."""
    with double.running() as (api, state):
        state.add_ip("awaiting_dns")
        state.attention = [{"severity": one, "text": "listed", "page": "Audit"} for one in ("critical", "warning")]
        with console(api, double.TOKEN, tmp_path_factory.mktemp("console")) as url, sync_playwright() as engine:
            browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            opened = browser.new_page(viewport={"width": 1280, "height": 900}, base_url=url)
            opened.set_default_timeout(WAIT_MS)
            yield opened
            browser.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_no_words_are_too_pale(page: Page, path: str, theme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(f"/{path}")
    settled(page)
    assert page.evaluate(PALE, [WORDS, SIGNS]) == []


@pytest.mark.parametrize("path", PATHS)
def test_headings_leave_no_level_out(page: Page, path: str) -> None:
    page.goto(f"/{path}")
    settled(page)
    levels = page.locator("h1, h2, h3, h4").evaluate_all("nodes => nodes.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
