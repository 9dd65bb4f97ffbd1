"""Where both protocols ask: from memory when it can be, from the ledger when it must be."""

from __future__ import annotations

import asyncio

from domain.words import MailboxProvider
from gate.desk import Allow, Defer, Desk, Line, Look, Need
from gate.lessor import Lessor, StoreSilent
from gate.providers import Providers


class Counter:
    """One gate, as a protocol sees it.

    Args:
        seconds: longest time an answer may wait for the store.
    """

    def __init__(self, desk: Desk, lessor: Lessor, providers: Providers, seconds: float) -> None:
        self.desk, self._lessor, self.providers, self._seconds = desk, lessor, providers, seconds

    def ask_now(self, login: str, mail_from: str, recipient: str, instance: str) -> Allow | Defer | None:
        """The answer when memory holds it."""
        line = self.desk.line(login, mail_from)
        if isinstance(line, Defer):
            self.desk.counts["unknown"] += 1
            return line
        provider = self.providers.known(recipient.rpartition("@")[2].lower())
        if provider is None:
            return None
        answer = self.desk.decide(line, provider, instance, recipient)
        return None if isinstance(answer, Need | Look) else answer

    async def ask(self, login: str, mail_from: str, recipient: str, instance: str) -> Allow | Defer:
        """The answer, in bounded time; without its store it is no."""
        provider = await self.providers.find(recipient.rpartition("@")[2].lower())
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask(login, mail_from, recipient, instance, provider)
        except TimeoutError:
            reason = f"the caps could not be read within {self._seconds:g} s"
        except StoreSilent as error:
            reason = f"the caps cannot be read: {error}"
        self.desk.counts["store_silent"] += 1
        return Defer(reason)

    async def _ask(
        self, login: str, mail_from: str, recipient: str, instance: str, provider: MailboxProvider
    ) -> Allow | Defer:
        while True:
            # Looked up anew each time: routes may have changed while the store was asked.
            line = self.desk.line(login, mail_from)
            if not isinstance(line, Line):
                return line
            answer = self.desk.decide(line, provider, instance, recipient)
            if isinstance(answer, Need):
                await self._lessor.lease(answer)
            elif isinstance(answer, Look):
                await self._lessor.look(answer)
            else:
                return answer
