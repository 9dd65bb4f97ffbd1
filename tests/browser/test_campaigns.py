"""A real browser finishes a campaign: asked first, with a reason, and its mail is refused from then on."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.camera import CHROMIUM, FLAGS, settled
from tests.browser.running import console
from tests.ui import serving

# About 20 s.
pytestmark = pytest.mark.timeout(180)

WAIT_MS = 60_000


def test_a_campaign_is_finished_once_the_question_is_answered(tmp_path: Path) -> None:
    with (
        serving.running(tmp_path) as api,
        console(api.url, api.token, tmp_path / "console") as url,
        sync_playwright() as engine,
        httpx.Client(base_url=api.url, headers={"Authorization": f"Bearer {api.token}"}) as client,
    ):
        for path, body in (
            ("pools", {"name": "bulk"}),
            ("senders", {"name": "acme", "pool": "bulk", "matches": ["acme.test"]}),
            ("campaigns", {"name": "spring", "sender": "acme"}),
        ):
            assert client.post(f"/v1/{path}", json=body).is_success

        def status() -> str:
            return str(client.get("/v1/campaigns").json()["items"][0]["status"])

        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{url}/campaigns")
        settled(page)
        page.get_by_role("button", name="Finish", exact=True).click()
        expect(page.get_by_text("for good, unless you press Resume")).to_be_visible(timeout=WAIT_MS)
        page.get_by_role("button", name="Finish now", exact=True).click()
        expect(page.get_by_text("Give a reason; it is kept in the audit.")).to_be_visible(timeout=WAIT_MS)
        assert status() == "active"
        page.get_by_label("Reason", exact=True).fill("sold out")
        page.get_by_role("button", name="Finish now", exact=True).click()
        expect(page.get_by_text("Campaign spring is finished.")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_text("■ Finished")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_role("button", name="Finish", exact=True)).to_have_count(0)
        assert status() == "finished"
        browser.close()
