"""``make up`` comes up, stops without leaving a process, and goes on where it stood."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    *("api", "console", "codec", "dns", "gate", "payments", "reports", "senders", "smtp", "temporal"),
    *("vendor", "worker"),
}
SECONDS = 120.0

LISTS = ("ips", "orders", "reputation", "metrics", "pools", "senders", "campaigns", "audit")
"""What the pages of the console list."""

pytestmark = [pytest.mark.timeout(400)]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """An environment of its own: folder and ports."""
    api, console, codec, temporal, ui, names, smtp, vendor, payments, senders, gate = map(str, free_ports(11, row=5))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WARMPATH_")}
    return {
        **clean,
        "WARMPATH_VAR_DIR": str(tmp_path / "var"),
        "WARMPATH_API_PORT": api,
        "WARMPATH_CONSOLE_PORT": console,
        "WARMPATH_CODEC_PORT": codec,
        "WARMPATH_TEMPORAL_PORT": temporal,
        "WARMPATH_TEMPORAL_UI_PORT": ui,
        "WARMPATH_SANDBOX_DNS_PORT": names,
        "WARMPATH_SMTP_PORT": smtp,
        "WARMPATH_SANDBOX_SENDERS_PORT": senders,
        "WARMPATH_GATE_POLICY_PORT": gate,
        "WARMPATH_GATE_SOCKETMAP_PORT": str(int(gate) + 1),
        "WARMPATH_GATE_HTTP_PORT": str(int(gate) + 2),
        "WARMPATH_REPORTS_PORT": str(int(gate) + 3),
        "WARMPATH_SANDBOX_VENDOR_URL": f"http://127.0.0.1:{vendor}",
        "WARMPATH_SANDBOX_PAYMENTS_URL": f"http://127.0.0.1:{payments}",
    }


def start(surroundings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox.up"], cwd=ROOT, env=surroundings, stdout=out, stderr=out
        )


def wait_for(words: str, log: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + SECONDS
    while words not in (text := log.read_text()):
        assert process.poll() is None, text
        assert time.monotonic() < end, text
        time.sleep(0.1)
    return text


def left_behind(var: str) -> list[str]:
    """Living processes that work on this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            given = (folder / "environ").read_bytes().split(b"\0")
            if f"WARMPATH_VAR_DIR={var}".encode() in given:
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def asked(surroundings: dict[str, str], path: str) -> Any:
    token = (Path(surroundings["WARMPATH_VAR_DIR"]) / "operator.token").read_text().strip()
    url = f"http://127.0.0.1:{surroundings['WARMPATH_API_PORT']}/v1/{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def filled(surroundings: dict[str, str]) -> None:
    """No page of the console has nothing to show."""
    end = time.monotonic() + SECONDS
    while empty := [one for one in LISTS if not asked(surroundings, one)["items"]]:
        assert time.monotonic() < end, f"nothing to show: {empty}"
        time.sleep(0.2)


def test_it_comes_up_with_a_fleet_stops_clean_and_goes_on(surroundings: dict[str, str], tmp_path: Path) -> None:
    var = Path(surroundings["WARMPATH_VAR_DIR"])
    stood: list[tuple[str, set[str], set[str]]] = []
    for turn, ending in enumerate((signal.SIGINT, signal.SIGTERM)):
        log = tmp_path / f"{turn}.log"
        process = start(surroundings, log)
        try:
            board = wait_for("Warmpath is up", log, process)
            assert all(re.search(rf"^{part}\s+running", board, re.MULTILINE) for part in PARTS), board
            links = set(re.findall(r"http://127\.0\.0\.1:\d+(?:/docs)?", board))
            pages = {f"http://127.0.0.1:{surroundings[f'WARMPATH_{one}_PORT']}" for one in ("CONSOLE", "TEMPORAL_UI")}
            assert links >= pages, board
            for link in pages:
                assert urllib.request.urlopen(link, timeout=10).status == 200
            if turn == 0:
                wait_for("with a small fleet", log, process)
                filled(surroundings)
            addresses = {one["address"] for one in asked(surroundings, "ips")["items"]}
            orders = {one["id"] for one in asked(surroundings, "orders")["items"]}
            stood.append(((var / "operator.token").read_text(), addresses, orders))
            process.send_signal(ending)
            assert process.wait(timeout=90) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
        assert left_behind(str(var)) == []
    assert stood[0] == stood[1]
    assert len(stood[0][1]) == 6


@pytest.mark.long
def test_a_killed_supervisor_leaves_nothing(surroundings: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    process = start(surroundings, log)
    try:
        wait_for("Warmpath is up", log, process)
    finally:
        process.kill()
        process.wait()
    end = time.monotonic() + 20
    while left := left_behind(surroundings["WARMPATH_VAR_DIR"]):
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_a_busy_port_is_one_sentence(surroundings: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", int(surroundings["WARMPATH_API_PORT"]))):
        process = start(surroundings, tmp_path / "up.log")
        assert process.wait(timeout=60) == 1
    said = (tmp_path / "up.log").read_text()
    assert said == (
        f"Port {surroundings['WARMPATH_API_PORT']} (for api) is used by another program; "
        "stop it or set WARMPATH_API_PORT.\n"
    )


def test_a_database_of_a_newer_version_is_one_sentence(surroundings: dict[str, str], tmp_path: Path) -> None:
    var = Path(surroundings["WARMPATH_VAR_DIR"])
    var.mkdir()
    with contextlib.closing(sqlite3.connect(var / "warmpath.sqlite")) as newer:
        newer.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        newer.execute("INSERT INTO alembic_version VALUES ('9999')")
        newer.commit()
    process = start(surroundings, tmp_path / "up.log")
    assert process.wait(timeout=120) == 1
    said = (tmp_path / "up.log").read_text().splitlines()
    assert said[0].startswith("The database belongs to a newer Warmpath; ")
    assert said[1:] == ["Everything has stopped; `make up` goes on where it stood."]
    assert left_behind(str(var)) == []
