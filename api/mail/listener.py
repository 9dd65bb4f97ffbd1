"""SMTP or LMTP on a socket: a mail is answered 250 only once its events are stored."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from api.mail.taking import Taker

log = structlog.get_logger()

#: A report quotes at most the mail that came back; larger ones are refused by their size.
LARGEST_MAIL = 20_000_000
SILENT_SECONDS = 60.0
#: Mail that comes back holds lines longer than the 998 bytes of RFC 5322; refusing it would lose the report.
LONGEST_LINE = 1_000_000
#: Connections at once; each may hold a whole mail. A mail system that is turned away keeps its mail and comes again.
MOST_CONNECTIONS = 64


class _Busy(asyncio.Protocol):
    """Turns away a peer too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast(asyncio.Transport, transport)
        wire.write(b"421 4.3.2 Too many connections; try again later\r\n")
        wire.close()


class _Counted(SMTP):
    line_length_limit = LONGEST_LINE

    def __init__(self, handler: Handler, peers: set[SMTP], **options: Any) -> None:
        super().__init__(handler, **options)
        self._peers = peers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._peers.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._peers.discard(self)
        super().connection_lost(error)


class _Lmtp(_Counted, LMTP):
    pass


class Handler:
    """What the protocol calls; takes mail for every recipient and passes none on."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        """Store what the mail reports; the sending mail system keeps it when that fails."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        recipients = list(envelope.rcpt_tos)
        try:
            await self._taker.take(content, sent_to=recipients[0] if recipients else "", now=time.time())
        except Exception as error:  # noqa: BLE001 - whatever it is, the mail must not be lost
            log.error("report not stored", error=type(error).__name__)
            return "\r\n".join(
                ["451 4.3.0 Not stored now; keep the mail and try again"] * self._answers(server, recipients)
            )
        return "\r\n".join(["250 2.0.0 Stored"] * self._answers(server, recipients))

    @staticmethod
    def _answers(server: SMTP, recipients: list[str]) -> int:
        """LMTP answers once a recipient (RFC 2033)."""
        return len(recipients) if isinstance(server, LMTP) else 1


async def listen(taker: Taker, host: str, port: int, protocol: str) -> asyncio.Server:
    """Start listening.

    Raises:
        OSError: the port is taken.
    """
    kind = _Lmtp if protocol == "lmtp" else _Counted
    peers: set[SMTP] = set()

    def connection() -> asyncio.Protocol:
        if len(peers) >= MOST_CONNECTIONS:
            return _Busy()
        return kind(
            Handler(taker),
            peers,
            data_size_limit=LARGEST_MAIL,
            enable_SMTPUTF8=True,
            timeout=SILENT_SECONDS,
            hostname="warmpath",
            ident="Warmpath reports",
        )

    return await asyncio.get_running_loop().create_server(connection, host, port)
