"""A real browser buys the first IP, sees **Active**, and starts the warm-up, on a system of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.screenshots import CHROMIUM, FLAGS

ROOT = Path(__file__).parents[2]
UP_SECONDS = 120
DOWN_SECONDS = 60

# About 50 s alone; a run that cannot look at the console says so instead of passing.
pytestmark = pytest.mark.timeout(420)


@dataclass(frozen=True)
class System:
    """A running system: where its console is and where its state lies."""

    console: str
    var: Path
    smtp_port: int


def free_ports(count: int) -> list[int]:
    """Free ports on loopback."""
    with ExitStack() as held:
        found = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


def free_row(length: int) -> int:
    """The first of so many free ports in a row; the sandbox's DNS servers stand side by side."""
    for start in range(21_000, 32_000, length + 3):
        with ExitStack() as held:
            try:
                for port in range(start, start + length):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        held.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            except OSError:
                continue
            return start
    raise RuntimeError("no free ports in a row")


def answers(url: str) -> bool:
    """Whether the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Everything that ``make up`` starts, on free ports and without the first fleet."""
    assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing; install it: apt-get install chromium"
    var = tmp_path_factory.mktemp("var")
    (var / "sandbox").mkdir()
    (var / "sandbox" / "seeded").touch()
    api, console, codec, temporal, temporal_ui, smtp, vendor, payments, policy, maps, status = free_ports(11)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")} | {
        "WARMPATH_VAR_DIR": str(var),
        "WARMPATH_API_PORT": str(api),
        "WARMPATH_CONSOLE_PORT": str(console),
        "WARMPATH_CODEC_PORT": str(codec),
        "WARMPATH_TEMPORAL_PORT": str(temporal),
        "WARMPATH_TEMPORAL_UI_PORT": str(temporal_ui),
        "WARMPATH_SANDBOX_DNS_PORT": str(free_row(5)),
        "WARMPATH_SMTP_PORT": str(smtp),
        "WARMPATH_SANDBOX_VENDOR_URL": f"http://127.0.0.1:{vendor}",
        "WARMPATH_SANDBOX_PAYMENTS_URL": f"http://127.0.0.1:{payments}",
        "WARMPATH_GATE_POLICY_PORT": str(policy),
        "WARMPATH_GATE_SOCKETMAP_PORT": str(maps),
        "WARMPATH_GATE_HTTP_PORT": str(status),
        "WARMPATH_DAY_SECONDS": "5",
    }
    log = var / "up.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "sandbox.up"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + UP_SECONDS
            urls = [f"http://127.0.0.1:{api}/healthz", f"http://127.0.0.1:{console}/_stcore/health"]
            while not all(map(answers, urls)):
                assert child.poll() is None, log.read_text()[-4_000:]
                assert time.monotonic() < end, log.read_text()[-4_000:]
                time.sleep(0.3)  # between two looks at a condition with a time-out
            yield System(f"http://127.0.0.1:{console}", var, smtp)
        finally:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(DOWN_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


@pytest.fixture
def page(system: System) -> Iterator[Page]:
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


def test_a_newcomer_buys_the_first_ip_and_starts_its_warm_up(system: System, page: Page) -> None:
    logins = json.loads((system.var / "sandbox" / "smtp" / "logins.json").read_text())
    username, password = next(iter(logins.items()))

    page.goto(system.console)
    press(page, "Acquire New IP")
    expect(page.get_by_role("heading", name="IP Acquisition")).to_be_visible()
    type_in(page, "Sending domain", "example-mail.test")
    type_in(page, "Host name (A record, HELO)", "mail1.example-mail.test")
    type_in(page, "SMTP host", "127.0.0.1")
    type_in(page, "Port", str(system.smtp_port))
    type_in(page, "User name", username)
    type_in(page, "Password", password)
    press(page, "Save IP Configuration")

    expect(page.get_by_role("heading", name="Payment Gateway")).to_be_visible(timeout=60_000)
    press(page, "Complete Purchase")
    expect(page.get_by_text("will be charged")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    link = page.get_by_role("link", name=re.compile(r"^Open \d"))
    link.wait_for(timeout=90_000)
    address = link.inner_text().removeprefix("Open ").strip()
    link.click()

    expect(page.get_by_role("heading", name="IP Management Dashboard")).to_be_visible()
    expect(page.get_by_role("heading", name=address)).to_be_visible()
    expect(page.get_by_test_id("stMain").get_by_text("Active", exact=True).first).to_be_visible(
        timeout=120_000
    )

    page.goto(f"{system.console}/warmup-dashboard?ip={address}")
    press(page, "Start Warmup")
    expect(page.get_by_text(f"The warm-up of {address} started.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("▲ Warming up").first).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_enabled()
    assert password not in page.content()
