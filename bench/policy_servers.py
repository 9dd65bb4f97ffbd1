"""What the gate is measured beside: ``python -m bench.policy_servers counting|dunno PORT``.

Same language, same event loop. ``counting`` reads every attribute of the question and counts mails of a
login and recipient domain in memory; ``dunno`` answers without looking.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import uvloop

ANSWER = b"action=DUNNO\n\n"


class Dunno(asyncio.Protocol):
    """Answers when a question has ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer whole questions."""
        self.buffer += data
        while (end := self.buffer.find(b"\n\n")) >= 0:
            question, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            self.transport.write(self.answer(question))

    def answer(self, question: bytes) -> bytes:
        """Without looking."""
        return ANSWER


class Counting(Dunno):
    """Parses, then counts."""

    counts: Counter[tuple[str, str]] = Counter()

    def answer(self, question: bytes) -> bytes:
        """Count one mail."""
        found = {}
        for line in question.decode("utf-8", "replace").split("\n"):
            name, _, value = line.partition("=")
            found[name] = value
        self.counts[found["sasl_username"], found["recipient"].rpartition("@")[2]] += 1
        return ANSWER


async def _serve(kind: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(
        Counting if kind == "counting" else Dunno, "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
