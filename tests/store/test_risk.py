"""What an IP at risk waits for, as it is told on every page."""

from __future__ import annotations

import pytest

from domain.lifecycle import WARMUP_STOPPED
from domain.words import Severity, Stage
from store import ips, risk
from store.database import Database
from store.tables.ips import Ip

ADDRESS = "198.51.100.7"


@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        (
            f"{WARMUP_STOPPED}alert from Grafana: bounces",
            "an operator to look, mail is stopped. Alert from Grafana: bounces",
        ),
        (
            f"{WARMUP_STOPPED}A mailbox provider blocked the IP (3 replies).",
            "an operator to look, mail is stopped. A mailbox provider blocked the IP (3 replies).",
        ),
        ("the sender was hacked", "an operator to look, mail is stopped. The sender was hacked"),
    ],
)
async def test_stopped_mail_is_said_once_and_outlasts_what_the_sweep_sees(
    db: Database, reason: str, waits: str
) -> None:
    async with db.write() as session:
        session.add(Ip(address=ADDRESS, stage=Stage.WARMING))
    async with db.write() as session:
        await risk.see(session, ADDRESS, risk.MAIL, Severity.CRITICAL, reason, stage=Stage.QUARANTINED)
    async with db.write() as session:
        await risk.see(session, ADDRESS, risk.SWEEP, Severity.CRITICAL, "Listed by a blocklist.")
    async with db.read() as session:
        row = await ips.get(session, ADDRESS)
        assert (row.stage, row.waiting_for) == (Stage.AT_RISK, waits)
