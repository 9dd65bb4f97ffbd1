"""One mail in, its events stored: the same step for the socket and for the folder."""

from __future__ import annotations

import asyncio

import structlog

from api.mail import reported
from api.webhooks import intake
from domain import reports
from domain.events import MailEvent
from domain.reports import Format, Report
from settings import Settings
from store.database import Database
from store.events_intake import Batch, Intake

log = structlog.get_logger()

#: Mails larger than this are read on another thread: the socket goes on meanwhile.
READ_ASIDE = 50_000


class Taker:
    """Reads reports and stores them."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._intake = Intake(db, intake.tell, day_seconds=settings.day_seconds)
        self.taken: dict[str, int] = {}

    async def close(self) -> None:
        """Let what waits be committed."""
        await self._intake.close()

    async def take(self, raw: bytes, *, sent_to: str, now: float) -> Report:
        """Store what a mail reports; each report counts once, however often it comes.

        Args:
            sent_to: the address it was sent to, empty if unknown.
            now: epoch seconds.
        """
        report = await asyncio.to_thread(reports.read, raw) if len(raw) > READ_ASIDE else reports.read(raw)
        found: list[MailEvent] = []
        if report.outcomes or report.feedback:
            async with self._db.read() as session:
                found = await reported.events(
                    session,
                    report,
                    raw,
                    sent_to=sent_to,
                    now_ms=int(now * 1000),
                    trust=self._settings.reports_trusted,
                )
            await self._intake.take(Batch(found))
        self.taken[report.format.value] = self.taken.get(report.format.value, 0) + 1
        quiet = report.format in (Format.DSN, Format.BOUNCE, Format.ARF, Format.AUTO_REPLY, Format.RECEIPT)
        (log.debug if quiet else log.warning)(
            "mail taken",
            format=report.format.value,
            events=len(found),
            reason=report.reason,
            id=report.message_id[:200],
        )
        return report
