"""The MTA-STS policy as a domain hosts it, fetched from a real HTTPS server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain import mta_sts
from providers.dns import policy_host
from providers.dns.policy_host import PolicyHost, PolicyNotServed

POLICY = mta_sts.Policy(mode=mta_sts.Mode.TESTING, mx=["mail.shop.test"])
Answer = tuple[int, dict[str, str], bytes]
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for a name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, secret


Serve = Callable[..., PolicyHost]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server that answers as told, for a certificate of the given name."""
    running: list[ThreadingHTTPServer] = []

    def start(answer: Answer, name: str = "mta-sts.shop.test") -> PolicyHost:
        status, headers, body = answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ours = (self.headers["Host"], self.path) == ("mta-sts.shop.test", "/.well-known/mta-sts.txt")
                self.send_response(status if ours else 404)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Be silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        cert, key = certificate(tmp_path, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        running.append(server)
        return PolicyHost(server.server_port, ssl.create_default_context(cafile=str(cert)))

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


async def test_the_hosted_policy_is_read(serve: Serve) -> None:
    host = serve((200, PLAIN, POLICY.text().encode()))
    assert await host.fetch("shop.test", ["127.0.0.1"]) == POLICY


@pytest.mark.parametrize(
    ("answer", "name", "said"),
    [
        ((200, PLAIN, POLICY.text().encode()), "other.test", "certificate"),
        ((404, PLAIN, b""), "mta-sts.shop.test", "answers 404"),
        ((301, {**PLAIN, "Location": "https://127.0.0.1/"}, b""), "mta-sts.shop.test", "no redirect"),
        ((200, {"Content-Type": "text/html"}, b"<p>"), "mta-sts.shop.test", "text/html"),
        ((200, PLAIN, b"version: STSv1\n"), "mta-sts.shop.test", "mode"),
        ((200, PLAIN, b"\xff"), "mta-sts.shop.test", "UTF-8"),
        ((200, PLAIN, b"x" * 70_000), "mta-sts.shop.test", "64 KiB"),
    ],
)
async def test_what_senders_do_not_take_is_said(serve: Serve, answer: Answer, name: str, said: str) -> None:
    with pytest.raises(PolicyNotServed, match=said):
        await serve(answer, name).fetch("shop.test", ["127.0.0.1"])


async def test_no_address_and_nobody_there() -> None:
    with pytest.raises(PolicyNotServed, match=r"mta-sts\.shop\.test has no address"):
        await PolicyHost().fetch("shop.test", [])
    with pytest.raises(PolicyNotServed, match=r"127\.0\.0\.1"):
        await PolicyHost(1).fetch("shop.test", ["127.0.0.1"])


async def test_a_host_that_sends_a_byte_now_and_then_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        with contextlib.suppress(OSError):
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    monkeypatch.setattr(policy_host, "WHOLE", 1.0)
    cert, key = certificate(tmp_path, "mta-sts.shop.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = await asyncio.start_server(drip, "127.0.0.1", 0, ssl=context)
    host = PolicyHost(server.sockets[0].getsockname()[1], ssl.create_default_context(cafile=str(cert)))
    async with asyncio.timeout(20):
        with pytest.raises(PolicyNotServed, match="has not come whole within 1 s"):
            await host.fetch("shop.test", ["127.0.0.1"])
    server.close()
