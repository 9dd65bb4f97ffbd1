"""Incidents of DNS: an IP's own records are its own trouble, the records of its domain are one trouble of the domain.

However many IPs a domain has, a broken SPF record is one incident: its address is the domain, and each IP that sees
it holds a cause. It is over when the last of them sees it right.
"""

from __future__ import annotations

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.dns import Wrong
from domain.words import Severity
from store import incidents
from store.tables.ips import Ip

DRIFT = "dns_drift"
CASE = "dns_deadline"
KINDS = (DRIFT, CASE)


async def drifted(session: AsyncSession, ip: Ip, found: Wrong) -> None:
    """What was verified no longer holds: opens what is seen now, and lets go of what is seen no more."""
    domain = _domain(ip)
    if found.own or not found.shared:
        await _see(session, DRIFT, ip.address, DRIFT, f"DNS of {ip.address} changed", found.own)
    else:
        await incidents.close_incident(session, DRIFT, ip.address, "its own records are right")
    if found.shared:
        await _see(session, DRIFT, domain, ip.address, f"DNS of {domain} changed", found.shared)
    else:
        await incidents.release(session, DRIFT, domain, [ip.address], "the domain's records are right")


async def overdue(session: AsyncSession, ip: Ip, found: Wrong) -> None:
    """A set-up is past its deadline; what is missing of the domain is one case of all its IPs."""
    title = "DNS set-up is past its deadline"
    if found.own or not found.shared:
        await _see(session, CASE, ip.address, CASE, title, found.own, keep=True)
    if found.shared:
        await _see(session, CASE, _domain(ip), ip.address, title, found.shared, keep=True)


async def asked(session: AsyncSession, ip: Ip, found: Wrong, message: str) -> None:
    """An operator hands an IP's set-up to support: one case, of the domain where all of the trouble is the domain's.

    Asked again while the case is open, the message is added to it.
    """
    domain = _domain(ip)
    of_ip = await incidents.find_open(session, CASE, ip.address)
    of_domain = await incidents.find_open(session, CASE, domain)
    held = of_domain is not None and ip.address in of_domain.causes
    to_domain = of_ip is None and (held or bool(found.shared and not found.own))
    where, by = (domain, ip.address) if to_domain else (ip.address, CASE)
    title = "DNS set-up is handed to support by an operator"
    await _see(session, CASE, where, by, title, found.lines, said=" ".join(message.split()), keep=True)


async def over(session: AsyncSession, ip: Ip, why: str) -> None:
    """Everything of the IP is right, or it is retired."""
    for kind in KINDS:
        await incidents.close_incident(session, kind, ip.address, why)
        await incidents.release(session, kind, _domain(ip), [ip.address], why)


async def _see(
    session: AsyncSession,
    kind: str,
    address: str,
    by: str,
    title: str,
    lines: list[str],
    *,
    said: str = "",
    keep: bool = False,
) -> None:
    """Hold an incident; ``keep`` what operators said in it before, each message once."""
    messages: list[str] = []
    if keep and (before := await incidents.find_open(session, kind, address)) is not None:
        told = str(before.causes.get(by, {}).get("detail", ""))
        messages = [line[2:] for line in told.splitlines() if line.startswith("> ")]
    if said and said not in messages:
        messages.append(said)
    detail = "\n".join([*(f"> {message}" for message in messages), *lines])
    await incidents.hold(session, kind, address, by, Severity.WARNING, title, detail)


def _domain(ip: Ip) -> str:
    return ip.domain.lower().rstrip(".")
