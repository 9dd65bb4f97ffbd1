"""Knot as primary and secondary, Unbound as resolvers, on loopback and a free port."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from domain import dns as rules
from providers.dns.endpoint import Endpoint
from providers.dns.observer import Observer
from providers.dns.rfc2136 import Rfc2136Publisher
from tests.ports import free_port

ADDRESS = "203.0.113.9"
DOMAIN = "shop.test"
REVERSE = "113.0.203.in-addr.arpa"
#: TTL of SOA, its minimum and every record of the fixtures, seconds: the length of a negative answer.
NEGATIVE = 3
KEY_NAME = "warmpath"
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

ZONE = """$TTL {ttl}
@ SOA ns1.shop.test. hostmaster.shop.test. {serial} 1 1 3600 {ttl}
@ NS ns1.shop.test.
@ NS ns2.shop.test.
"""
GLUE = 'ns1 A 127.0.0.1\nns2 A 127.0.0.2\n@ TXT "site-verification=1"\n'


class Neighbours:
    """The running servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port(hosts=[f"127.0.0.{last}" for last in range(1, 7)])
        self.primary = Endpoint("127.0.0.1", self.port)
        self.secondary = Endpoint("127.0.0.2", self.port)
        self.resolvers = [Endpoint("127.0.0.3", self.port), Endpoint("127.0.0.4", self.port)]
        self.parent: Endpoint | None = None
        #: Lines that the zone of the domain has beside SOA, NS and :data:`GLUE`.
        self.zone_lines = ""
        #: The serial of both zones at the start.
        self.serial = 1
        #: Lines that the reverse zone has beside SOA and NS.
        self.reverse_lines = ""
        #: A zone of somebody else on 127.0.0.6, as (name, lines); the resolvers know where it is.
        self.customer: tuple[str, str] | None = None
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all four and wait until they answer."""
        self._knot("primary", self.primary, self._zones_primary())
        self._wait(self.primary)
        self._knot("secondary", self.secondary, self._zones_secondary())
        self._wait(self.secondary)
        if self.customer is not None:
            zone, lines = self.customer
            self._alone("customer", Endpoint("127.0.0.6", self.port), zone, lines)
        for number, endpoint in enumerate(self.resolvers):
            self._unbound(f"resolver{number}", endpoint)
        for endpoint in self.resolvers:
            self._wait(endpoint, recurse=True)

    def start_parent(self, delegation: str) -> Endpoint:
        """Start a server of ``test.`` that delegates; to be called before :meth:`start`.

        Args:
            delegation: lines of the zone ``test.``, such as ``shop NS ns1.shop``.
        """
        self.parent = Endpoint("127.0.0.5", self.port)
        soa = f"$TTL {NEGATIVE}\n@ SOA ns hostmaster 1 60 60 3600 {NEGATIVE}\n@ NS ns\nns A 127.0.0.5\n"
        self._alone("parent", self.parent, "test", soa + delegation)
        return self.parent

    def _alone(self, name: str, endpoint: Endpoint, zone: str, lines: str) -> None:
        home = self.folder / name
        home.mkdir()
        (home / "zone").write_text(lines)
        (home / "knot.conf").write_text(
            f"server:\n  rundir: {home}\n  listen: {endpoint}\n  udp-workers: 1\n  tcp-workers: 1\n"
            f"  background-workers: 1\ndatabase:\n  storage: {home}\nzone:\n  - domain: {zone}\n"
            f"    storage: {home}\n    file: zone\n"
        )
        self._spawn(name, [shutil.which("knotd") or "/usr/sbin/knotd", "-c", str(home / "knot.conf")])
        self._wait(endpoint, name=zone)

    def start_cache(self) -> Endpoint:
        """Start a resolver on 127.0.0.6 that also tells what it holds, without authority, when not asked to recurse."""
        endpoint = Endpoint("127.0.0.6", self.port)
        self._unbound("cache", endpoint, snoop=True)
        self._wait(endpoint, recurse=True)
        return endpoint

    def stop(self) -> None:
        """End every server, also one that is halted."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)

    def halt(self, name: str) -> None:
        """Make a server silent."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Let a halted server answer again."""
        self.processes[name].send_signal(signal.SIGCONT)

    def control(self, name: str, *command: str) -> None:
        """``knotc`` on one of the two, such as ``zone-freeze shop.test``."""
        run = ["knotc", "-c", str(self.folder / name / "knot.conf"), "-b", *command]
        done = subprocess.run(run, check=False, capture_output=True, timeout=20)
        if done.returncode:
            raise RuntimeError(f"knotc {' '.join(command)}: {done.stderr.decode()}{done.stdout.decode()}")

    def observer(self, timeout: float = 1.0) -> Observer:
        """An observer of these servers."""
        return Observer(
            servers=[self.primary, self.secondary],
            resolvers=self.resolvers,
            port=self.port,
            quorum=1.0,
            timeout=timeout,
        )

    def publisher(self, secret: str = SECRET, name: str = KEY_NAME, timeout: float = 5.0) -> Rfc2136Publisher:
        """A publisher into the primary."""
        return Rfc2136Publisher(self.primary, name, "hmac-sha256", secret, timeout=timeout)

    def _zones_primary(self) -> str:
        shared = "\n    notify: other\n    acl: [update, transfer]\n    zonefile-sync: -1"
        return "".join(f"\n  - domain: {z}\n    file: {z}.zone{shared}" for z in (DOMAIN, REVERSE))

    def _zones_secondary(self) -> str:
        return "".join(f"\n  - domain: {z}\n    master: other\n    acl: notify" for z in (DOMAIN, REVERSE))

    def _knot(self, name: str, endpoint: Endpoint, zones: str) -> None:
        home = self.folder / name
        home.mkdir()
        for zone, extra in ((DOMAIN, GLUE + self.zone_lines), (REVERSE, self.reverse_lines)):
            (home / f"{zone}.zone").write_text(ZONE.format(serial=self.serial, ttl=NEGATIVE) + extra)
        other = self.secondary if name == "primary" else self.primary
        config = home / "knot.conf"
        config.write_text(
            f"""server:
  rundir: {home}
  listen: {endpoint.address}@{endpoint.port}
  background-workers: 1
  udp-workers: 1
  tcp-workers: 1
control:
  listen: {home}/knot.sock
database:
  storage: {home}
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: other
    address: {other.address}@{other.port}
    via: {endpoint.address}
acl:
  - id: update
    key: {KEY_NAME}
    action: update
  - id: transfer
    address: 127.0.0.0/8
    action: transfer
  - id: notify
    address: 127.0.0.0/8
    action: notify
template:
  - id: default
    storage: {home}
zone:{zones}
"""
        )
        self._spawn(name, [shutil.which("knotd") or "/usr/sbin/knotd", "-c", str(config)])

    def _unbound(self, name: str, endpoint: Endpoint, *, snoop: bool = False) -> None:
        home = self.folder / name
        home.mkdir()
        stubs = "".join(
            f"stub-zone:\n  name: {zone}\n  stub-addr: {self.primary.address}@{self.port}\n"
            for zone in (DOMAIN, REVERSE)
        )
        if self.customer is not None:
            stubs += f"stub-zone:\n  name: {self.customer[0]}\n  stub-addr: 127.0.0.6@{self.port}\n"
        if self.parent is not None:
            stubs += f"stub-zone:\n  name: test\n  stub-addr: {self.parent.address}@{self.port}\n"
        config = home / "unbound.conf"
        config.write_text(
            f"""server:
  directory: {home}
  pidfile: {home}/pid
  chroot: ""
  username: ""
  use-syslog: no
  interface: {endpoint.address}@{endpoint.port}
  do-not-query-localhost: no
  module-config: "iterator"
  num-threads: 1
  qname-minimisation: no
  access-control: 127.0.0.0/8 {"allow_snoop" if snoop else "allow"}
  local-zone: "test." nodefault
  local-zone: "{REVERSE}." nodefault
remote-control:
  control-enable: no
{stubs}"""
        )
        self._spawn(name, [shutil.which("unbound") or "/usr/sbin/unbound", "-d", "-c", str(config)])

    def _spawn(self, name: str, command: list[str]) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=os.fspath(self.folder))

    def _wait(self, endpoint: Endpoint, *, recurse: bool = False, name: str = DOMAIN) -> None:
        query = dns.message.make_query(name, "NS" if recurse else "SOA")
        until = time.monotonic() + 15
        while time.monotonic() < until:
            with contextlib.suppress(Exception):
                if dns.query.udp(query, endpoint.address, timeout=0.3, port=endpoint.port).answer:
                    return
        logs = "\n".join(file.read_text() for file in self.folder.glob("*.log"))
        raise RuntimeError(f"{endpoint} does not answer:\n{logs}")


def need_servers() -> None:
    """Fail where Knot or Unbound is not installed: a check that was left out would look like one that passed."""
    if not shutil.which("knotd", path=os.environ["PATH"] + ":/usr/sbin") or not shutil.which(
        "unbound", path=os.environ["PATH"] + ":/usr/sbin"
    ):
        pytest.fail("Knot or Unbound is absent; run `sh deploy/install-test-packages.sh` as root.")


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[Neighbours]:
    """Servers of one test, with zones as in :data:`ZONE`."""
    need_servers()
    running = Neighbours(tmp_path)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def records() -> dict[str, rules.Record]:
    """The record set of the address of these tests."""
    wish = rules.Wish(
        address=ADDRESS,
        hostname=f"mail.{DOMAIN}",
        domain=DOMAIN,
        dkim_record="v=DKIM1; k=rsa; p=" + "A" * 392,
    )
    return {record.key: record for record in rules.render(wish, rules.Existing())}
