"""The sandbox's mail server: EHLO, STARTTLS with a certificate of its own, AUTH after it.

``python -m sandbox.smtp --state DIR`` accepts every message for every recipient and drops it; what
counts here is that credentials are verified by a real conversation. Logins are those of
``DIR/logins.json``, made at the first start (``demo`` with a random password).
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import hmac
import ipaddress
import json
import secrets
import signal
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
NAME = "smtp.sandbox.test"
VALID_DAYS = 3650


def certificate(state: Path) -> tuple[Path, Path]:
    """Certificate and key for ``smtp.sandbox.test``, ``localhost`` and 127.0.0.1; made once."""
    crt, key = state / "smtp.crt", state / "smtp.key"
    if crt.exists() and key.exists():
        return crt, key
    state.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [
        x509.DNSName(NAME),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address(HOST)),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return crt, key


def logins(state: Path) -> dict[str, str]:
    """Passwords by login name, from ``state/logins.json``; made once."""
    file = state / "logins.json"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps({"demo": secrets.token_urlsafe(16)}))
    known: dict[str, str] = json.loads(file.read_text())
    return known


class Sink:
    """Accepts every message; keeps count, nothing else."""

    def __init__(self) -> None:
        self.taken = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take the message and drop it."""
        self.taken += 1
        return "250 2.0.0 taken"


class SandboxSmtp:
    """The server on one port; port 0 picks a free one (``port`` tells)."""

    def __init__(self, state: Path, port: int) -> None:
        self.port = port
        self.sink = Sink()
        self._logins = logins(state)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*certificate(state))

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        expected = self._logins.get(data.login.decode("utf-8", "replace"), "")
        right = bool(expected) and hmac.compare_digest(expected.encode(), data.password)
        return AuthResult(success=right, handled=False)

    def _conversation(self) -> SMTP:
        return SMTP(
            self.sink,
            hostname=NAME,
            tls_context=self._tls,
            authenticator=self._authenticate,
            auth_require_tls=True,
            loop=asyncio.get_running_loop(),
        )

    async def start(self) -> None:
        """Bind; OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._conversation, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Free the port."""
        self._server.close()


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = SandboxSmtp(arguments.state, arguments.port)
    try:
        await server.start()
    except OSError as error:
        sys.exit(f"sandbox SMTP: port {arguments.port} on {HOST} is taken ({error.strerror}).")
    await stop.wait()
    await server.stop()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="The sandbox's SMTP server.")
    parser.add_argument("--state", type=Path, required=True, help="folder of certificate and logins")
    parser.add_argument("--port", type=int, default=10025)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
