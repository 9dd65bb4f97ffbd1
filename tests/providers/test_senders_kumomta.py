"""KumoMTA: its files as TOML, and its admin calls against a double of its HTTP API.

The double refuses what KumoMTA's documentation of the calls does not give: other paths, other members, other types, a
duration that it could not read. It is written from that documentation and is not KumoMTA.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import tomllib
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from domain.routing import Exit, Routes, Scope
from domain.sources import Source
from domain.words import MailboxProvider
from providers.senders.kumomta import KumoMta, seconds
from providers.senders.kumomta_files import QUEUES, SHAPING, SOURCES, sources_toml
from providers.senders.port import MailSystemError

A, B = "198.51.100.1", "198.51.100.2"
READY = "wp-198-51-100-1->(alt1|alt2)?.gmail-smtp-in.l.google.com@smtp_client"
OTHERS_READY = "their-source->mx.example@smtp_client"
SOURCE_A = Source(A, "10.0.0.1", "a.example", "main", cap=400, safe_limit=2000, hourly_cap=80,
                  provider_caps=((MailboxProvider.GMAIL, 100),))  # fmt: skip
SOURCE_B = Source(B, B, "b.example", "main", warm=True, safe_limit=2000)

#: Members of each body: name to type; a name that ends in "!" is required.
BODIES: dict[tuple[str, str], dict[str, type]] = {
    ("POST", "/api/admin/suspend/v1"): {
        "campaign": str, "tenant": str, "domain": str, "reason!": str, "duration": str, "expires": str,
        "queue_names": list,
    },
    ("DELETE", "/api/admin/suspend/v1"): {"id!": str},
    ("POST", "/api/admin/suspend-ready-q/v1"): {"name!": str, "reason!": str, "duration": str, "expires": str},
    ("DELETE", "/api/admin/suspend-ready-q/v1"): {"id!": str},
    ("POST", "/api/admin/rebind/v1"): {
        "campaign": str, "tenant": str, "domain": str, "routing_domain": str, "reason!": str, "data!": dict,
        "suppress_logging": bool, "trigger_rebind_event": bool, "always_flush": bool,
    },
    ("POST", "/api/admin/bump-config-epoch"): {},
}  # fmt: skip


class Double(ThreadingHTTPServer):
    """State of one KumoMTA: suspensions in memory, as a restart loses them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.suspended: list[dict[str, Any]] = []
        self.ready: list[dict[str, Any]] = []
        self.queues = [READY, OTHERS_READY]
        self.calls: list[tuple[str, str, Any]] = []
        self.wrong: list[str] = []
        self.fails: set[str] = set()
        self.auth = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def metrics(self) -> dict[str, Any]:
        # Nothing was sent since the start: no ready queue, and no gauge of them.
        gauge = {"help": "number of messages in the ready queue", "type": "gauge"}
        mails = {"smtp_client": 1.0} | {f"smtp_client:{one}": 0.0 for one in self.queues}
        sums: dict[str, Any] = {"lua_count": {"help": "contexts", "type": "gauge", "value": 1.0}}
        return sums | ({"ready_count": gauge | {"value": {"service": mails}}} if self.queues else {})

    def changes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.calls if method != "GET"]

    def paused(self) -> set[tuple[str | None, str | None]]:
        return {(one["campaign"], one["tenant"]) for one in self.suspended if one["reason"].startswith("warmpath: ")}


