"""Credentials are verified by a real conversation: STARTTLS, then AUTH."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from domain.refusals import Refused
from providers.senders.smtp import Trust, verify
from sandbox.smtp import HOST, SandboxSmtp, certificate, logins


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SandboxSmtp]:
    running = SandboxSmtp(tmp_path, 0)
    await running.start()
    yield running
    await running.stop()


async def test_the_right_password_is_accepted(server: SandboxSmtp, tmp_path: Path) -> None:
    await verify(HOST, server.port, "demo", logins(tmp_path)["demo"])


@pytest.mark.parametrize("user", ["demo", "nobody"])
async def test_a_wrong_password_or_user_is_refused_and_never_told(server: SandboxSmtp, user: str) -> None:
    with pytest.raises(Refused) as refusal:
        await verify(HOST, server.port, user, "hunter2-is-wrong")
    assert refusal.value.field == "smtp.password"
    assert refusal.value.code == "smtp_auth"
    assert "535" in refusal.value.detail
    assert "hunter2" not in refusal.value.detail
    assert refusal.value.__cause__ is None


async def test_a_server_that_wants_tls_is_not_given_a_password_without(server: SandboxSmtp, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        await verify(HOST, server.port, "demo", logins(tmp_path)["demo"], starttls=False)
    assert refusal.value.field == "smtp.starttls"


async def test_a_port_that_nobody_listens_on_is_named(free_port: Callable[[], int]) -> None:
    with pytest.raises(Refused) as refusal:
        await verify(HOST, free_port(), "demo", "any")
    assert refusal.value.field == "smtp.port"
    assert "cannot be reached" in refusal.value.detail


async def test_a_host_without_address_is_named() -> None:
    with pytest.raises(Refused) as refusal:
        await verify("no-such-host.invalid", 587, "demo", "any")
    assert refusal.value.field == "smtp.host"


async def test_a_password_that_smtp_cannot_carry_is_refused(server: SandboxSmtp) -> None:
    with pytest.raises(Refused) as refusal:
        await verify(HOST, server.port, "demo", "pässwörd")
    assert refusal.value.field == "smtp.password"


async def test_live_believes_no_certificate_that_nobody_signed(server: SandboxSmtp, tmp_path: Path) -> None:
    password = logins(tmp_path)["demo"]
    with pytest.raises(Refused) as refusal:
        await verify(HOST, server.port, "demo", password, trust=Trust(unchecked_loopback=False))
    assert (refusal.value.field, refusal.value.code) == ("smtp.starttls", "smtp_certificate")
    assert "WARMPATH_SMTP_CA_FILE" in refusal.value.detail


async def test_a_named_authority_is_believed(server: SandboxSmtp, tmp_path: Path) -> None:
    trust = Trust(certificate(tmp_path)[0], unchecked_loopback=False)
    await verify(HOST, server.port, "demo", logins(tmp_path)["demo"], trust=trust)


async def test_a_named_authority_is_asked_in_the_sandbox_too(server: SandboxSmtp, tmp_path: Path) -> None:
    other = certificate(tmp_path / "somebody else")[0]
    with pytest.raises(Refused, match="certificate"):
        await verify(HOST, server.port, "demo", logins(tmp_path)["demo"], trust=Trust(other))


async def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(Refused, match="WARMPATH_SMTP_CA_FILE"):
        await verify(HOST, 1, "demo", "any", trust=Trust(tmp_path / "ca.pem"))


async def test_live_sends_no_password_in_clear_off_the_machine() -> None:
    with pytest.raises(Refused) as refusal:
        await verify("198.51.100.9", 25, "demo", "any", starttls=False, trust=Trust(unchecked_loopback=False))
    assert refusal.value.code == "smtp_clear"
