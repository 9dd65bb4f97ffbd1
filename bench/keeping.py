"""How much a year of figures and events takes, an IP: ``python -m bench.keeping``.

An IP sends 2,000 mails a day (a dedicated IP's safe limit) to five mailbox providers, in two campaigns of a sender,
over 12 hours. Events (sent and delivered, 4 % of them failures with a reply) are written for one day through
the product's own writer, figures for a year and rolled up by the product's own sweep. Bytes are those of the
database file (SQLite) after each step, divided by the IPs.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import measure
from domain.events import Kind, MailEvent
from domain.words import MailboxProvider
from settings import Settings
from store import events_retention, migrating
from store.database import Database
from store.events_writing import COUNTS, write

IPS, MAILS, DAY_MS, SLICE_MS = 4, 2_000, 86_400_000, 900_000
CAMPAIGNS = ("newsletter", "receipts")
REPLY = "452-4.2.2 The recipient's inbox is out of storage space. Please direct the recipient to the help page"


def _size(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("VACUUM")
        return int(
            connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
        )


def _figures(file: Path, days: int, today: int) -> None:
    """Slices of so many days up to today, as they stand before the sweep."""
    providers = [one.value for one in MailboxProvider]
    counts = ", ".join(COUNTS)
    rows = [
        (f"198.51.100.{ip}", day * DAY_MS + 6 * 3_600_000 + piece * SLICE_MS, provider, "shop.example", campaign,
         *(4 for _ in COUNTS))
        for ip in range(IPS)
        for day in range(today - days, today)
        for piece in range(48)
        for provider in providers
        for campaign in CAMPAIGNS
    ]  # fmt: skip
    with sqlite3.connect(file) as connection:
        connection.executemany(
            f"INSERT INTO figure (address, slice_ms, provider, sender, campaign, {counts}) "
            f"VALUES ({', '.join('?' * (5 + len(COUNTS)))})",
            rows,
        )


def _events(file: Path) -> None:
    """One day of events of every IP."""
    now = int(time.time() * 1000)
    with sqlite3.connect(file) as connection:
        for ip in range(IPS):
            for at in range(0, MAILS, 100):
                batch = []
                for n in range(at, at + 100):
                    mail: dict[str, Any] = {
                        "source": "generic",
                        "address": f"198.51.100.{ip}",
                        "provider": MailboxProvider.GMAIL,
                        "at_ms": now,
                        "sender": "shop.example",
                        "campaign": CAMPAIGNS[n % 2],
                        "recipient": f"some.reader{n}@gmail.com",
                        "message_id": f"20260102030405.{ip}.{n}@mail.shop.example",
                    }
                    failed = n % 25 == 0
                    batch.append(MailEvent(event_id=f"{ip}-{n}-0123456789abcdef-s", kind=Kind.SENT, **mail))
                    batch.append(
                        MailEvent(
                            event_id=f"{ip}-{n}-0123456789abcdef-d",
                            kind=Kind.FAILED if failed else Kind.DELIVERED,
                            detail=REPLY if failed else "",
                            reply_class="mailbox_full" if failed else "",
                            **mail,
                        )  # fmt: skip
                    )
                write(connection.cursor(), "sqlite", batch, SLICE_MS)


async def main() -> float:
    """Print bytes an IP of a year of figures and of a day of events; answers those of the year."""
    settings = Settings()
    today = int(time.time()) // 86_400
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.sqlite"
        url = f"sqlite:///{file}"
        migrating.upgrade(url)
        empty = _size(file)
        _figures(file, 365, today)
        slices = _size(file)
        db = Database.open(url)
        edge = (today - settings.figure_slice_days) * DAY_MS
        for ip in range(IPS):
            await events_retention.roll_up(db, f"198.51.100.{ip}", edge_ms=edge, day_ms=DAY_MS)
        await db.close()
        rolled = _size(file)
        _events(file)
        with_events = _size(file)
        with sqlite3.connect(file) as connection:
            connection.execute("DELETE FROM mail_event")
        only_keys = _size(file)
    year = (rolled - empty) / IPS
    keys, whole = (only_keys - rolled) / IPS, (with_events - rolled) / IPS
    kept = whole * settings.event_days + keys * (settings.event_duplicate_days - settings.event_days)
    measure.say(
        f"a year of figures of an IP: {year / 1e6:.2f} MB ({(slices - empty) / IPS / 1e6:.2f} MB before the sweep); "
        f"a day of its {2 * MAILS:,} events: {whole / 1e6:.2f} MB, {keys / 1e6:.2f} MB of it keys; "
        f"kept at any time: {kept / 1e6:.1f} MB"
    )
    return year


if __name__ == "__main__":
    asyncio.run(main())
