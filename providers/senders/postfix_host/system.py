"""Postfix as a mail system: transports from the inventory, a queue that follows pauses and switches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

from domain.queued import must_leave, transports
from domain.refusals import Refused
from domain.routing import Routes
from domain.sources import Source
from providers.senders.port import MailSystemError
from providers.senders.postfix import master_cf
from providers.senders.postfix_host import queue
from providers.senders.postfix_host.commands import run

#: Seconds that a gate has to hear of new routes.
GATE_SECONDS = 2.0
#: The service that the queue manager resolves by.
RESOLVER = "wp-resolve"


class Postfix:
    """The Postfix of this machine.

    Args:
        config: folder of ``main.cf``.
        socketmap: HOST:PORT of the gate's socketmap service.
        source_header: write into each mail which IP it left by.
    """

    name = "postfix"

    def __init__(self, config: Path, socketmap: str, *, source_header: bool = True) -> None:
        if not config.is_absolute():
            raise MailSystemError(f"WARMPATH_POSTFIX_CONFIG: {config} is relative; name the folder from / on.")
        self._config, self._socketmap, self._source_header = config, socketmap, source_header
        self._folder: Path | None = None

    async def apply(self, sources: Sequence[Source]) -> list[str]:
        """Add, change and remove the ``wp-`` services of ``master.cf``; reload when something changed.

        A transport is removed only when no message is bound to it any more.
        """
        present = await self._services()
        try:
            wanted = _by_name(resolver(self._socketmap) + master_cf(sources, source_header=self._source_header))
        except Refused as refusal:
            raise MailSystemError(refusal.detail) from refusal
        changed = [name for name, text in wanted.items() if present.get(name) != text]
        stale = [name for name in present if name.startswith("wp-") and name not in wanted]
        if stale:
            bound = {f"{one.transport}/unix" async for chunk in queue.messages(self._config) for one in chunk}
            stale = [name for name in stale if name not in bound]
        for name in changed:
            await run(self._config, "postconf", "-M", f"{name}={wanted[name]}")
        for name in stale:
            await run(self._config, "postconf", "-MX", name)
        if changed or stale:
            await run(self._config, "postfix", "reload")
        return [f"set {name}" for name in changed] + [f"removed {name}" for name in stale]

    async def follow(self, routes: Routes, changed_at: float) -> list[str]:
        """Put back what is paused or bound to an IP that sends no more; it asks the gate anew."""
        if self._folder is None:
            self._folder = Path((await run(self._config, "postconf", "-hx", "queue_directory")).strip())
        await self._gate_knows(routes)
        open_, moved = transports(routes), 0
        async for chunk in queue.messages(self._config):
            chosen = [one for one in chunk if must_leave(routes, open_, changed_at, one)]
            if chosen:
                moved += await queue.put_back(self._config, self._folder, chosen)
        return [f"put {moved} queued messages back to be resolved anew"] if moved else []

    async def _gate_knows(self, routes: Routes) -> None:
        """Wait until the gate goes by these routes, so that what is put back is not resolved by the old ones.

        Not for ever: a gate that does not hear of them defers what it is asked, and a later look puts it right.
        """
        host, _, port = self._socketmap.rpartition(":")
        wanted = f"OK {routes.fingerprint()}"
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(GATE_SECONDS):
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    while await _asked(reader, writer) != wanted:
                        await asyncio.sleep(0.02)
                finally:
                    writer.close()

    async def _services(self) -> dict[str, str]:
        """Our services of ``master.cf``, each as one line."""
        found = _by_name(await run(self._config, "postconf", "-M"))
        return {name: text for name, text in found.items() if name.startswith("wp-") or name == "qmgr/unix"}


def resolver(socketmap: str) -> str:
    """Lines of ``master.cf``: the queue manager and the ``trivial-rewrite`` that it alone asks.

    Mail that was bound to an IP by the policy service never comes here. What does (mail of local programs, mail
    that was put back into the queue after a switch) is granted by the gate at each try. ``smtpd`` keeps asking
    the common one: it looks every recipient up, too, and would count it twice.
    """
    asked = f"socketmap:inet:{socketmap}"
    return (
        f"qmgr unix n - n 300 1 qmgr\n    -o rewrite_service_name={RESOLVER}\n"
        f"{RESOLVER} unix - - n - - trivial-rewrite\n"
        f"    -o sender_dependent_default_transport_maps={asked}:sender\n"
        f"    -o transport_maps={asked}:recipient\n"
    )


def _by_name(text: str) -> dict[str, str]:
    """Services of ``master.cf`` as NAME/TYPE, each as one line."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line[:1].isspace():
            current += line.split()
        elif (words := line.split()) and not line.startswith("#"):
            current = found[f"{words[0]}/{words[1]}"] = words
    return {name: " ".join(words) for name, words in found.items()}


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """The answer of the gate's map ``routes``."""
    writer.write(b"8:routes *,")
    length = int((await reader.readuntil(b":"))[:-1])
    return (await reader.readexactly(length + 1))[:-1].decode(errors="replace")
