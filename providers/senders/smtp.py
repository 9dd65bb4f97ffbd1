"""Verify SMTP credentials against the server itself: EHLO, STARTTLS, AUTH."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from domain import addresses as addresses_rules
from domain.refusals import Refused
from settings import Profile, Settings

#: Seconds; a server that greets slower than this is not one to send campaigns through.
PATIENCE = 10.0
#: A host name, one of a single label as well: that is what a neighbour in a container is called.
_HOST = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?"
)


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


def _addresses(host: str, port: int) -> list[str]:
    """Where a host is, without the places that no mail server has: what is asked there is no business of ours.

    Private and loopback space stays: the mail system behind an IP stands there as often as not.
    """
    if not _HOST.fullmatch(host) and not _is_address(host):
        raise Refused(
            f"{host[:80]!r} is no host name; give one such as smtp.example.com, or an IP address.",
            field="smtp.host",
            code="smtp_host",
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        why = (
            f"DNS does not answer for {host} now; try again, or give an IP address."
            if error.errno == socket.EAI_AGAIN
            else f"{host} has no address in DNS; check the spelling, or give an IP address."
        )
        raise Refused(why, field="smtp.host", code="smtp_unknown") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if not addresses_rules.reachable(address):
            raise Refused(
                f"{host} is {address}, where no mail server can be; give the host that takes the mail.",
                field="smtp.host",
                code="smtp_reserved",
            )
    return addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _connect(host: str, port: int) -> smtplib.SMTP:
    """A greeted connection to the first address that takes one; the name stays the one that TLS asks for."""
    where, refusal = f"{host}:{port}", None
    for address in _addresses(host, port):
        server = smtplib.SMTP(timeout=PATIENCE)
        # The certificate is for the name, the connection goes to the address that was looked at.
        server._host = host  # type: ignore[attr-defined]
        try:
            code, _ = server.connect(address, port)
        except ConnectionRefusedError:
            refusal = f"Nothing listens at {where}; check that the mail server runs, and its port (usually 587)."
        except TimeoutError:
            refusal = (
                f"{where} does not answer within {PATIENCE:g} s; check the port, and that its firewall lets this "
                "machine in."
            )
        except smtplib.SMTPServerDisconnected as error:
            # The library wraps the time-out of a greeting that does not come.
            refusal = (
                f"{where} takes the connection and says nothing for {PATIENCE:g} s; give the port that speaks SMTP "
                "with STARTTLS, usually 587 (465 wants TLS at once)."
                if isinstance(error.__context__, TimeoutError)
                else f"{where} hangs up before it greets; check the port, and that the server lets this machine in."
            )
        except OSError as error:
            refusal = f"{where} cannot be reached: {error.strerror or error}; check host, port and network."
        else:
            if code == 220:  # RFC 5321, 4.3.2
                return server
            refusal = (
                f"{where} does not speak SMTP; give the port of the mail server, usually 587."
                if code == -1
                else f"{where} greets with {code}, so it takes nothing from this machine now; let it in there."
            )
        server.close()
    raise Refused(refusal or f"{where} has no address.", field="smtp.port", code="smtp_unreachable")


def _verify(host: str, port: int, username: str, password: str, starttls: bool, trust: Trust) -> None:
    if not starttls and not trust.unchecked_loopback and not _is_loopback(host):
        raise Refused(
            f"Without STARTTLS the password would travel to {host} in clear; switch it on.",
            field="smtp.starttls",
            code="smtp_clear",
        )
    if not (username + password).isascii():
        raise Refused("User and password must be ASCII; SMTP carries no more.", field="smtp.password", code="smtp_auth")
    context = _context(host, trust)
    where = f"{host}:{port}"
    server = _connect(host, port)
    try:
        server.ehlo_or_helo_if_needed()
        if starttls:
            _encrypt(server, context, where)
        _log_in(server, username, password, where, starttls)
    except (smtplib.SMTPException, OSError) as error:
        # What the server said stays out: it may be anything, and the code says enough.
        code = f" (reply {error.smtp_code})" if isinstance(error, smtplib.SMTPResponseException) else ""
        raise Refused(
            f"{where} breaks off before the login is done{code}; try again, and look into its log if it stays so.",
            field="smtp.port",
            code="smtp_broken",
        ) from None
    finally:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _encrypt(server: smtplib.SMTP, context: ssl.SSLContext, where: str) -> None:
    try:
        server.starttls(context=context)
        server.ehlo()
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            f"The certificate of {where} is not valid: {error.verify_message}; mend it, or name its "
            "authority in WARMPATH_SMTP_CA_FILE.",
            field="smtp.starttls",
            code="smtp_certificate",
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise Refused(
            f"{where} offers no STARTTLS; switch it on at the server, or give the port that has it, usually 587.",
            field="smtp.starttls",
            code="smtp_tls",
        ) from None
    except ssl.SSLError as error:
        raise Refused(
            f"{where} and this machine agree on no TLS ({error.reason}); let the server speak TLS 1.2 or newer.",
            field="smtp.starttls",
            code="smtp_tls",
        ) from None


def _log_in(server: smtplib.SMTP, username: str, password: str, where: str, starttls: bool) -> None:
    try:
        server.login(username, password)
    except smtplib.SMTPAuthenticationError as error:
        if error.smtp_code in (530, 538):  # RFC 4954: encryption first
            raise Refused(
                f"{where} takes no login without STARTTLS; switch it on.", field="smtp.starttls", code="smtp_tls"
            ) from None
        if error.smtp_code < 500:
            raise Refused(
                f"{where} cannot check the login of {username!r} now (reply {error.smtp_code}); try again later.",
                field="smtp.password",
                code="smtp_auth_later",
            ) from None
        raise Refused(
            f"The server {where} refuses user {username!r} (reply {error.smtp_code}); check user and password.",
            field="smtp.password",
            code="smtp_auth",
        ) from None
    except smtplib.SMTPNotSupportedError:
        fix = (
            "give the port for submission, usually 587, or let the server offer AUTH PLAIN or LOGIN"
            if starttls
            else "switch STARTTLS on"
        )
        raise Refused(
            f"{where} offers no login that is known here; {fix}.",
            field="smtp.port" if starttls else "smtp.starttls",
            code="smtp_no_auth",
        ) from None


async def verify(
    host: str, port: int, username: str, password: str, *, starttls: bool = True, trust: Trust = Trust()
) -> None:
    """Log in once and leave.

    Raises:
        Refused: names ``smtp.host``, ``smtp.port``, ``smtp.starttls`` or ``smtp.password``; never the password.
    """
    await asyncio.to_thread(_verify, host, port, username, password, starttls, trust)
