"""The real installation, checked as far as that goes without an engine."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import REGISTRY

import api.metrics  # noqa: F401
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"temporal-schema", "temporal-namespace", "migrate"}
"""They end; a health check would say nothing."""

PINNED = re.compile(r"^[a-z0-9./-]+:v?\d+(\.\d+)+(-[a-z0-9.]+)*$")


def seconds(text: str) -> float:
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text)
    assert found, text
    return int(found[1] or 0) * 60 + int(found[2] or 0)


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    assert PINNED.match(SERVICES[name]["image"]), SERVICES[name]["image"]


def test_the_images_base_is_pinned() -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(PINNED.match(base) for base in bases)


def test_the_image_has_a_python_that_the_project_allows_and_no_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert wanted == ">=3.11"
    assert "FROM python:3.1" in text
    assert "\nUSER warmpath\n" in text
    assert "--require-hashes" in text


@pytest.mark.parametrize("name", sorted(set(SERVICES) - JOBS))
def test_every_lasting_service_has_a_health_check_and_a_grace(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert seconds(SERVICES[name]["stop_grace_period"]) >= 10


def test_the_worker_may_take_longer_to_stop_than_it_drains() -> None:
    worker = SERVICES["worker"]
    drain = float(worker["environment"]["WARMPATH_DRAIN_SECONDS"])
    assert seconds(worker["stop_grace_period"]) > drain + 5
    assert worker["deploy"]["replicas"] >= 2


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_exist_and_are_waited_for_as_they_end(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert how["condition"] == expected, f"{name} waits for {other} by {how['condition']}"


def test_every_setting_exists() -> None:
    known = {f"WARMPATH_{name.upper()}" for name in Settings.model_fields}
    files = ["docker-compose.yml", "Dockerfile", "deploy/example.env"]
    used = {name for file in files for name in re.findall(r"WARMPATH_[A-Z0-9_]+", (ROOT / file).read_text())}
    assert used <= known, used - known


@pytest.mark.parametrize("name", [name for name in SERVICES if SERVICES[name]["image"].startswith("warmpath:")])
def test_a_setting_in_the_env_file_reaches_every_service_of_ours(name: str) -> None:
    assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]


def test_the_example_names_what_the_guide_tells_to_connect() -> None:
    guide = (ROOT / "docs" / "guide" / "installation.md").read_text()
    table = guide.partition("## What to connect")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(WARMPATH_[A-Z0-9_]+)\b", table)) - {"WARMPATH_"}
    example = re.findall(r"^(?:# )?(WARMPATH_[A-Z0-9_]+)=", (ROOT / "deploy" / "example.env").read_text(), re.MULTILINE)
    assert {"WARMPATH_BLOCKLIST_RESOLVER", "WARMPATH_DNS_TSIG_"} <= named
    missing = {
        name for name in named if not any(one == name or name[-1] == "_" and one.startswith(name) for one in example)
    }
    assert not missing


def test_the_example_names_the_secret_of_every_source_of_events() -> None:
    secrets = {f"WARMPATH_{name.upper()}" for name in Settings.model_fields if name.startswith("webhook_")}
    example = (ROOT / "deploy" / "example.env").read_text()
    assert {name for name in secrets if f"# {name}=\n" not in example} == {"WARMPATH_WEBHOOK_SES_CERTIFICATE_HOSTS"}


def test_the_image_exposes_every_port_that_is_published() -> None:
    exposed = re.search(r"^EXPOSE (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed
    ours = [service for service in SERVICES.values() if service["image"].startswith("warmpath:")]
    published = {port.rpartition(":")[2] for service in ours for port in service.get("ports", [])}
    assert published <= set(exposed[1].split())


def test_no_secret_has_a_default() -> None:
    for name in re.findall(r"\$\{([A-Z_]+):-[^}]+\}", (ROOT / "docker-compose.yml").read_text()):
        assert not re.search("PASSWORD|SECRET|KEY", name)


def test_the_filled_in_env_file_goes_neither_into_the_image_nor_into_the_repository() -> None:
    for name in (".dockerignore", ".gitignore"):
        assert ".env" in (ROOT / name).read_text().split(), name


def test_nothing_is_published_beyond_loopback() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_mounted_files_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source


def test_the_search_attributes_are_those_of_the_code() -> None:
    registry = (ROOT / "workflows" / "search_attributes.py").read_text()
    script = (ROOT / "deploy" / "temporal" / "set-up-namespace.sh").read_text()
    listed = re.search(r"for name in ([\w ]+);", script)
    assert listed
    assert all(f'"{name}"' in registry for name in listed[1].split())


def test_the_dashboard_reads_metrics_that_api_and_gate_give() -> None:
    metric_names = {sample.name for family in REGISTRY.collect() for sample in family.samples} | {
        f"{family.name}{end}" for family in REGISTRY.collect() for end in ("", "_total", "_bucket")
    }
    gate = re.findall(r"(\w+)MetricFamily\(\s*\"(\w+)\"", (ROOT / "gate" / "status.py").read_text())
    metric_names |= {f"{name}_total" if kind == "Counter" else name for kind, name in gate}
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "warmpath.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) >= 6
    used = {name for query in queries for name in re.findall(r"warmpath_[a-z0-9_]+", query)}
    assert {"warmpath_ips", "warmpath_gate_mails_total"} <= used
    assert used <= metric_names, used - metric_names
