"""Fixtures of the whole suite: settings, a fresh store, a real Temporal server, the API."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from activities.context import Context
from domain.words import Role
from settings import Settings
from store import accounts
from store.database import Database
from store.keys import new_key
from store.secrets import Secrets
from tests.ports import free_port
from workflows import search_attributes
from workflows.client import converter, keyring

KEY = new_key("test")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the person who runs the suite do not leak into it."""
    for name in list(os.environ):
        if name.startswith("WARMPATH_") and not name.startswith("WARMPATH_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(name="free_port")
def _free_port() -> Callable[[], int]:
    """Gives ports on loopback that nothing listens on."""
    return free_port


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a folder and a key of their own."""
    return Settings(
        var_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'warmpath.sqlite'}",
        # Nobody listens there: no test asks the name servers of the machine it runs on.
        dns_servers=("127.0.0.1@9",),
        secret_keys=(SecretStr(KEY),),
    )


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a throwaway PostgreSQL server; the suite needs Debian's postgresql-15."""
    binaries = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if binaries is None:
        pytest.fail("PostgreSQL is absent; run `sh deploy/install-test-packages.sh` as root.")
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="warmpath-pg-"))
    user = {}
    if os.getuid() == 0:
        # PostgreSQL refuses to run as root.
        shutil.chown(folder, "postgres", "postgres")
        account = pwd.getpwnam("postgres")
        user = {"user": account.pw_uid, "group": account.pw_gid}
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
    subprocess.run([binaries / "initdb", "-D", data, "-U", "warmpath", "-A", "trust", "--no-sync"], check=True, **quiet)
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"], **quiet
    )
    url = f"postgresql://warmpath@127.0.0.1:{port}/postgres"
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    yield url
    server.send_signal(signal.SIGQUIT)
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
async def db(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Database]:
    """An empty store, once on SQLite and once on PostgreSQL."""
    url = settings.database_url
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres")
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = server.rsplit("/", 1)[0] + f"/{name}"
    database = Database.open(url, synchronous="normal", pool_size=3)
    await database.create_all()
    yield database
    await database.close()


@pytest.fixture
def context(settings: Settings, db: Database) -> Context:
    """What activities get."""
    return Context(settings, db, Secrets(db, keyring(settings)))


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Temporal server that lives as long as the suite."""
    port = free_port()
    folder = tmp_path_factory.mktemp("temporal")
    command = [
        str(Path(sys.executable).parent / "temporal"), "server", "start-dev", "--headless",
        "--ip", "127.0.0.1", "--port", str(port), "--log-level", "error",
        "--db-filename", str(folder / "temporal.sqlite"), "--sqlite-pragma", "journal_mode=wal",
        "--sqlite-pragma", "synchronous=normal",
        # By default timers fire up to a second late, for the sake of clusters whose clocks differ.
        "--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"',
    ]  # fmt: skip
    for attribute in search_attributes.ALL:
        command += ["--search-attribute", f"{attribute.name}=Keyword"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    # Its folder is thrown away; a busy machine would need longer for a kind end than a test should wait.
    process.kill()
    process.wait()


@pytest.fixture
async def temporal(temporal_server: str, settings: Settings) -> Client:
    """A client with the product's own converter and codec."""
    for _ in range(100):
        try:
            return await Client.connect(temporal_server, data_converter=converter(keyring(settings)))
        except RuntimeError:
            await asyncio.sleep(0.1)
    raise RuntimeError("the Temporal server of the suite does not answer")


@pytest.fixture
async def api(settings: Settings, db: Database, temporal: Client) -> AsyncIterator[httpx.AsyncClient]:
    """The API with an administrator's token, on the suite's Temporal server."""
    from api.app import create

    async with db.write() as session:
        token = await accounts.create_token(session, "test admin", Role.ADMIN)
    app = create(settings, db, temporal)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://warmpath.test",
            headers={"Authorization": f"Bearer {token}"},
        ) as client,
    ):
        yield client
