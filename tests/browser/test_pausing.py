"""A real browser presses **Pause All Campaigns**: leases are refused with the reason until they are resumed."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.camera import CHROMIUM, FLAGS, settled
from tests.browser.running import System, system
from tests.browser.stage import Stage

# About 60 s.
pytestmark = pytest.mark.timeout(300)

IP = "198.51.100.7"
# A page hears of others' commands within seconds; a busy machine takes its time.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Everything that ``make up`` starts, on free ports, with one IP of a pool that sends; days are long."""
    # A stage tells the settings of its system to this process; afterwards they are as before.
    with patch.dict(os.environ), system(tmp_path_factory.mktemp("var"), day_seconds=3600) as started:
        Stage(started).imported(IP, "full_capacity", "mta7.news.test")
        yield started


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Browser, url: str) -> Page:
    """A page of a fresh session."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(30_000)
    page.goto(url)
    settled(page)
    return page


def asked(running: System, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the API answers."""
    request = urllib.request.Request(
        f"{running.api}{path}",
        json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json", "Authorization": f"Bearer {running.token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer: dict[str, Any] = json.loads(reply.read())
    return answer


def lease(running: System) -> dict[str, Any]:
    """Two mails asked for by HTTP."""
    return asked(running, "/v1/gate/lease", {"pool": "default", "count": 2})


def test_the_button_stops_grants_and_the_banner_lets_them_flow(running: System, browser: Browser) -> None:
    assert lease(running)["deferred"] == 0
    other = opened(browser, f"{running.console}/audit")
    page = opened(browser, f"{running.console}/settings")
    page.get_by_role("button", name="Pause All Campaigns").click()
    expect(page.get_by_text("1 IP, and all other mail as well")).to_be_visible()
    page.get_by_label("Reason", exact=True).fill("stolen login")
    page.get_by_role("button", name="Pause all campaigns now").click()
    expect(page.get_by_text("Type PAUSE, so that mail is not stopped by a slip.")).to_be_visible()
    assert lease(running)["deferred"] == 0
    page.get_by_label("Type PAUSE to confirm").fill("pause")
    page.get_by_role("button", name="Pause all campaigns now").click()
    expect(page.get_by_text("All campaigns are paused by first operator: stolen login")).to_be_visible()
    refused = lease(running)
    assert (refused["grants"], refused["reason"]) == ([], "all mail is paused: stolen login")

    # Somebody else's open page hears of it by itself, and resumes.
    expect(other.get_by_role("button", name="Pause All Campaigns")).to_be_disabled()
    other.get_by_role("button", name="Resume All Campaigns").click()
    other.get_by_label("Reason", exact=True).fill("login changed")
    other.get_by_role("button", name="Resume All Campaigns now").click()
    expect(other.get_by_text("All campaigns may send again.")).to_be_visible()
    assert lease(running)["deferred"] == 0
    expect(page.get_by_role("button", name="Pause All Campaigns")).to_be_enabled()
    written = [(one["what"], one["who"], one["why"]) for one in asked(running, "/v1/audit?target=all")["items"]]
    assert written == [
        ("mail.resume", "first operator", "login changed"),
        ("mail.pause", "first operator", "stolen login"),
    ]
