"""Leases asked for at the same time share one transaction."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from domain.refusals import Refused
from domain.words import MailboxProvider
from store import ledger
from store.database import Database

#: Most questions one transaction answers; bounds how long the write lock is held.
MOST = 200


@dataclass(frozen=True)
class Question:
    """Who wants to send how much to whom; exactly one of ``ip``, ``pool``, ``sender`` is set."""

    provider: MailboxProvider
    count: int
    at_ms: int
    ip: str | None = None
    pool: str | None = None
    sender: str | None = None


class Leases:
    """Answers questions in the order they came; while one batch commits the next one gathers."""

    def __init__(self, db: Database, day_seconds: float) -> None:
        self._db = db
        self._day_seconds = day_seconds
        self._waiting: list[tuple[Question, asyncio.Future[ledger.Lease]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> ledger.Lease:
        """The answer, once it is committed.

        Raises:
            Refused: there is no such IP, pool or sender.
        """
        answer: asyncio.Future[ledger.Lease] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append((question, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                answers = await self._answer([question for question, _ in batch])
            except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
                answers = [error] * len(batch)
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if waiting.done():
                    continue
                if isinstance(answer, ledger.Lease):
                    waiting.set_result(answer)
                else:
                    waiting.set_exception(answer)

    async def _answer(
        self, questions: list[Question]
    ) -> list[ledger.Lease | Exception]:
        answers: list[ledger.Lease | Exception] = []
        async with self._db.write() as session:
            for one in questions:
                try:
                    answers.append(
                        await ledger.lease(
                            session,
                            provider=one.provider,
                            count=one.count,
                            at_ms=one.at_ms,
                            ip=one.ip,
                            pool=one.pool,
                            sender=one.sender,
                            day_seconds=self._day_seconds,
                        )
                    )
                except (
                    Refused
                ) as refusal:  # found before anything was booked; the others go on
                    answers.append(refusal)
        return answers
