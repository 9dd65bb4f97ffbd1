"""Verify SMTP credentials against the server itself: EHLO, STARTTLS, AUTH."""

from __future__ import annotations

import asyncio
import ipaddress
import smtplib
import ssl
from dataclasses import dataclass
from pathlib import Path

from domain.refusals import Refused
from settings import Profile, Settings

#: Seconds; a server that greets slower than this is not one to send campaigns through.
PATIENCE = 10.0


@dataclass(frozen=True)
class Trust:
    """Which certificates are believed, and whether loopback needs any.

    ``ca_file`` is believed beside the machine's own authorities. The sandbox leaves loopback unchecked: that
    traffic never leaves the machine. ``live`` checks everywhere, and sends no password in clear off the machine.
    """

    ca_file: Path | None = None
    unchecked_loopback: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Trust:
        """What the settings say."""
        return cls(settings.smtp_ca_file, settings.profile is not Profile.LIVE)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(host: str, trust: Trust) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if trust.ca_file is not None:
        try:
            context.load_verify_locations(cafile=trust.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Refused(
                f"WARMPATH_SMTP_CA_FILE: {trust.ca_file} holds no certificates in PEM ({error}).",
                field="smtp.starttls",
                code="smtp_ca_file",
            ) from None
    elif trust.unchecked_loopback and _is_loopback(host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _verify(host: str, port: int, username: str, password: str, starttls: bool, trust: Trust) -> None:
    if not starttls and not trust.unchecked_loopback and not _is_loopback(host):
        raise Refused(
            f"Without STARTTLS the password would travel to {host} in clear; switch it on.",
            field="smtp.starttls",
            code="smtp_clear",
        )
    context = _context(host, trust)
    try:
        with smtplib.SMTP(host, port, timeout=PATIENCE) as server:
            server.ehlo()
            if starttls:
                server.starttls(context=context)
                server.ehlo()
            server.login(username, password)
    except smtplib.SMTPAuthenticationError as error:
        raise Refused(
            f"The server {host}:{port} refuses user {username!r} (reply {error.smtp_code}); check user and password.",  # noqa: E501
            field="smtp.password",
            code="smtp_auth",
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            f"The certificate of {host}:{port} is not valid: {error.verify_message}; mend it, or name its "
            "authority in WARMPATH_SMTP_CA_FILE.",
            field="smtp.starttls",
            code="smtp_certificate",
        ) from None
    except (smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
        raise Refused(
            f"{host}:{port} cannot do what was asked: {error}.", field="smtp.starttls", code="smtp_tls"
        ) from None
    except OSError as error:
        unknown = type(error).__name__ == "gaierror"
        raise Refused(
            f"{host}:{port} cannot be reached: {error}.",
            field="smtp.host" if unknown else "smtp.port",
            code="smtp_unreachable",
        ) from None
    except UnicodeEncodeError:
        raise Refused("User and password must be ASCII.", field="smtp.password", code="smtp_auth") from None


async def verify(
    host: str, port: int, username: str, password: str, *, starttls: bool = True, trust: Trust = Trust()
) -> None:
    """Log in once and leave.

    Raises:
        Refused: names ``smtp.host``, ``smtp.port``, ``smtp.starttls`` or ``smtp.password``; never the password.
    """
    await asyncio.to_thread(_verify, host, port, username, password, starttls, trust)
