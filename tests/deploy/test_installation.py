"""What ``docker-compose.yml`` runs, run without an engine.

The files of the image are laid out as ``.dockerignore`` leaves them, each service's own command is started
with its own environment (only hosts and ports are put on loopback), and its own health check is asked.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from store.keys import new_key
from workflows import search_attributes

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
LASTING = ("api", "worker", "codec", "console")
BIN = Path(sys.executable).parent


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files of the image."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    folder = tmp_path / "image"
    for name in listed.stdout.decode().splitlines():
        if any(name == one or name.startswith(f"{one}/") or fnmatch.fnmatch(name, one) for one in ignored):
            continue
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def temporal_address(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """A Temporal server without our search attributes: the set-up script has to make them."""
    port = free_port()
    command = [BIN / "temporal", "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, "--log-level", "error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(20)


def until(true: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.3)


def test_the_services_come_up_are_healthy_and_stop_in_time(
    image: Path, tmp_path: Path, postgres: str, temporal_address: str, free_port: Callable[[], int]
) -> None:
    database = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    ports = {port: str(free_port()) for port in ("8000", "8081", "8501")}
    given = {
        "POSTGRES_PASSWORD": "unused",
        "WARMPATH_SECRET_KEYS": new_key("k1"),
        "WARMPATH_STRIPE_API_KEY": "sk_test_installation",
        "WARMPATH_STRIPE_WEBHOOK_SECRET": "whsec_installation",
    }
    there = {
        "WARMPATH_DATABASE_URL": postgres.rsplit("/", 1)[0] + f"/{database}",
        "WARMPATH_TEMPORAL_ADDRESS": temporal_address,
        "WARMPATH_VAR_DIR": str(tmp_path),
    }

    def local(text: str) -> str:
        text = re.sub(r"\b(8000|8081|8501)\b", lambda found: ports[found[0]], text)
        return text.replace("0.0.0.0", "127.0.0.1").replace("http://api:", "http://127.0.0.1:")

    def environment(name: str) -> dict[str, str]:
        filled = {
            key: re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda f: given.get(f[1], f[2] or ""), str(value))
            for key, value in SERVICES[name]["environment"].items()
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("WARMPATH_")}
        path = f"{BIN}:{os.environ['PATH']}"
        return clean | {key: local(value) for key, value in filled.items()} | there | {"PATH": path}

    def command(words: list[str]) -> list[str]:
        return [local(word) for word in words]

    def healthy(name: str) -> bool:
        test = SERVICES[name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        asked = subprocess.run(command(test[1:]), cwd=image, env=environment(name), capture_output=True, check=False)
        return asked.returncode == 0

    set_up = ["sh", str(ROOT / "deploy" / "temporal" / "set-up-namespace.sh")]
    path = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "TEMPORAL_ADDRESS": temporal_address}

    def attributes_are_made() -> bool:
        return subprocess.run(set_up, env=path, capture_output=True, check=False).returncode == 0

    until(attributes_are_made, 30, lambda: "the set-up of the namespace does not end")
    again = subprocess.run(set_up, env=path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    listed = subprocess.run(
        [BIN / "temporal", "operator", "search-attribute", "list"], env=path, capture_output=True, text=True, check=True
    ).stdout
    assert all(re.search(rf"\b{one.name}\b", listed) for one in search_attributes.ALL), listed

    for _ in range(2):
        job = command(SERVICES["migrate"]["command"])
        migrated = subprocess.run(
            job, cwd=image, env=environment("migrate"), capture_output=True, text=True, check=False
        )
        assert migrated.returncode == 0, migrated.stderr

    assert not healthy("worker"), "no worker runs yet"
    with contextlib.ExitStack() as stack:
        running = {}
        for name in LASTING:
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            running[name] = subprocess.Popen(
                command(SERVICES[name]["command"]), cwd=image, env=environment(name), stdout=log, stderr=log
            )
            stack.callback(running[name].kill)

        def told(name: str) -> str:
            return f"{name}: {(tmp_path / f'{name}.log').read_text()[-2000:]}"

        for name in LASTING:
            until(functools.partial(healthy, name), 60, functools.partial(told, name))
        for name, process in running.items():
            process.send_signal(signal.SIGTERM)
            grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
            assert process.wait(grace) in (0, -signal.SIGTERM), told(name)


def test_the_image_installs_only_what_the_product_runs_on() -> None:
    pinned = re.compile(r"^([a-z0-9._-]+(?:\[[^]]+\])?)==([^ ;\\]+)", re.MULTILINE)
    every = dict(pinned.findall((ROOT / "requirements.lock").read_text()))
    ours = dict(pinned.findall((ROOT / "deploy" / "requirements.lock").read_text()))
    assert ours.items() <= every.items(), "make both locks anew; docs/architecture.md says how"
    assert not {"pytest", "moto", "localstripe", "playwright", "schemathesis", "mypy"} & ours.keys()
    assert {"temporalio", "fastapi", "streamlit", "sqlmodel", "dnspython"} <= ours.keys()