class Handler(BaseHTTPRequestHandler):
    server: Double

    def _do(self) -> None:
        method, path = self.command, self.path
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        self.server.calls.append((method, path, body))
        if self.server.auth and self.headers.get("Authorization") != self.server.auth:
            return self._answer(401, "authentication required")
        if path in self.server.fails:
            return self._answer(500, "password=hunter2")
        if method == "GET":
            return self._listed(path)
        if said := self._against(method, path, body):
            self.server.wrong.append(f"{method} {path}: {said}")
            return self._answer(422, said)
        return self._change(method, path, body)

    do_GET = do_POST = do_DELETE = _do  # noqa: N815 - names that http.server calls

    def _against(self, method: str, path: str, body: Any) -> str:
        """What is wrong with a request by the documentation; empty for nothing."""
        members = BODIES.get((method, path))
        if members is None:
            return "no such call"
        if members and self.headers.get("Content-Type") != "application/json":
            return "not JSON"
        known = {name.rstrip("!"): kind for name, kind in members.items()}
        given = body or {}
        if unknown := given.keys() - known.keys():
            return f"unknown {unknown}"
        if missing := {name[:-1] for name in members if name.endswith("!")} - given.keys():
            return f"missing {missing}"
        if wrong := [name for name, value in given.items() if type(value) is not known[name]]:
            return f"wrong type of {wrong}"
        if not re.fullmatch(r"(\d+(s|m|h|days?)\s*)+", given.get("duration", "5m")):
            return "unreadable duration"
        if not all(isinstance(one, str) for one in given.get("data", {}).values()):
            return "data holds strings only"
        return ""

    def _listed(self, path: str) -> None:
        if path == "/api/admin/ready-q-states/v1":
            # It names queues at a limit of connections only: none here.
            return self._answer(200, {"states_by_ready_queue": {}})
        if path == "/metrics.json":
            return self._answer(200, self.server.metrics())
        if path == "/api/admin/suspend/v1":
            return self._answer(200, self.server.suspended)
        if path == "/api/admin/suspend-ready-q/v1":
            return self._answer(200, self.server.ready)
        return self._answer(404, "no such call")

    def _change(self, method: str, path: str, body: Any) -> None:
        held = self.server.ready if "ready-q" in path else self.server.suspended
        if path.endswith("bump-config-epoch") or "rebind" in path:
            return self._answer(200, {})
        if method == "DELETE":
            found = [one for one in held if one["id"] == body["id"]]
            for one in found:
                held.remove(one)
            return self._answer(200 if found else 404, "removed" if found else "not found")
        keys = ("name",) if "ready-q" in path else ("campaign", "tenant", "domain")
        entry = {key: body.get(key) for key in keys}
        # One with the same criteria is replaced.
        held[:] = [one for one in held if any(one[key] != entry[key] for key in keys)]
        left = {"duration": "6days 23h 59m 59s 998ms 12us"}
        held.append(entry | {"id": str(uuid.uuid4()), "reason": body["reason"]} | left)
        return self._answer(200, {"id": held[-1]["id"]})

    def _answer(self, status: int, body: Any) -> None:
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def kumo() -> Iterator[Double]:
    with Double() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
    assert server.wrong == [], "calls that the documentation does not give"


def routes(*paused: tuple[Scope, str], pool: str = "main") -> Routes:
    return Routes(
        exits={A: Exit(A, "main"), B: Exit(B, "main", warm=True)},
        overflow={"main": None, "spare": None},
        senders={"acme": pool},
        campaigns={"spring": "acme"},
        pauses=dict.fromkeys(paused, "bad luck"),
    )


async def ready(kumo: Double, folder: Path) -> KumoMta:
    system = KumoMta(folder / "kumo", kumo.url)
    await system.apply([SOURCE_A, SOURCE_B])
    await system.follow(routes(), 0.0)
    return system


def read(folder: Path, name: str) -> dict[str, Any]:
    return tomllib.loads((folder / "kumo" / name).read_text())


async def test_sources_pools_senders_and_rates_are_written(kumo: Double, tmp_path: Path) -> None:
    await ready(kumo, tmp_path)
    assert read(tmp_path, SOURCES) == {
        "source": {
            "wp-198-51-100-1": {"source_address": "10.0.0.1", "ehlo_domain": "a.example"},
            "wp-198-51-100-2": {"source_address": B, "ehlo_domain": "b.example"},
        },
        "pool": {"main": {"wp-198-51-100-1": {"weight": 400}, "wp-198-51-100-2": {"weight": 2000}}, "spare": {}},
    }
    assert read(tmp_path, QUEUES) == {"tenant": {"acme": {"egress_pool": "main"}}}
    providers = read(tmp_path, SHAPING)["provider"]
    assert set(providers) == {f"warmpath-{one}" for one in ("gmail", "microsoft", "yahoo", "apple")}
    assert {"MXSuffix": ".google.com"} in providers["warmpath-gmail"]["match"]
    assert providers["warmpath-gmail"]["sources"]["wp-198-51-100-1"] == {
        "additional_source_selection_rates": {
            "warmpath-wp-198-51-100-1": "400/d,max_burst=1",
            "warmpath-wp-198-51-100-1-gmail": "100/d,max_burst=1",
        },
        "additional_message_rate_throttles": {"warmpath-wp-198-51-100-1-hour": "80/h,max_burst=1"},
    }
    assert providers["warmpath-yahoo"]["sources"]["wp-198-51-100-1"]["additional_source_selection_rates"] == {
        "warmpath-wp-198-51-100-1": "400/d,max_burst=1"
    }


