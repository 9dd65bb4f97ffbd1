"""The sandbox's internet of names: an authoritative primary and secondary, and caching resolvers.

``python -m sandbox.dns --state DIR`` serves on loopback, over UDP and TCP:

========  =====================================================================================
primary   10053: answers, transfers (AXFR), takes dynamic updates signed with TSIG (RFC 2136)
secondary 10054: the same zones, as they were ``--lag`` seconds ago
resolvers 10055-10057: cache positive answers for their TTL and negative ones for
          min(SOA TTL, SOA MINIMUM) (RFC 2308), and forward the rest
========  =====================================================================================

Keys lie in ``DIR/tsig.json``, made at the first start.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
from dns.rdatatype import RdataType

from sandbox import zones
from sandbox.zones import ZoneStore

HOST = "127.0.0.1"
KEY_NAMES = ("warmpath", "registrar", "vendor")
Answer = Callable[[bytes, bool], Awaitable[list[bytes]]]


def tsig_keys(state: Path) -> dict[str, str]:
    """The TSIG secrets (base64) by key name; made once and kept in ``state/tsig.json``."""
    file = state / "tsig.json"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        made = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEY_NAMES}
        draft = file.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(made))
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    keys: dict[str, str] = json.loads(file.read_text())
    return keys


def _keyring(keys: dict[str, str]) -> dict[dns.name.Name, dns.tsig.Key]:
    return {dns.name.from_text(name): dns.tsig.Key(name, secret, dns.tsig.HMAC_SHA256) for name, secret in keys.items()}


@dataclass
class Authority:
    """An authoritative server over a :class:`ZoneStore`; without keys it takes no updates."""

    store: ZoneStore
    keys: dict[str, str] = field(default_factory=dict)
    changed: Callable[[dns.name.Name], None] = lambda _name: None

    async def answer(self, wire: bytes, over_tcp: bool) -> list[bytes]:
        """Answer one message; a transfer takes several messages, garbage takes none."""
        try:
            query = dns.message.from_wire(wire, keyring=_keyring(self.keys) or False, continue_on_error=False)
        except dns.message.UnknownTSIGKey:
            return [_refusal(wire, dns.rcode.NOTAUTH)]
        except (dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.BadKey):
            return [_refusal(wire, dns.rcode.NOTAUTH)]
        except dns.exception.DNSException:
            return [_refusal(wire, dns.rcode.FORMERR)] if len(wire) >= 12 else []
        if query.flags & dns.flags.QR:
            return []
        if isinstance(query, dns.update.UpdateMessage):
            return [self._update(query).to_wire()]
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return [_respond(query, dns.rcode.NOTIMP).to_wire()]
        question = query.question[0]
        if question.rdtype in (RdataType.AXFR, RdataType.IXFR):
            return self._transfer(query, over_tcp)
        return [_fit(self._lookup(query), query, over_tcp)]

    def _lookup(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        response = _respond(query, dns.rcode.NOERROR)
        name = question.name
        for _ in range(8):
            zone = self.store.closest(name)
            if zone is None or zone.origin is None:
                response.set_rcode(dns.rcode.REFUSED)
                return response
            response.flags |= dns.flags.AA
            node = zone.nodes.get(name)
            held = node.get_rdataset(dns.rdataclass.IN, question.rdtype) if node else None
            if held is not None:
                response.answer.append(dns.rrset.from_rdata_list(name, held.ttl, list(held)))
                return response
            alias = node.get_rdataset(dns.rdataclass.IN, RdataType.CNAME) if node else None
            if alias is None:
                if not zones.names_below(zone, name):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                soa = zone.nodes[zone.origin].find_rdataset(dns.rdataclass.IN, RdataType.SOA)
                negative = min(soa.ttl, soa[0].minimum)
                response.authority.append(dns.rrset.from_rdata_list(zone.origin, negative, list(soa)))
                return response
            response.answer.append(dns.rrset.from_rdata_list(name, alias.ttl, list(alias)))
            name = alias[0].target
        return response

    def _transfer(self, query: dns.message.Message, over_tcp: bool) -> list[bytes]:
        zone = self.store.exact(query.question[0].name)
        if zone is None:
            return [_respond(query, dns.rcode.NOTAUTH).to_wire()]
        if not over_tcp:
            return [_respond(query, dns.rcode.REFUSED).to_wire()]
        sets = list(zones.records(zone))
        wires = []
        for part in _batches([*sets, sets[0]]):
            response = _respond(query, dns.rcode.NOERROR)
            response.flags |= dns.flags.AA
            response.answer.extend(part)
            wires.append(response.to_wire(max_size=65535))
        return wires

    def _update(self, query: dns.update.UpdateMessage) -> dns.message.Message:
        if not query.had_tsig or query.keyname is None:
            return _respond(query, dns.rcode.NOTAUTH)
        origin = query.zone[0].name
        zone = self.store.exact(origin)
        if zone is None:
            return _respond(query, dns.rcode.NOTAUTH)
        name_of_key = query.keyname.to_text(omit_final_dot=True)
        if name_of_key == "warmpath" and origin.to_text(omit_final_dot=True) in zones.MANUAL_DOMAINS:
            return _respond(query, dns.rcode.REFUSED)
        if any(not change.name.is_subdomain(origin) for change in query.update):
            return _respond(query, dns.rcode.NOTZONE)
        verdict = zones.prerequisites_hold(zone, query)
        if verdict == dns.rcode.NOERROR and zones.apply_update(zone, query):
            self.store.commit(zone)
            self.changed(origin)
        return _respond(query, verdict)


def _batches(sets: list[dns.rrset.RRset], size: int = 100) -> list[list[dns.rrset.RRset]]:
    return [sets[start : start + size] for start in range(0, len(sets), size)]


def _respond(query: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.set_rcode(rcode)
    return response


def _refusal(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A bare header with ``rcode`` for a message that cannot be read or trusted."""
    ident, flags = struct.unpack("!HH", wire[:4])
    return struct.pack("!HHHHHH", ident, (flags & 0x7900) | 0x8000 | int(rcode), 0, 0, 0, 0)


