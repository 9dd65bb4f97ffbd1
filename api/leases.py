"""Leases asked for at the same time share one transaction."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import secrets
from dataclasses import dataclass

from domain.refusals import Refused
from domain.words import MailboxProvider
from store import leases
from store.database import Database

#: Most questions one transaction answers; bounds how long the write lock is held.
MOST = 200


@dataclass(frozen=True)
class Question:
    """Who wants to send how much to whom; exactly one of ``ip``, ``pool``, ``sender``, ``campaign`` is set."""

    provider: MailboxProvider
    count: int
    at_ms: int
    ip: str | None = None
    pool: str | None = None
    sender: str | None = None
    campaign: str | None = None


class Leases:
    """Answers questions in the order they came; while one batch commits the next one gathers."""

    def __init__(self, db: Database, day_seconds: float) -> None:
        self._db = db
        self._day_seconds = day_seconds
        self._waiting: list[tuple[Question, asyncio.Future[leases.Lease]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> leases.Lease:
        """The answer, once it is committed.

        Raises:
            Refused: there is no such IP, pool, sender or campaign.
        """
        answer: asyncio.Future[leases.Lease] = asyncio.get_running_loop().create_future()
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
            except BaseException:
                # Stopped in the middle: nobody may wait for an answer that will not come.
                for _, waiting in (*batch, *self._waiting):
                    waiting.cancel()
                self._waiting = []
                raise
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if waiting.done():
                    continue
                if isinstance(answer, leases.Lease):
                    waiting.set_result(answer)
                else:
                    # One refusal raised in many tasks would chain their tracebacks together.
                    waiting.set_exception(copy.copy(answer) if isinstance(answer, Refused) else answer)

    async def _answer(self, questions: list[Question]) -> list[leases.Lease | Exception]:
        """Equal questions of a batch are spent as one, then shared out in the order they came."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for place, one in enumerate(questions):
            alike.setdefault((one.ip, one.pool, one.sender, one.campaign, one.provider), []).append(place)
        answers: dict[int, leases.Lease | Exception] = {}
        async with self._db.write() as session:
            await leases.one_at_a_time(session)
            for places in alike.values():
                one = questions[places[0]]
                try:
                    whole = await leases.lease(
                        session,
                        provider=one.provider,
                        count=sum(questions[place].count for place in places),
                        at_ms=one.at_ms,
                        ip=one.ip,
                        pool=one.pool,
                        sender=one.sender,
                        campaign=one.campaign,
                        day_seconds=self._day_seconds,
                    )
                except Refused as refusal:  # found before anything was booked; the others go on
                    answers.update(dict.fromkeys(places, refusal))
                    continue
                shares = share_out(whole, [questions[place].count for place in places])
                answers.update(zip(places, shares, strict=True))
        return [answers[place] for place in range(len(questions))]


def share_out(whole: leases.Lease, counts: list[int]) -> list[leases.Lease]:
    """Split one lease over those who asked, first come first served; no mail is granted twice."""
    left: list[tuple[leases.Grant, int]] = [(grant, grant.count) for grant in whole.grants]
    shares = []
    for count in counts:
        share = leases.Lease(deferred=count)
        while share.deferred and left:
            grant, rest = left[0]
            taken = min(share.deferred, rest)
            name = f"lease_{secrets.token_hex(8)}"
            share.grants.append(dataclasses.replace(grant, count=taken, lease=name))
            share.deferred -= taken
            left[0] = (grant, rest - taken)
            if rest == taken:
                left.pop(0)
        share.reason = whole.reason if share.deferred else ""
        shares.append(share)
    return shares
