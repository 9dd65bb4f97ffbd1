"""``/healthz``, ``/readyz`` and ``/metrics`` of a gate, over the least HTTP that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gate.connection import Connections
from gate.desk import Desk

#: Bytes and seconds of a request.
HEAD_BYTES, HEAD_SECONDS = 8_192, 5.0
_OUTCOMES = ("allowed", "deferred", "paused", "repeated", "unknown", "store_silent")
_ALLOWANCE = ("leased", "returned", "lost")


class Figures(Collector):
    """Figures of one gate, read when they are asked for: counting costs a mail nothing more."""

    def __init__(self, desk: Desk, listeners: dict[str, Connections], silent: Callable[[], str]) -> None:
        self._desk, self._listeners, self._silent = desk, listeners, silent

    def collect(self) -> Iterable[Metric]:
        """What Prometheus sees."""
        mails = CounterMetricFamily("warmpath_gate_mails", "Questions by outcome.", labels=["outcome"])
        for one in _OUTCOMES:
            mails.add_metric([one], self._desk.counts[one])
        yield mails
        allowance = CounterMetricFamily("warmpath_gate_allowance", "Mails of leased blocks.", labels=["what"])
        for one in _ALLOWANCE:
            allowance.add_metric([one], self._desk.counts[one])
        yield allowance
        held = sum(one.left for one in self._desk.blocks.values())
        yield GaugeMetricFamily("warmpath_gate_held", "Allowance in memory, mails.", value=held)
        connections = GaugeMetricFamily("warmpath_gate_connections", "Open connections.", labels=["protocol"])
        why = ["protocol", "why"]
        refused = CounterMetricFamily("warmpath_gate_refused", "Connections refused or closed.", labels=why)
        for name, listener in self._listeners.items():
            connections.add_metric([name], len(listener.open))
            refused.add_metric([name, "too_many"], listener.refused)
            refused.add_metric([name, "broken"], listener.broken)
            refused.add_metric([name, "failed"], listener.failed)
        yield connections
        yield refused
        silent = bool(self._silent())
        yield GaugeMetricFamily("warmpath_gate_store_silent", "1 while the store gives no answer.", value=silent)


class Status:
    """The listener."""

    def __init__(self, figures: Figures, trouble: Callable[[], str]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(figures)
        self._trouble = trouble

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(head))
            async with asyncio.timeout(HEAD_SECONDS):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        path = words[1].partition(b"?")[0] if len(words) == 3 and words[0] == b"GET" else b""
        if path == b"/healthz":
            return _http("200 OK", b"ok\n")
        if path == b"/readyz":
            trouble = self._trouble()
            return (
                _http("503 Service Unavailable", trouble.encode() + b"\n") if trouble else _http("200 OK", b"ready\n")
            )
        if path == b"/metrics":
            return _http("200 OK", generate_latest(self._registry))
        return _http("404 Not Found", b"/healthz, /readyz or /metrics\n")


def _http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n\r\n").encode() + body