def _fit(response: dns.message.Message, query: dns.message.Message, over_tcp: bool) -> bytes:
    limit = 65535 if over_tcp else max(512, query.payload if query.edns >= 0 else 512)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        short = _respond(query, response.rcode())
        short.flags |= dns.flags.TC | (response.flags & dns.flags.AA)
        return short.to_wire()


@dataclass
class _Cached:
    message: dns.message.Message
    born: float
    until: float


class Resolver:
    """A caching forwarder: what a public resolver looks like from outside."""

    def __init__(self, servers: list[tuple[str, int]], now: Callable[[], float] = time.monotonic) -> None:
        self._servers = servers
        self._now = now
        self._turn = 0
        self._cache: dict[tuple[dns.name.Name, RdataType], _Cached] = {}

    async def answer(self, wire: bytes, over_tcp: bool) -> list[bytes]:
        """Answer from the cache, or ask an authoritative server and remember."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return [_refusal(wire, dns.rcode.FORMERR)] if len(wire) >= 12 else []
        if query.flags & dns.flags.QR:
            return []
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return [_refusal(wire, dns.rcode.NOTIMP)]
        question = query.question[0]
        key = (question.name, question.rdtype)
        found = self._cache.get(key)
        if found is None or found.until <= self._now():
            found = await self._ask(question)
            if found.until > found.born:
                self._cache[key] = found
        response = _respond(query, found.message.rcode())
        response.flags |= dns.flags.RA
        age = int(self._now() - found.born)
        for mine, theirs in (
            (response.answer, found.message.answer),
            (response.authority, found.message.authority),
        ):
            mine.extend(dns.rrset.from_rdata_list(s.name, max(0, s.ttl - age), list(s)) for s in theirs)
        return [_fit(response, query, over_tcp)]

    async def _ask(self, question: dns.rrset.RRset) -> _Cached:
        self._turn += 1
        born = self._now()
        for offset in range(len(self._servers)):
            host, port = self._servers[(self._turn + offset) % len(self._servers)]
            query = dns.message.make_query(question.name, question.rdtype, use_edns=0, payload=1232)
            query.flags &= ~dns.flags.RD
            try:
                answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=2, port=port)
            except (dns.exception.DNSException, OSError):
                continue
            if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return _Cached(answer, born, born + _lifetime(answer))
        failed = dns.message.Message()
        failed.set_rcode(dns.rcode.SERVFAIL)
        return _Cached(failed, born, born)


def _lifetime(answer: dns.message.Message) -> int:
    """Seconds an answer may be kept: its smallest TTL; negative ones as RFC 2308 says."""
    if answer.answer:
        return min(rrset.ttl for rrset in answer.answer)
    for rrset in answer.authority:
        if rrset.rdtype == RdataType.SOA:
            return min(rrset.ttl, int(rrset[0].minimum))
    return 0


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._reply(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        for wire in await self._answer(data, False):
            self._transport.sendto(wire, addr)


class Listener:
    """One server on one port, UDP and TCP; port 0 picks a free one (``port`` tells)."""

    def __init__(self, answer: Answer, port: int) -> None:
        self._answer = answer
        self.port = port

    async def start(self) -> None:
        """Bind.

        Raises:
            OSError: the port is taken.
        """
        self._tcp = await asyncio.start_server(self._converse, HOST, self.port)
        self.port = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._answer), local_addr=(HOST, self.port)
        )

    async def stop(self) -> None:
        """Free the port."""
        self._udp.close()
        self._tcp.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                for wire in await self._answer(await reader.readexactly(length), True):
                    writer.write(struct.pack("!H", len(wire)) + wire)
                await writer.drain()
        writer.close()


class SandboxDns:
    """Everything together; ports 0 pick free ones.

    Args:
        state: folder of zone files and keys.
        lag: seconds until the secondary has a change.
    """

    def __init__(self, state: Path, primary: int, secondary: int, resolvers: tuple[int, ...], lag: float) -> None:
        self.keys = tsig_keys(state)
        self._lag = lag
        self._master = ZoneStore(state / "zones")
        self._slave = ZoneStore(None)
        for origin in self._master.zones:
            self._slave.copy_from(self._master, origin)
        self.primary = Listener(Authority(self._master, self.keys, self._changed).answer, primary)
        self.secondary = Listener(Authority(self._slave).answer, secondary)
        self._resolver_ports = resolvers
        self.resolvers: list[Listener] = []

    def _changed(self, origin: dns.name.Name) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._lag, self._slave.copy_from, self._master, origin)

    async def start(self) -> None:
        """Bind every port; OSError if one is taken."""
        await self.primary.start()
        await self.secondary.start()
        servers = [(HOST, self.primary.port), (HOST, self.secondary.port)]
        for port in self._resolver_ports:
            listener = Listener(Resolver(servers).answer, port)
            await listener.start()
            self.resolvers.append(listener)

    async def stop(self) -> None:
        """Free every port."""
        for listener in (*self.resolvers, self.secondary, self.primary):
            await listener.stop()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = arguments.port
    server = SandboxDns(arguments.state, port, port + 1, (port + 2, port + 3, port + 4), arguments.lag)
    try:
        await server.start()
    except OSError as error:
        sys.exit(f"sandbox DNS: a port of {port}-{port + 4} on {HOST} is taken ({error.strerror}).")
    await stop.wait()
    await server.stop()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="The sandbox's DNS servers.")
    parser.add_argument("--state", type=Path, required=True, help="folder of zones and keys")
    parser.add_argument("--port", type=int, default=10053, help="the primary; four more follow it")
    parser.add_argument("--lag", type=float, default=1.0, help="seconds until the secondary follows")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
