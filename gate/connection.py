"""What both protocols share: one question at a time a connection, bounded in every direction."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Awaitable
from typing import ClassVar, cast

import structlog

log = structlog.get_logger()

#: Seconds a question may take to arrive whole, and a connection may be silent.
ARRIVES_SECONDS, SILENT_SECONDS = 30.0, 900.0


class Broken(Exception):
    """The peer does not speak the protocol; the connection is closed."""


class Connections:
    """The open connections of one listener."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: set[Connection] = set()
        self.refused = 0
        self.broken = 0
        self.failed = 0

    def sweep(self, now: float) -> None:
        """Close connections whose question never became whole, or that nobody uses."""
        for one in list(self.open):
            if one.busy:
                one.swept_at = now
            elif one.received != one.swept_received:
                # Bytes alone keep no half question alive: only a whole one moves `received`.
                one.swept_received, one.swept_at = one.received, now
            elif now - one.swept_at > (ARRIVES_SECONDS if one.buffer else SILENT_SECONDS):
                one.abort()

    def close(self) -> None:
        """Close them all; a question that is being answered is answered first."""
        for one in list(self.open):
            one.close_when_answered()


class Connection(asyncio.Protocol, abc.ABC):
    """One peer. A protocol says how a question is framed (:meth:`cut`) and answered (:meth:`ask`)."""

    #: Bytes of the longest question.
    limit: ClassVar[int] = 16_384

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.busy = False
        self.received = 0
        self.swept_received, self.swept_at = -1, 0.0
        self._leaving = False
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer, unless too many are there."""
        admitted = cast(asyncio.Transport, transport)  # uvloop's transports are none by their class
        if len(self._connections.open) >= self._connections.most:
            self._connections.refused += 1
            admitted.abort()
            return
        self.transport = admitted
        self._connections.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone; an answer that is on its way to it is dropped."""
        self._connections.open.discard(self)
        self.transport = None
        self.buffer = b""
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every whole question, in order."""
        if self.buffer:
            data = self.buffer + data
        start, length = 0, len(data)
        try:
            while start < length and not self.busy and self.transport is not None:
                found, following = self.cut(data, start)
                if found is None:
                    if length - start > self.limit:
                        raise Broken("a question without an end")
                    break
                start = following
                self.received += 1
                answer = self.ask(found)
                if isinstance(answer, bytes):
                    self.transport.write(answer)
                else:
                    self.busy = True
                    self._task = asyncio.get_running_loop().create_task(self._wait(answer))
        except Broken:
            self._connections.broken += 1
            self.close()
            return
        self.buffer = data[start:] if start < length and self.transport is not None else b""
        if self.busy and len(self.buffer) > self.limit and self.transport is not None:
            self.transport.pause_reading()

    async def _wait(self, answer: Awaitable[bytes]) -> None:
        try:
            said = await answer
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer must not wait for ever
            log.error("gate.no_answer", reason=f"{type(error).__name__}: {error}"[:200])
            self.busy, self._task = False, None
            self._connections.failed += 1
            self.close()
            return
        self.busy, self._task = False, None
        if self.transport is None:
            return
        self.transport.write(said)
        if self._leaving:
            self.transport.close()
            return
        self.transport.resume_reading()
        if self.buffer:
            self.data_received(b"")

    def pause_writing(self) -> None:
        """A peer that does not read its answers is not read, either."""
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self.transport is not None and not self.busy:
            self.transport.resume_reading()

    def close(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close without the answers that the peer has not read: waiting for it to read them could last for ever."""
        if self.transport is not None:
            self.transport.abort()

    def close_when_answered(self) -> None:
        """Close now, or after the answer that is on its way."""
        if self.busy:
            self._leaving = True
        else:
            self.close()

    @abc.abstractmethod
    def cut(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """The first whole question from ``start`` on and where the next begins; None while it is not whole.

        Raises:
            Broken: this will never be a question.
        """

    @abc.abstractmethod
    def ask(self, question: bytes) -> bytes | Awaitable[bytes]:
        """The answer, or a promise of it.

        Raises:
            Broken: the question makes no sense.
        """
