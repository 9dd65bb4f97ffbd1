"""Settings of every part of the sandbox, made in one place from ports and a folder.

What the operator has set himself (``WARMPATH_...`` in the environment) wins.
"""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sandbox import zones
from sandbox.dns import tsig_keys
from sandbox.smtp import certificate, logins
from settings import Settings

DAY_SECONDS = "8"
"""Length of a sandbox day: long enough for the senders of two busy cores to spend every hour's cap."""


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1 that the sandbox listens on."""

    api: int
    console: int
    codec: int
    temporal: int
    temporal_ui: int
    dns: int
    smtp: int
    vendor: int
    payments: int
    senders: int
    gate_policy: int
    gate_socketmap: int
    gate_http: int
    reports: int

    @classmethod
    def of(cls, settings: Settings) -> Ports:
        """The ports that ``settings`` and the URLs in them name."""
        return cls(
            api=settings.api_port,
            console=settings.console_port,
            codec=settings.codec_port,
            temporal=settings.temporal_port,
            temporal_ui=settings.temporal_ui_port,
            dns=settings.sandbox_dns_port,
            smtp=settings.smtp_port,
            vendor=_port_of(settings.sandbox_vendor_url),
            payments=_port_of(settings.sandbox_payments_url),
            senders=settings.sandbox_senders_port,
            gate_policy=settings.gate_policy_port,
            gate_socketmap=settings.gate_socketmap_port,
            gate_http=settings.gate_http_port,
            reports=settings.reports_port,
        )


def _port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1].strip("/"))


def secret_keys(var: Path) -> str:
    """Content of ``var/secret.keys``: one line ``ID:BASE64`` (32 random bytes); made once."""
    file = var / "secret.keys"
    if not file.exists():
        var.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    return file.read_text()


def _webhook_secret(state: Path) -> str:
    file = state / "webhook.secret"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text("whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())
    return file.read_text().strip()


def prepare(settings: Settings) -> dict[str, str]:
    """The environment for every part; creates the keys that lie below ``settings.var_dir``.

    Raises:
        OSError: the folder cannot be written.
    """
    var = settings.var_dir.absolute()
    state = var / "sandbox"
    secret_keys(var)
    keys = tsig_keys(state / "dns")
    certificate(state / "smtp")
    logins(state / "smtp")
    ports = Ports.of(settings)
    dns_port = ports.dns
    resolvers = ",".join(f"127.0.0.1@{dns_port + offset}" for offset in (2, 3, 4))
    made = {
        "WARMPATH_VAR_DIR": str(var),
        "WARMPATH_DATABASE_URL": f"sqlite:///{var / 'warmpath.sqlite'}",
        "WARMPATH_API_URL": f"http://127.0.0.1:{ports.api}",
        "WARMPATH_TEMPORAL_ADDRESS": f"127.0.0.1:{ports.temporal}",
        "WARMPATH_TEMPORAL_UI_URL": f"http://127.0.0.1:{ports.temporal_ui}",
        # The UI that comes with the development server sends no cookies, and this is a machine of one's own.
        "WARMPATH_CODEC_SIGN_IN": "false",
        "WARMPATH_DAY_SECONDS": DAY_SECONDS,
        "WARMPATH_DNS_SERVERS": f"127.0.0.1@{dns_port},127.0.0.1@{dns_port + 1}",
        "WARMPATH_DNS_PORT": str(dns_port),
        "WARMPATH_DNS_RESOLVERS": resolvers,
        "WARMPATH_DNS_PUBLISHER": "rfc2136",
        "WARMPATH_DNS_RECORD_TTL": "10",
        "WARMPATH_DNS_MANUAL_DOMAINS": ",".join(zones.MANUAL_DOMAINS),
        "WARMPATH_DNS_RFC2136_SERVER": f"127.0.0.1@{dns_port}",
        "WARMPATH_DNS_TSIG_NAME": "warmpath",
        "WARMPATH_DNS_TSIG_SECRET": keys["warmpath"],
        "WARMPATH_BLOCKLIST_RESOLVER": f"127.0.0.1@{dns_port + 2}",
        "WARMPATH_GATE_RESOLVER": f"127.0.0.1@{dns_port + 2}",
        "WARMPATH_BLOCKLIST_SUFFIX": zones.BLOCKLIST_SUFFIX,
        "WARMPATH_SWEEP_MINUTES": "1",
        "WARMPATH_DNS_SWEEP_MINUTES": "5",
        "WARMPATH_WEBHOOK_GENERIC_SECRET": _webhook_secret(state),
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **{name: value for name, value in made.items() if name not in os.environ}}
