"""Knot serving every blocklist below ``lists.test``, for tests."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

from domain.blocklists import ALLOW_ZONES, DOMAIN_ZONES, ZONES, query_name
from tests.ports import free_port

SUFFIX = "lists.test"


#: A machine busy with other work takes its time.
START_SECONDS = 30.0


class BlocklistKnot:
    """One Knot; ``listed`` holds (subject, zone, code)."""

    def __init__(self, folder: Path, listed: list[tuple[str, str, str]]) -> None:
        self.port = free_port()
        lines = ["$TTL 1", "@ SOA ns hostmaster 1 60 60 60 1", "@ NS ns", "ns A 127.0.0.1"]
        for zone in (*ZONES, *DOMAIN_ZONES):
            probe = "test" if zone.domains else "127.0.0.2"
            lines.append(f"{query_name(probe, f'{zone.name}.{SUFFIX}')} A {next(iter(zone.listed))}")
        lines += [f"{query_name('127.0.0.2', f'{zone.name}.{SUFFIX}')} A 127.0.10.0" for zone in ALLOW_ZONES]
        lines += [f"{query_name(who, f'{zone}.{SUFFIX}')} A {code}" for who, zone, code in listed]
        (folder / "zone").write_text("\n".join(lines) + "\n")
        (folder / "knot.conf").write_text(
            f"server:\n  listen: 127.0.0.1@{self.port}\n  rundir: {folder}\n  tcp-workers: 1\n  udp-workers: 1\n"
            f"database:\n  storage: {folder}/db\n"
            f"zone:\n  - domain: {SUFFIX}\n    file: {folder}/zone\n    zonefile-sync: -1\n"
        )
        self._log = folder / "knot.log"
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                [shutil.which("knotd") or "/usr/sbin/knotd", "-c", str(folder / "knot.conf")], stdout=out, stderr=out
            )
        self._wait()

    def _wait(self) -> None:
        question = dns.message.make_query(f"{SUFFIX}.", "SOA")
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(OSError, dns.exception.DNSException):
                if dns.query.udp(question, "127.0.0.1", timeout=0.2, port=self.port).answer:
                    return
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"Knot did not start: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End it and wait; what it holds is thrown away, so that nothing is gained by asking it kindly."""
        self._process.kill()
        self._process.wait()


LISTED = [
    ("203.0.113.10", "zen.spamhaus.org", "127.0.0.2"),
    ("203.0.113.11", "zen.spamhaus.org", "127.0.0.10"),
    ("203.0.113.12", "zen.spamhaus.org", "127.255.255.254"),
    ("203.0.113.13", "bl.mailspike.net", "127.0.0.15"),
    ("203.0.113.14", "dnsbl-2.uceprotect.net", "127.0.0.2"),
    # This list names the whole world, so its health probe fails.
    ("127.0.0.1", "psbl.surriel.com", "127.0.0.2"),
    ("203.0.113.15", "psbl.surriel.com", "127.0.0.2"),
    ("203.0.113.16", "list.dnswl.org", "127.0.5.2"),
    ("bad.example", "dbl.spamhaus.org", "127.0.1.2"),
]


@pytest.fixture
def lists_knot(tmp_path: Path) -> Iterator[BlocklistKnot]:
    """Blocklists on loopback."""
    folder = tmp_path / "knot"
    folder.mkdir()
    knot = BlocklistKnot(folder, LISTED)
    yield knot
    knot.stop()
