"""The sandbox's mail server verifies a login the way a real one does."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.smtp import HOST, SandboxSmtp, certificate, logins


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SandboxSmtp]:
    running = SandboxSmtp(tmp_path, 0)
    await running.start()
    yield running
    await running.stop()


def converse(state: Path, port: int, password: str | None) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate(state)[0]))
    with smtplib.SMTP(HOST, port, timeout=10) as client:
        client.starttls(context=trusted)
        client.login("demo", password if password is not None else logins(state)["demo"])


async def test_the_right_password_is_taken_over_verified_tls(server: SandboxSmtp, tmp_path: Path) -> None:
    await asyncio.to_thread(converse, tmp_path, server.port, None)


async def test_a_wrong_password_is_refused(server: SandboxSmtp, tmp_path: Path) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await asyncio.to_thread(converse, tmp_path, server.port, "wrong")


async def test_login_is_not_offered_before_tls(server: SandboxSmtp) -> None:
    def offered() -> bool:
        with smtplib.SMTP(HOST, server.port, timeout=10) as client:
            client.ehlo()
            return client.has_extn("auth")

    assert not await asyncio.to_thread(offered)