async def test_files_are_written_and_announced_only_when_they_change(kumo: Double, tmp_path: Path) -> None:
    system = await ready(kumo, tmp_path)
    before, times = kumo.changes(), {one.name: one.stat().st_mtime_ns for one in (tmp_path / "kumo").iterdir()}
    assert before == [("POST", "/api/admin/bump-config-epoch")]
    assert await system.apply([SOURCE_A, SOURCE_B]) == []
    assert await system.follow(routes(), 0.0) == []
    assert kumo.changes() == before
    assert {one.name: one.stat().st_mtime_ns for one in (tmp_path / "kumo").iterdir()} == times
    assert set(times) == {SOURCES, QUEUES, SHAPING}
    assert await system.apply([SOURCE_A]) == [f"wrote {SOURCES}", f"wrote {SHAPING}"]
    assert len(kumo.changes()) == 2


async def test_what_was_not_announced_is_announced_later(kumo: Double, tmp_path: Path) -> None:
    kumo.fails = {"/api/admin/bump-config-epoch"}
    with pytest.raises(MailSystemError) as refused:
        await ready(kumo, tmp_path)
    assert str(refused.value) == "KumoMTA answers 500 to POST /api/admin/bump-config-epoch."
    kumo.fails, kumo.calls = set(), []
    await ready(kumo, tmp_path)
    assert kumo.changes() == [("POST", "/api/admin/bump-config-epoch")]


@pytest.mark.parametrize(
    ("paused", "suspended"),
    [
        ((Scope.ALL, ""), (None, None)),
        ((Scope.SENDER, "acme"), (None, "acme")),
        ((Scope.CAMPAIGN, "spring"), ("spring", None)),
    ],
)
async def test_a_pause_suspends_its_queues_and_ends_with_it(
    kumo: Double, tmp_path: Path, paused: tuple[Scope, str], suspended: tuple[str | None, str | None]
) -> None:
    system = await ready(kumo, tmp_path)
    theirs = {"id": str(uuid.uuid4()), "campaign": None, "tenant": "acme", "domain": "x.example", "reason": "ours"}
    kumo.suspended += [theirs | {"duration": "5m"}, theirs | {"duration": "5m", "tenant": "other", "domain": None}]
    (said,) = await system.follow(routes(paused), 0.0)
    assert said.endswith("is paused: bad luck")
    assert kumo.paused() == {suspended}
    done = len(kumo.changes())
    assert await system.follow(routes(paused), 0.0) == []
    assert len(kumo.changes()) == done
    kumo.suspended[-1]["duration"] = "3days 11h"
    await system.follow(routes(paused), 0.0)
    assert len(kumo.changes()) == done + 1, "renewed at half of its time"
    kumo.suspended.pop()
    await system.follow(routes(paused), 0.0)
    assert kumo.paused() == {suspended}, "a restart of KumoMTA forgets it"
    await system.follow(routes(), 0.0)
    assert [one["reason"] for one in kumo.suspended] == ["ours", "ours"], "suspensions of others are left alone"


async def test_a_closed_ip_is_out_of_its_pool_and_its_ready_queues_stand_still(kumo: Double, tmp_path: Path) -> None:
    system = await ready(kumo, tmp_path)
    theirs = {"id": str(uuid.uuid4()), "name": READY.replace("100-1", "100-2"), "reason": "ours", "duration": "5m"}
    kumo.ready.append(theirs)
    said = await system.follow(routes((Scope.IP, A)), 0.0)
    assert said == [f"suspended ready queue {READY}: {A} is paused: bad luck", f"wrote {SOURCES}"]
    assert [one["name"] for one in kumo.ready] == [theirs["name"], READY]
    assert read(tmp_path, SOURCES)["pool"]["main"] == {
        "wp-198-51-100-1": {"weight": 0}, "wp-198-51-100-2": {"weight": 2000},
    }  # fmt: skip
    assert await system.follow(routes((Scope.IP, A)), 0.0) == []
    assert await system.follow(routes(), 0.0) == [f"released ready queue {READY}", f"wrote {SOURCES}"]
    assert kumo.ready == [theirs], "a suspension of others is left alone"


