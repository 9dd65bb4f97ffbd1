"""The mailbox provider of a recipient's domain: by its MX, remembered as long as DNS allows."""

from __future__ import annotations

import asyncio
import time

import dns.asyncresolver
import dns.exception
import dns.resolver

from domain.mailbox import by_mx, by_recipient
from domain.words import MailboxProvider

#: Bounds of how long an answer is remembered, seconds; a failure is tried again after the third.
LEAST_TTL, MOST_TTL, FAILED_TTL = 60.0, 6 * 3600.0, 30.0
#: Domains remembered, look-ups at once, and those that wait: one mail to each of many domains must not grow any.
DOMAINS, LOOKUPS, WAITING = 100_000, 64, 2_000
#: Characters of a domain name; what is longer is none (RFC 1035).
LONGEST = 253
#: Seconds a look-up goes on in the background after the mail was answered without it.
LIFETIME = 5.0


class Providers:
    """Providers by domain.

    Args:
        server: ADDRESS[@PORT] to ask; None for the resolver of the machine.
        seconds: how long an answer may wait for a look-up; the mail then counts for the provider that the domain had
            when DNS last said so, else as ``other``.
    """

    def __init__(self, server: str | None, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, tuple[MailboxProvider, float]] = {}
        self._running: dict[str, tuple[asyncio.Task[MailboxProvider], float]] = {}
        self._slots = asyncio.Semaphore(LOOKUPS)
        self._resolver: dns.asyncresolver.Resolver | None
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=server is None)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = None
        if self._resolver is not None:
            self._resolver.lifetime = LIFETIME
            if server is not None:
                address, _, port = server.partition("@")
                self._resolver.nameservers = [address]
                self._resolver.port = int(port or 53)

    def known(self, domain: str) -> MailboxProvider | None:
        """The provider, when it can be told without asking anybody."""
        found = self._known.get(domain)
        if found is not None and found[1] > time.monotonic():
            return found[0]
        if len(domain) > LONGEST:
            return MailboxProvider.OTHER
        provider = by_recipient(f"x@{domain}")
        if provider is not MailboxProvider.OTHER or "." not in domain:
            self._remember(domain, provider, MOST_TTL)
            return provider
        return None

    async def find(self, domain: str) -> MailboxProvider:
        """The provider; the one of before, else ``OTHER``, when DNS has not said so in time."""
        found = self.known(domain)
        if found is not None:
            return found
        if domain not in self._running:
            if len(self._running) >= WAITING or self._resolver is None:
                return self._before(domain)
            task = asyncio.create_task(self._look_up(self._resolver, domain))
            self._running[domain] = (task, time.monotonic())
            task.add_done_callback(lambda _: self._running.pop(domain, None))
        # Counted from the first question: Postfix asks one after the other, and all would wait in a row.
        running, began = self._running[domain]
        try:
            return await asyncio.wait_for(asyncio.shield(running), max(0.0, began + self._seconds - time.monotonic()))
        except TimeoutError:
            return self._before(domain)

    def _before(self, domain: str) -> MailboxProvider:
        """What DNS said last: while it fails, mail must not slip from its provider's cap into that of others."""
        return self._known.get(domain, (MailboxProvider.OTHER, 0.0))[0]

    async def _look_up(self, resolver: dns.asyncresolver.Resolver, domain: str) -> MailboxProvider:
        try:
            async with self._slots:
                answer = await resolver.resolve(domain, "MX")
            hosts = [str(one.exchange) for one in sorted(answer, key=lambda one: one.preference)]
            provider, ttl = by_mx(hosts), float(answer.rrset.ttl if answer.rrset else LEAST_TTL)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            provider, ttl = MailboxProvider.OTHER, FAILED_TTL
        except (dns.exception.DNSException, OSError, ValueError):
            provider, ttl = self._before(domain), FAILED_TTL
        else:
            ttl = min(MOST_TTL, max(LEAST_TTL, ttl))
        self._remember(domain, provider, ttl)
        return provider

    def _remember(self, domain: str, provider: MailboxProvider, ttl: float) -> None:
        if len(self._known) >= DOMAINS:
            for stale in list(self._known)[: DOMAINS // 2]:
                del self._known[stale]
        self._known[domain] = (provider, time.monotonic() + ttl)
