"""The programs of the sandbox: how each is started, when it is ready, in which order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.environment import Ports
from sandbox.process import Part, Probe
from settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

HOST = "127.0.0.1"
SEARCH_ATTRIBUTES = ("IpAddress", "Stage", "Pool", "Sender")


def listens(port: int) -> Probe:
    """Ready when something accepts connections on the port."""

    async def probe() -> bool:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return False
        writer.close()
        return True

    return probe


def answers(url: str) -> Probe:
    """Ready when the URL answers 200."""

    def ask() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
        return False

    async def probe() -> bool:
        return await asyncio.to_thread(ask)

    return probe


def polls(settings: Settings, address: str) -> Probe:
    """Ready when a worker polls the task queue for workflow tasks."""
    held: list[Client] = []

    async def probe() -> bool:
        # Half a second of imports, which the parts need not wait for: they are at work by now.
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.taskqueue.v1 import TaskQueue
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
        from temporalio.client import Client
        from temporalio.service import RPCError

        try:
            if not held:
                held.append(await Client.connect(address, namespace=settings.temporal_namespace))
            reply = await held[0].workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=settings.temporal_namespace,
                    task_queue=TaskQueue(name=settings.task_queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                )
            )
        except (RuntimeError, RPCError):  # the server is not there yet; asked again
            return False
        return bool(reply.pollers)

    return probe


def _module(name: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *(str(argument) for argument in arguments))


def temporal(ports: Ports, var: Path) -> Part:
    """The real Temporal server on an SQLite file that survives a power loss."""
    attributes = [part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")]
    command = (
        str(Path(sys.executable).parent / "temporal"),
        *("server", "start-dev", "--ip", HOST, "--port", str(ports.temporal)),
        *("--ui-port", str(ports.temporal_ui), "--db-filename", str(var / "temporal.sqlite")),
        *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"),
        # By default timers fire up to a second late, for the sake of clusters whose clocks differ; days are short here.
        *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
        *attributes,
        *("--ui-codec-endpoint", f"http://{HOST}:{ports.codec}", "--log-level", "error"),
    )
    return Part("temporal", command, listens(ports.temporal), f"http://{HOST}:{ports.temporal_ui}", 10)


def neighbours(ports: Ports, var: Path) -> list[Part]:
    """The outside world; nothing of ours is needed for it."""
    state = var / "sandbox"
    return [
        temporal(ports, var),
        Part(
            "dns",
            _module("sandbox.dns", "--state", state / "dns", "--port", ports.dns),
            listens(ports.dns + 4),
            f"{HOST}:{ports.dns} primary, :{ports.dns + 1} secondary, then three resolvers",
        ),
        Part(
            "smtp",
            _module("sandbox.smtp", "--state", state / "smtp", "--port", ports.smtp),
            listens(ports.smtp),
            f"{HOST}:{ports.smtp}, logins in {state / 'smtp' / 'logins.json'}",
        ),
        Part(
            "vendor",
            _module("sandbox.vendor", "--port", ports.vendor, "--state", state / "vendor"),
            listens(ports.vendor),
            f"http://{HOST}:{ports.vendor} sells documentation addresses",
        ),
        Part(
            "payments",
            _module("sandbox.payments", "--port", ports.payments, "--state", state / "payments"),
            listens(ports.payments),
            f"http://{HOST}:{ports.payments} takes test cards",
        ),
    ]


def product(ports: Ports, settings: Settings) -> list[Part]:
    """Warmpath itself; needs a migrated database, and waits for the neighbours."""
    console = (
        *_module("ui.start", "--server.headless", "true", "--server.address", HOST),
        *("--server.port", str(ports.console), "--browser.gatherUsageStats", "false"),
        *("--server.fileWatcherType", "none", "--client.toolbarMode", "minimal"),
    )
    api = _module("uvicorn", "api.app:create", "--factory", "--host", HOST, "--port", ports.api)
    return [
        Part(
            "worker",
            (sys.executable, "worker.py"),
            polls(settings, f"{HOST}:{ports.temporal}"),
            "runs workflows and activities",
            settings.drain_seconds + 5,
        ),
        Part(
            "api",
            (*api, "--timeout-graceful-shutdown", "8"),
            answers(f"http://{HOST}:{ports.api}/healthz"),
            f"http://{HOST}:{ports.api}/docs",
            10,
        ),
        Part(
            "gate",
            _module("gate"),
            answers(f"http://{HOST}:{ports.gate_http}/readyz"),
            f"{HOST}:{ports.gate_policy} policy, :{ports.gate_socketmap} socketmap, for Postfix",
            15,
        ),
        Part(
            "reports",
            (sys.executable, "cli.py", "bounce", "listen"),
            listens(ports.reports),
            f"{HOST}:{ports.reports} takes bounces and complaints by mail",
            10,
        ),
        Part("codec", _module("api.codec_server"), listens(ports.codec), "lets the Temporal UI decode payloads"),
        Part(
            "console",
            console,
            answers(f"http://{HOST}:{ports.console}/_stcore/health"),
            f"http://{HOST}:{ports.console}",
        ),
    ]


def senders(ports: Ports) -> list[Part]:
    """Mail that flows through the leases; waits for the API."""
    where = f"http://{HOST}:{ports.senders} send what leases grant; trouble is switched there"
    return [Part("senders", _module("sandbox.senders"), listens(ports.senders), where)]