async def test_without_a_ready_queue_there_is_nothing_to_suspend(kumo: Double, tmp_path: Path) -> None:
    kumo.queues = []
    system = await ready(kumo, tmp_path)
    assert await system.follow(routes((Scope.IP, A)), 0.0) == [f"wrote {SOURCES}"]


@pytest.mark.parametrize("odd", [[], {"ready_count": 1.0}, {"ready_count": {"value": 2.0}}])
async def test_metrics_of_another_shape_are_told(
    kumo: Double, tmp_path: Path, odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await ready(kumo, tmp_path)
    monkeypatch.setattr(Double, "metrics", lambda self: odd)
    with pytest.raises(MailSystemError, match="/metrics.json with something else"):
        await system.follow(routes((Scope.IP, A)), 0.0)


async def test_a_paused_pool_closes_each_of_its_ips(kumo: Double, tmp_path: Path) -> None:
    system = await ready(kumo, tmp_path)
    kumo.queues.append(READY.replace("100-1", "100-2"))
    await system.follow(routes((Scope.POOL, "main")), 0.0)
    assert len(kumo.ready) == 2
    assert {one["weight"] for one in read(tmp_path, SOURCES)["pool"]["main"].values()} == {0}


async def test_queued_mail_goes_with_its_sender_to_another_pool(kumo: Double, tmp_path: Path) -> None:
    system = await ready(kumo, tmp_path)
    kumo.fails, kumo.calls = {"/api/admin/rebind/v1"}, []
    with pytest.raises(MailSystemError, match="rebind"):
        await system.follow(routes(pool="spare"), 0.0)
    assert read(tmp_path, QUEUES) == {"tenant": {"acme": {"egress_pool": "spare"}}}
    kumo.fails, kumo.calls = set(), []
    assert await system.follow(routes(pool="spare"), 0.0) == ["rebound queued mail of sender acme to pool spare"]
    (body,) = [body for _, path, body in kumo.calls if "rebind" in path]
    assert (body["tenant"], body["data"], body["always_flush"]) == ("acme", {"warmpath_pool": "spare"}, True)
    assert await system.follow(routes(pool="spare"), 0.0) == []


async def test_a_pause_does_not_wait_for_a_folder(kumo: Double, tmp_path: Path) -> None:
    (tmp_path / "kumo").write_text("a file where the folder belongs")
    system = KumoMta(tmp_path / "kumo", kumo.url)
    await system.apply([SOURCE_A])
    with pytest.raises(MailSystemError, match="cannot be written"):
        await system.follow(routes((Scope.ALL, "")), 0.0)
    assert kumo.paused() == {(None, None)}


async def test_user_and_password_are_sent_and_never_said(kumo: Double, tmp_path: Path) -> None:
    kumo.auth = "Basic " + base64.b64encode(b"warmpath:hunter2").decode()
    await KumoMta(tmp_path / "kumo", kumo.url, ("warmpath", "hunter2")).follow(routes((Scope.ALL, "")), 0.0)
    assert kumo.paused()
    with pytest.raises(MailSystemError, match="WARMPATH_KUMOMTA_USER") as refused:
        await KumoMta(tmp_path / "kumo", kumo.url, ("warmpath", "hunter3")).follow(routes(), 0.0)
    assert "hunter" not in str(refused.value)


async def test_one_that_does_not_answer_is_named(tmp_path: Path) -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    with pytest.raises(MailSystemError, match="does not answer GET /api/admin/suspend/v1"):
        await KumoMta(tmp_path / "kumo", f"http://127.0.0.1:{port}").follow(routes(), 0.0)


def test_names_cannot_break_out_of_the_file() -> None:
    nasty = 'x"]\n[source."evil"]\n\x7f\\'
    found = tomllib.loads(sources_toml([Source(A, A, nasty, nasty, cap=1)], [], {A}))
    assert set(found) == {"source", "pool"}
    assert found["source"] == {"wp-198-51-100-1": {"source_address": A, "ehlo_domain": nasty}}
    assert set(found["pool"]) == {nasty}


@pytest.mark.parametrize(
    ("text", "length"),
    [("5m", 300.0), ("6days 23h 59m 58s", 604_798.0), ("1day", 86_400.0), ("998ms 12us", 0.998012), ("", 0.0)],
)
def test_durations_are_read(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)
