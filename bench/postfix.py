"""A real Postfix on loopback, clients that hand it mail, and a sink that sees where mail comes from."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

_SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance with folders of its own; root starts it, as Postfix wants."""

    def __init__(self, port: int, fragments: tuple[str, str], next_hop: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="warmpath-postfix-"))
        self.folder.chmod(0o755)  # its processes drop their rights
        main, master = fragments
        for name in ("etc", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "etc" / "main.cf").write_text(
            "compatibility_level = 3.6\n"
            f"queue_directory = {self.folder}/queue\ndata_directory = {self.folder}/data\n"
            f"maillog_file = {self.folder}/mail.log\nmaillog_file_prefixes = {self.folder}\n"
            "inet_interfaces = 127.0.0.1\ninet_protocols = all\nmynetworks = 127.0.0.0/8\n"
            "myhostname = mail.acme.example\n"
            f"mydestination =\nalias_maps =\nrelayhost = {next_hop}\ndisable_dns_lookups = yes\n"
            "smtp_host_lookup = native\ndefault_process_limit = 60\nsmtp_tls_security_level = none\n"
            "minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n"
            "smtpd_client_connection_count_limit = 0\nin_flow_delay = 0\ndefault_destination_concurrency_limit = 8\n"
            + main
        )
        (self.folder / "etc" / "master.cf").write_text(f"127.0.0.1:{port} inet n - n - - smtpd\n" + _SERVICES + master)
        self.port = port

    @property
    def config(self) -> Path:
        """The folder of its ``main.cf``."""
        return self.folder / "etc"

    def run(self, program: str, *arguments: str) -> None:
        """One of Postfix's own commands."""
        path = f"/usr/sbin:/usr/lib/postfix/sbin:{os.environ['PATH']}"
        done = subprocess.run(
            [program, "-c", str(self.folder / "etc"), *arguments],
            capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr} {self.log()[-2000:]}"

    def start(self) -> None:
        """Start and wait until it greets."""
        self.run("postfix", "start")

    def stop(self) -> None:
        """Stop, and leave nothing."""
        if (self.folder / "queue" / "pid" / "master.pid").exists():
            self.run("postfix", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Its mail log."""
        file = self.folder / "mail.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def queued(self) -> int:
        """Messages in any queue."""
        queue = self.folder / "queue"
        return sum(
            1
            for name in ("maildrop", "incoming", "active", "deferred")
            for one in (queue / name).rglob("*")
            if one.is_file()
        )


class Sink:
    """An SMTP server that remembers each mail and the address it came from; it may defer those of an address."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str]] = []
        self.at: list[float] = []
        self.texts: dict[str, bytes] = {}
        self.defers: set[str] = set()
        self.seconds = 0.0
        self.port = 0

    @property
    def sources(self) -> Counter[str]:
        """Mails by source address."""
        return Counter(source for source, _ in self.came)

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="mx.test", loop=loop), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        self._server.close()

    async def handle_RCPT(  # noqa: N802 - the library names it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take it, or not now."""
        if session.peer[0] in self.defers:
            return "451 4.7.1 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Remember, in its own time."""
        await asyncio.sleep(self.seconds)
        self.came += [(session.peer[0], one) for one in envelope.rcpt_tos]
        self.at.append(time.monotonic())
        self.texts.update(dict.fromkeys(envelope.rcpt_tos, envelope.original_content))
        return "250 OK"


class Mailer:
    """One SMTP session with Postfix."""

    @classmethod
    async def to(cls, port: int) -> Mailer:
        """Connect and greet."""
        one = cls()
        deadline = time.monotonic() + 20
        while True:
            try:
                one.reader, one.writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        await one._reply()
        await one._say("EHLO app.acme.example")
        return one

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, recipient: str, sender: str = "news@acme.example", headers: str = "") -> str:
        """Hand over one mail; answers the reply to its recipient.

        Args:
            headers: more of them, each with its line end.
        """
        await self._say(f"MAIL FROM:<{sender}>")
        said = await self._say(f"RCPT TO:<{recipient}>")
        if not said.startswith("250"):
            await self._say("RSET")
            return said
        await self._say("DATA")
        done = await self._say(f"From: {sender}\r\n{headers}To: {recipient}\r\nSubject: test\r\n\r\nHello\r\n.")
        assert done.startswith("250"), done
        return said

    async def _say(self, line: str) -> str:
        self.writer.write(line.encode() + b"\r\n")
        return await self._reply()

    async def _reply(self) -> str:
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 30)).decode()
            assert line, "the server hung up"
            if line[3:4] != "-":
                return line.strip()

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
