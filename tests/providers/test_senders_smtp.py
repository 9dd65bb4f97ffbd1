"""Credentials are verified by a real conversation: STARTTLS, then AUTH."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP

from domain.refusals import Refused
from providers.senders import smtp
from providers.senders.smtp import Trust, verify
from sandbox.smtp import HOST, SandboxSmtp, Sink, certificate, logins


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
    port = free_port()
    with pytest.raises(Refused) as refusal:
        await verify(HOST, port, "demo", "any")
    assert refusal.value.field == "smtp.port"
    assert refusal.value.detail == (
        f"Nothing listens at {HOST}:{port}; check that the mail server runs, and its port (usually 587)."
    )


async def test_a_host_that_answers_nothing_names_the_firewall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "PATIENCE", 0.3)
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        # A backlog that is full drops what knocks, as a firewall does.
        full.bind((HOST, 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(2):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((HOST, port))
        with pytest.raises(Refused, match="does not answer within 0.3 s; check the port, and that its firewall") as no:
            await verify(HOST, port, "demo", "any")
    assert no.value.field == "smtp.port"


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        (None, "says nothing for 0.5 s; give the port that speaks SMTP with STARTTLS, usually 587"),
        (b"", "hangs up before it greets; check the port"),
        (b"554 5.7.1 secret words of the server\r\n", "greets with 554, so it takes nothing from this machine now"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak SMTP; give the port of the mail server, usually 587"),
        (b"220 mx\r\n", "breaks off before the login is done"),
    ],
    ids=["silent", "hangs up", "greets with 554", "ssh", "breaks off"],
)
async def test_what_is_no_mail_server_is_named(
    monkeypatch: pytest.MonkeyPatch, greeting: bytes | None, said: str
) -> None:
    monkeypatch.setattr(smtp, "PATIENCE", 0.5)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is None:
            await reader.read()
        else:
            writer.write(greeting)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Refused, match=said) as refusal:
            await verify(HOST, port, "demo", "any")
    assert refusal.value.field == "smtp.port"
    assert f"{HOST}:{port}" in refusal.value.detail
    assert "secret" not in refusal.value.detail, "words of a server are not repeated"


@pytest.mark.parametrize(
    ("starttls", "said"),
    [
        (True, "offers no STARTTLS; switch it on at the server, or give the port that has it, usually 587"),
        (False, "offers no login that is known here; switch STARTTLS on"),
    ],
)
async def test_a_server_without_starttls_or_login_is_named(starttls: bool, said: str) -> None:
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(lambda: SMTP(Sink(), loop=loop), HOST, 0)
    async with plain:
        with pytest.raises(Refused, match=said) as refusal:
            await verify(HOST, plain.sockets[0].getsockname()[1], "demo", "any", starttls=starttls)
    assert refusal.value.field == "smtp.starttls"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (socket.EAI_NONAME, "smtp.d.test has no address in DNS; check the spelling, or give an IP address."),
        (socket.EAI_AGAIN, "DNS does not answer for smtp.d.test now; try again, or give an IP address."),
    ],
)
async def test_a_host_without_address_is_named(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "told by the resolver")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Refused) as refusal:
        await verify("smtp.d.test", 587, "demo", "any")
    assert (refusal.value.field, refusal.value.detail) == ("smtp.host", said)


@pytest.mark.parametrize(
    "host", ["", "münchen.test", "x" * 64 + ".test", "a..test", "two words", "h\r\nRCPT TO:<x>", "x" * 10_000, "📮"]
)
async def test_what_is_no_host_name_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="is no host name; give one such as") as refusal:
        await verify(host, 587, "demo", "any")
    assert refusal.value.field == "smtp.host"
    assert len(refusal.value.detail) < 400


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "fe80::1", "224.0.0.1", "0.0.0.0", "240.0.0.1"],
)
async def test_no_server_is_asked_where_none_can_be(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    def connected(*_: object) -> None:
        raise AssertionError("it was asked")

    monkeypatch.setattr(smtp.smtplib.SMTP, "connect", connected)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 587)), (0, 0, 0, "", (address, 587))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    for host in (address, "innocent.test"):
        with pytest.raises(Refused, match="where no mail server can be; give the host that takes the mail") as refusal:
            await verify(host, 587, "demo", "any")
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
