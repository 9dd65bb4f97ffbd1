"""Verify SMTP credentials against the server itself: EHLO, STARTTLS, AUTH."""

from __future__ import annotations

import asyncio
import ipaddress
import smtplib
import ssl

from domain.refusals import Refused

#: Seconds; a server that greets slower than this is not one to send campaigns through.
PATIENCE = 10.0


def _trust(host: str) -> ssl.SSLContext:
    """Certificates are checked, except on loopback: that traffic never leaves the machine."""
    context = ssl.create_default_context()
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _verify(host: str, port: int, username: str, password: str, starttls: bool) -> None:
    try:
        with smtplib.SMTP(host, port, timeout=PATIENCE) as server:
            server.ehlo()
            if starttls:
                server.starttls(context=_trust(host))
                server.ehlo()
            server.login(username, password)
    except smtplib.SMTPAuthenticationError as error:
        raise Refused(
            f"The server {host}:{port} refuses user {username!r} (reply {error.smtp_code}); check user and password.",  # noqa: E501
            field="smtp.password",
            code="smtp_auth",
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


async def verify(host: str, port: int, username: str, password: str, *, starttls: bool = True) -> None:
    """Log in once and leave.

    Raises:
        Refused: names ``smtp.host``, ``smtp.port``, ``smtp.starttls`` or ``smtp.password``; never the password.
    """  # noqa: E501
    await asyncio.to_thread(_verify, host, port, username, password, starttls)
