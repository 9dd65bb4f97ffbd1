"""What a crossed line does to an IP, and what its recovery does not."""

from __future__ import annotations

from activities.context import Context
from activities.lifecycle import LifecycleActivities, Trouble
from domain.words import MailboxProvider, Stage
from store import incidents, ips, ledger
from store.database import Database
from store.tables.ips import Ip

IP, HOUR_MS = "203.0.113.10", 3_600_000


async def test_recovery_closes_the_incident_and_lets_no_mail_go(context: Context, db: Database) -> None:
    async with db.write() as session:
        await ips.insert(session, Ip(address=IP, stage=Stage.WARMING))
        await ledger.set_window(session, IP, 0, HOUR_MS, 100, {MailboxProvider.GMAIL: 100}, 100)
    bound = LifecycleActivities(context)
    await bound.trouble(Trouble(address=IP, reason="Listed.", critical=True, source="sweep"))
    async with db.read() as session:
        (opened,) = await incidents.listing(session, open_only=True, address=IP)
    assert (opened.kind, opened.severity) == ("reputation", "critical")

    over = Trouble(address=IP, reason="No line is crossed any more.", critical=False, source="sweep", recovered=True)
    for _ in range(2):
        await bound.trouble(over)
    async with db.read() as session:
        (closed,) = await incidents.listing(session, address=IP)
        ip, window = await ips.get(session, IP), await ledger.window(session, IP, 1)
    assert (closed.id, closed.closed_why) == (opened.id, "No line is crossed any more.")
    assert closed.closed_at is not None
    assert ip.stage == Stage.AT_RISK
    assert window is not None
    assert window.paused, "only a person lets mail go again"
