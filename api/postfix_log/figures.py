"""Figures of a reader of a log, for Prometheus: how much it has read, and how far it is behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from domain.postfix_log import Tally


class Figures(Collector):
    """What one reader has done; read when it is asked for.

    Attributes:
        behind: bytes that are written and not read.
    """

    def __init__(self) -> None:
        self.behind = 0
        self._lines = self._unread = self._last_ms = 0

    def add(self, done: Tally) -> None:
        """Count lines whose events are stored."""
        self._lines += done.lines
        self._unread += done.unread
        self._last_ms = done.last_ms or self._last_ms

    def collect(self) -> Iterable[Metric]:
        """What Prometheus sees."""
        yield CounterMetricFamily("warmpath_postfix_log_lines", "Lines read and stored.", value=self._lines)
        yield CounterMetricFamily(
            "warmpath_postfix_log_lines_not_understood",
            "Lines that no log has, and lines about a recipient of a transport of ours that were not understood.",
            value=self._unread,
        )
        yield GaugeMetricFamily("warmpath_postfix_log_lag_bytes", "Written and not read yet.", value=self.behind)
        late = time.time() - self._last_ms / 1000 if self.behind and self._last_ms else 0.0
        yield GaugeMetricFamily(
            "warmpath_postfix_log_lag_seconds",
            "Age of the last line that was read, while there are others to read; else 0.",
            value=max(0.0, late),
        )


def serve(figures: Figures, host: str, port: int) -> Callable[[], None]:
    """Answer ``/metrics`` on a thread; what is returned ends it.

    Raises:
        OSError: the port cannot be used.
    """
    registry = CollectorRegistry()
    registry.register(figures)
    server, thread = start_http_server(port, host, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
