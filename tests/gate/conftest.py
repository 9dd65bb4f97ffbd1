"""Gates in the test's own process, on the store of the test, with clients that speak like Postfix."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from domain.words import MailboxProvider, Stage
from gate.service import Gate
from settings import Settings
from store import ledger, senders
from store.database import Database
from store.tables.ips import Ip

DAY = 86_400_000


def request(
    recipient: str, *, instance: str = "", sender: str = "news@acme.example", login: str = "", state: str = "RCPT"
) -> bytes:
    """A question as Postfix 3.7 writes it."""
    return (
        "request=smtpd_access_policy\n"
        f"protocol_state={state}\nprotocol_name=ESMTP\nclient_address=127.0.0.1\nclient_name=localhost\n"
        f"client_port=41290\nreverse_client_name=localhost\nserver_address=127.0.0.1\nserver_port=10587\n"
        f"helo_name=app.acme.example\nsender={sender}\nrecipient={recipient}\nrecipient_count=0\nqueue_id=\n"
        f"instance={instance}\nsize=2310\netrn_domain=\nstress=\nsasl_method=PLAIN\nsasl_username={login}\n"
        "sasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\n"
        "encryption_protocol=TLSv1.3\nencryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\n"
        "policy_context=\n\n"
    ).encode()


@dataclass
class Client:
    """One connection to the policy service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, port: int) -> Client:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, recipient: str, **more: str) -> str:
        """The action for one recipient."""
        self.writer.write(request(recipient, **more))
        said = (await asyncio.wait_for(self.reader.readuntil(b"\n\n"), 10)).decode()
        assert said.startswith("action=")
        return said.removeprefix("action=").strip()

    async def look_up(self, name: str, key: str) -> str:
        """Ask a socketmap."""
        content = f"{name} {key}".encode()
        self.writer.write(b"%d:%b," % (len(content), content))
        length = int((await asyncio.wait_for(self.reader.readuntil(b":"), 10))[:-1])
        said = (await self.reader.readexactly(length + 1)).decode()
        return said[:-1]

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


def url_of(db: Database) -> str:
    """The URL as an operator writes it."""
    text = db.reader.url.render_as_string(hide_password=False)
    return text.replace("sqlite+aiosqlite", "sqlite").replace("postgresql+psycopg", "postgresql")


@pytest.fixture
def gate_settings(settings: Settings, db: Database, free_port: Callable[[], int]) -> Callable[[], Settings]:
    """Settings of one more gate on the store of the test, with ports of its own."""

    def make(**more: object) -> Settings:
        return settings.model_copy(
            update={
                "database_url": url_of(db),
                "sqlite_synchronous": "normal",
                "gate_policy_port": free_port(),
                "gate_socketmap_port": free_port(),
                "gate_http_port": free_port(),
                "gate_resolver": f"127.0.0.1@{free_port()}",
                "gate_mx_seconds": 0.2,
                **more,
            }
        )

    return make


@pytest.fixture
async def start(
    gate_settings: Callable[..., Settings],
) -> AsyncIterator[Callable[..., Awaitable[tuple[Gate, Settings]]]]:
    """Starts gates that have read their routes; stops those that the test left running."""
    running: list[Gate] = []

    async def one_more(**more: object) -> tuple[Gate, Settings]:
        chosen = gate_settings(**more)
        gate = Gate(chosen)
        await gate.start()
        running.append(gate)
        await until(lambda: gate.desk.routes is not None)
        return gate, chosen

    yield one_more
    for gate in running:
        await gate.stop()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for a state, not for a time; answers how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "the awaited state did not come"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


#: Seconds between two beats of a quiet loop, and that a late beat may count without any work in between.
BEAT_SECONDS, LATE_SECONDS = 0.01, 0.02


class GivenTime:
    """Seconds that the machine gave this process: gate, asker and clock stand still together while it does not.

    A gap between two beats of the loop counts whole as far as this process worked in it, and else as a late beat.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    async def beat(self) -> None:
        """Count until cancelled."""
        last, worked = time.monotonic(), time.process_time()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            moment, work = time.monotonic(), time.process_time()
            self.seconds += min(moment - last, max(LATE_SECONDS, work - worked))
            last, worked = moment, work


async def takes_effect(ask: Callable[[], Awaitable[str]], says: Callable[[str], bool]) -> str:
    """Ask until the answer says what a command wants, and answer that; whoever asks a second after it hears it.

    What counts is when a question was asked: how long the neighbour takes to answer it is no part of the promise.
    """
    given = GivenTime()
    beating = asyncio.create_task(given.beat())
    try:
        while True:
            asked = given.seconds
            said = await ask()
            if says(said):
                return said
            assert asked < 1, f"asked {asked:.2f} s after the command: {said}"
            await asyncio.sleep(BEAT_SECONDS)
    finally:
        beating.cancel()


async def inventory(
    db: Database,
    caps: dict[str, int],
    *,
    pool: str = "main",
    by_provider: dict[MailboxProvider, int] | None = None,
    hourly: int = 0,
    domain: str = "",
    stage: Stage = Stage.WARMING,
) -> None:
    """IPs of a pool, each with a window of the present UTC day."""
    now = int(time.time() * 1000)
    today = now - now % DAY
    async with db.write() as session:
        await senders.put_pool(session, pool, None)
        for address, cap in caps.items():
            session.add(Ip(address=address, pool=pool, stage=stage, domain=domain, safe_limit=cap, disposal=""))
            await session.flush()
            await ledger.set_window(session, address, today, today + DAY, cap, by_provider or {}, hourly)


async def granted(db: Database, address: str) -> int:
    """What the ledger says was granted in the present window."""
    async with db.read() as session:
        row = await ledger.window(session, address, int(time.time() * 1000))
    assert row is not None
    return row.granted
