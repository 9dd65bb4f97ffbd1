"""Postfix: one transport an IP, with its own source address and HELO, as fragments for its two files.

The gate answers with the transports defined here (``domain/routing.py`` names them for both), so that the
source IP is chosen per message and without a reload. A new IP needs the fragment anew and one reload.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from domain.refusals import Refused
from domain.routing import transport_name
from domain.sources import Source

#: The header that names the IP a mail left by, so that a report that quotes it can be booked.
SOURCE_HEADER = "X-Warmpath-Source"
#: What a HELO name may be made of; the fragment is read by Postfix as root.
_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")


def master_cf(transports: Iterable[Source], *, source_header: bool = True) -> str:
    """The fragment for ``master.cf``, by address.

    Args:
        source_header: write :data:`SOURCE_HEADER` into each mail as it leaves.

    Raises:
        Refused: an address or a HELO name that would not be safe in the file.
    """
    parts = [_service(one, source_header) for one in sorted(transports, key=lambda one: one.address)]
    return "# Transports of Warmpath, one an IP; made by `warmpath postfix render`.\n" + "".join(parts)


def _service(one: Source, source_header: bool) -> str:
    try:
        bound = ipaddress.ip_address(one.bind_address)
    except ValueError:
        raise Refused(
            f"{one.address} binds to {one.bind_address!r}, which is no address.", field="bind_address"
        ) from None
    if not _HOST.match(one.hostname):
        raise Refused(
            f"{one.address} has no usable hostname ({one.hostname!r}); its HELO must be the name of its PTR.",
            field="hostname",
        )
    name, six = transport_name(one.address), bound.version == 6
    options = [
        ("smtp_bind_address6" if six else "smtp_bind_address", str(bound)),
        # A host that cannot be reached from this address waits; it is not tried from another one (Postfix 3.7).
        ("smtp_bind_address_enforce", "yes"),
        # Else a recipient with an address of the other family would be reached from an IP of nobody's choice.
        ("inet_protocols", "ipv6" if six else "ipv4"),
        ("smtp_helo_name", one.hostname),
        ("syslog_name", f"postfix/{name}"),
    ]
    lines = [f"    -o {key}={value}\n" for key, value in options]
    if source_header:
        lines.append(f"    -o {{smtp_header_checks={_naming(one.address)}}}\n")
    return f"{name} unix - - n - - smtp\n" + "".join(lines)


def _naming(address: str) -> str:
    """A table (header_checks(5), within the parameter: Postfix 3.7) for mail on its way out of one transport.

    It is looked up in the delivery agent, so that a mail that waited and was moved names the IP that it really left by.
    What the mail brought along under that name goes. It hangs on ``From:``, which a mail has once.
    """
    return f"regexp:{{{{/^{SOURCE_HEADER}:/ IGNORE}} {{/^From:/ PREPEND {SOURCE_HEADER}: {address}}}}}"


def main_cf(host: str, policy_port: int, socketmap_port: int) -> str:
    """The fragment for ``main.cf``: who is asked, and what happens when nobody answers.

    Args:
        host: where the gate listens.
    """
    where = f"[{host}]" if ":" in host else host
    return (
        "# Warmpath decides caps, pauses and source IPs; made by `warmpath postfix render`.\n"
        "# Whoever may not relay is refused first (Postfix 3.6 and newer), so that strangers spend no cap.\n"
        "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject\n"
        f"smtpd_recipient_restrictions = check_policy_service inet:{where}:{policy_port}\n"
        "smtpd_policy_service_default_action = 451 4.3.5 the gate does not answer\n"
        "# Mail without a filter, and queued mail at its next try, leaves by the IP that its sender has now.\n"
        f"sender_dependent_default_transport_maps = socketmap:inet:{where}:{socketmap_port}:transport\n"
        "# smtpd remembers what a map said of a recipient for as long as it lives: at RCPT only the policy decides.\n"
        "smtpd_reject_unlisted_recipient = no\n"
        "# Deferrals are answers here, not errors of the client, and the RSET that follows one is no junk.\n"
        "smtpd_hard_error_limit = 1000\n"
        "smtpd_soft_error_limit = 1000\n"
        "smtpd_junk_command_limit = 1000\n"
    )
